//! [Processes](super::keeper) that are ready to keep an address space, started before they are needed: whoever catches a
//! process at its death has milliseconds.

use super::{
    keeper::Keeper,
    priority,
    urgent_mutex::UrgentMutex,
    wake::{self, Wake},
};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Once, OnceLock,
        mpsc::{SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

/// How many there are. When all keep something, threads do.
const COUNT: usize = 8;

/// How long one may take to be ready again: it may be the last to leave a large address space.
const LONGEST: Duration = Duration::from_secs(10);

/// How long to wait before another one is started, where one has ended or hangs.
const PAUSE: Duration = Duration::from_secs(10);

/// How long the start waits for the first to be ready.
const FIRST: Duration = Duration::from_millis(500);

/// Those that are ready, with the guard that each has sent.
static READY: UrgentMutex<Vec<(Keeper, OwnedFd)>> = UrgentMutex::new(Vec::new());
/// Those that are given back.
static RETURNED: UrgentMutex<Vec<Keeper>> = UrgentMutex::new(Vec::new());
/// Told when one is given back.
static CHANGED: OnceLock<Wake> = OnceLock::new();

/// Has some be ready, for the rest of the run, and waits a moment for the first.
///
/// # Errors
/// If nobody can look after them.
pub(crate) fn begin() -> io::Result<()> {
    let changed = Wake::new()?;
    static START: Once = Once::new();
    let mut begun = Ok(());
    START.call_once(|| {
        let changed = CHANGED.get_or_init(|| changed);
        let thread = std::thread::Builder::new().name("keepers".to_owned());
        let (tells, told) = sync_channel(1);
        begun = thread
            .spawn(move || look_after(changed, &tells))
            .map(|_| ());
        // Without one, threads do.
        let _ = told.recv_timeout(FIRST);
    });
    begun
}

/// Takes one; `None` if none is ready.
pub(super) fn take() -> Option<(Keeper, OwnedFd)> {
    READY.lock().pop()
}

/// Gives one back that was taken. It need not be ready.
pub(super) fn give_back(keeper: Keeper) {
    RETURNED.lock().push(keeper);
    if let Some(changed) = CHANGED.get() {
        changed.wake();
    }
}

/// All of them but those that are ready or lent.
struct Keepers {
    /// Those that have no guard yet, and since when.
    busy: Vec<(Keeper, Instant)>,
    /// How many there are, with those that are ready or lent.
    count: usize,
    /// When others may be started.
    next: Instant,
}

fn look_after(changed: &Wake, tells: &SyncSender<()>) {
    // It has little to do, and the next one who dies needs it soon.
    priority::raise_priority();
    let mut keepers = Keepers {
        busy: Vec::new(),
        count: 0,
        next: Instant::now(),
    };
    loop {
        keepers.start();
        keepers.sleep(changed);
        changed.take();
        let returned = std::mem::take(&mut *RETURNED.lock()).into_iter();
        keepers
            .busy
            .extend(returned.map(|keeper| (keeper, Instant::now())));
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
                    self.busy.push((keeper, now));
                    self.count += 1;
                }
                Err(_) => self.next = now + PAUSE,
            }
        }
    }

    /// Sleeps until something changes.
    fn sleep(&self, changed: &Wake) {
        let starts = (self.count < COUNT).then_some(self.next);
        let limits = self.busy.iter().map(|(_, since)| *since + LONGEST);
        let sockets = self.busy.iter().map(|(keeper, _)| keeper.descriptor());
        let all: Vec<_> = sockets.chain([changed.as_fd()]).collect();
        wake::sleep(&all, limits.chain(starts).min());
    }

    /// Puts those that are ready where they are taken. Returns whether there were any.
    fn sort_out(&mut self) -> bool {
        let mut any = false;
        for (keeper, since) in std::mem::take(&mut self.busy) {
            match keeper.guard() {
                Ok(Some(guard)) => {
                    READY.lock().push((keeper, guard));
                    any = true;
                }
                Ok(None) if since.elapsed() < LONGEST => self.busy.push((keeper, since)),
                _ => {
                    self.count -= 1;
                    self.next = Instant::now() + PAUSE;
                }
            }
        }
        any
    }
}
