//! [Processes](super::keeper) that are ready to keep an address space, started before they are needed: whoever catches a
//! process at its death has milliseconds.

use super::{
    keeper::Keeper,
    places::Place,
    priority,
    wake::{self, Wake},
};
use crate::lock;
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How many there are. When all keep something, threads do.
const COUNT: usize = 8;

/// How long one may take to be ready after its start.
const LONGEST: Duration = Duration::from_secs(10);

/// How long to wait before another one is started, where one was never ready.
const PAUSE: Duration = Duration::from_secs(10);

/// How long to wait after the last start, where one has ended that was ready.
const BRIEF: Duration = Duration::from_secs(1);

/// How long the start waits for the first to be ready.
const FIRST: Duration = Duration::from_millis(500);

/// Those that are ready, with the guard that each has sent.
static READY: Mutex<Vec<(Keeper, OwnedFd)>> = Mutex::new(Vec::new());
/// Those that keep something, and what for.
static LENT: Mutex<Vec<(Keeper, Place)>> = Mutex::new(Vec::new());
/// Told when one is lent, or when all are to end.
static CHANGED: OnceLock<Wake> = OnceLock::new();
static ENDS: AtomicBool = AtomicBool::new(false);
/// Who looks after them.
static LOOKS_AFTER: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

/// Has some be ready, for the rest of the run, and waits a moment for the first. It is called once.
///
/// # Errors
/// If nobody can look after them.
pub(crate) fn begin() -> io::Result<()> {
    let changed = Wake::new()?;
    let changed = CHANGED.get_or_init(|| changed);
    let (tells, told) = sync_channel(1);
    let thread = std::thread::Builder::new().name("keepers".to_owned());
    *lock(&LOOKS_AFTER) = Some(thread.spawn(move || look_after(changed, &tells))?);
    // Without one, threads do.
    let _ = told.recv_timeout(FIRST);
    Ok(())
}

/// Ends them all, and waits for that: else they are left to init, which does not always wait for those that it is left.
pub(crate) fn end() {
    ENDS.store(true, Ordering::Release);
    if let (Some(changed), Some(thread)) = (CHANGED.get(), lock(&LOOKS_AFTER).take()) {
        changed.wake();
        let _ = thread.join();
    }
    lock(&READY).clear();
    lock(&LENT).clear();
}

/// Takes one; `None` if none is ready.
pub(super) fn take() -> Option<(Keeper, OwnedFd)> {
    let mut ready = lock(&READY);
    // Those that have ended stay, for who looks after them.
    let alive = ready
        .iter()
        .rposition(|(keeper, _)| matches!(keeper.guard(), Ok(None)))?;
    Some(ready.swap_remove(alive))
}

/// Gives one back that was taken. It has its place, and is not ready again, until nobody has its guard any more.
pub(super) fn lend(keeper: Keeper, place: Place) {
    lock(&LENT).push((keeper, place));
    if let Some(changed) = CHANGED.get() {
        changed.wake();
    }
}

/// All of them but those that are ready or were just lent.
struct Keepers {
    /// Those that have no guard yet.
    busy: Vec<Busy>,
    /// How many there are, with those that are ready or lent.
    count: usize,
    /// When one was started last, and when others may be.
    begun: Instant,
    next: Instant,
}

/// One that has no guard.
struct Busy {
    keeper: Keeper,
    /// When it was started, and is not ready since.
    started: Option<Instant>,
    _place: Option<Place>,
}

/// The sockets of those that are ready: each can be read when its process has ended. Who takes one may drop it meanwhile.
fn sockets_of_ready() -> Vec<OwnedFd> {
    let ready = lock(&READY);
    let clones = ready
        .iter()
        .map(|(keeper, _)| keeper.descriptor().try_clone_to_owned());
    clones.filter_map(Result::ok).collect()
}

fn look_after(changed: &Wake, tells: &SyncSender<()>) {
    // It has little to do, and the next one who dies needs it soon.
    priority::raise_priority();
    let mut keepers = Keepers {
        busy: Vec::new(),
        count: 0,
        begun: Instant::now(),
        next: Instant::now(),
    };
    while !ENDS.load(Ordering::Acquire) {
        keepers.start();
        keepers.sleep(changed);
        changed.take();
        keepers.take_lent();
        keepers.forget_ended();
        if keepers.sort_out() {
            let _ = tells.try_send(());
        }
    }
}

impl Keepers {
    fn start(&mut self) {
        let now = Instant::now();
        while self.count < COUNT && self.next <= now {
            match Keeper::start() {
                Ok(keeper) => {
                    self.begun = now;
                    self.busy.push(Busy {
                        keeper,
                        started: Some(now),
                        _place: None,
                    });
                    self.count += 1;
                }
                Err(_) => self.next = now + PAUSE,
            }
        }
    }

    fn take_lent(&mut self) {
        let lent = std::mem::take(&mut *lock(&LENT)).into_iter();
        self.busy.extend(lent.map(|(keeper, place)| Busy {
            keeper,
            started: None,
            _place: Some(place),
        }));
    }

    /// Sleeps until something changes.
    fn sleep(&self, changed: &Wake) {
        let starts = (self.count < COUNT).then_some(self.next);
        let limits = self.busy.iter().filter_map(Busy::limit);
        let ready = sockets_of_ready();
        let sockets = self.busy.iter().map(|busy| busy.keeper.descriptor());
        let all: Vec<_> = sockets
            .chain(ready.iter().map(AsFd::as_fd))
            .chain([changed.as_fd()])
            .collect();
        wake::sleep(&all, limits.chain(starts).min());
    }

    /// Those that have ended while they were ready, as who is killed for lack of memory, are replaced at once.
    fn forget_ended(&mut self) {
        let mut ready = lock(&READY);
        let before = ready.len();
        // One that is ready has nothing to send.
        ready.retain(|(keeper, _)| matches!(keeper.guard(), Ok(None)));
        let ended = before - ready.len();
        if ended > 0 {
            self.count -= ended;
            self.next = self.begun + BRIEF;
        }
    }

    /// Puts those that are ready where they are taken. Returns whether there were any.
    fn sort_out(&mut self) -> bool {
        let mut any = false;
        for busy in std::mem::take(&mut self.busy) {
            match busy.keeper.guard() {
                Ok(Some(guard)) => {
                    lock(&READY).push((busy.keeper, guard));
                    any = true;
                }
                Ok(None) if busy.limit().is_none_or(|limit| Instant::now() < limit) => {
                    self.busy.push(busy);
                }
                _ => {
                    self.count -= 1;
                    self.next = match busy.started {
                        Some(_) => Instant::now() + PAUSE,
                        None => self.begun + BRIEF,
                    };
                }
            }
        }
        any
    }
}

impl Busy {
    /// Returns when it should have a guard. Whoever keeps something does so for as long as others want.
    fn limit(&self) -> Option<Instant> {
        self.started.map(|started| started + LONGEST)
    }
}
