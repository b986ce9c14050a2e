//! Processes that die of a fault while nobody follows them.
//!
//! A process that lives for milliseconds, or that crashes before it could be looked at, is caught at its death: the kernel
//! holds the thread that dies for a moment, and [a process of ours](catcher) keeps the address space and what else would be
//! gone, and sends us that. Whoever follows the dead process then finds its death here.

pub(crate) mod catcher;
mod message;

use super::{
    bpf_programs::{Catching, Caught, HeldThread},
    death_watch::DeathWatch,
    facts,
    kept_space::KeptSpace,
    list,
    proc::ProcDir,
    sys::{channel::Helper, descriptor_limit, pin::Pin, wake::wait_for},
};
use crate::{Facts, HostEvent, HostSink};
use message::{Kept, Message};
use snapshot::ProcessKey;
use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::OwnedFd,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How long it takes at most until what was caught is kept or lost.
const LOOK: Duration = Duration::from_secs(5);

/// How long the kernel's mark of a killed thread is waited for if who catches has not seen it.
const MARKED: Duration = Duration::from_millis(200);

/// How long to wait until who catches is ready, and before another one is started where one has ended.
const READY: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(1);

/// How many are remembered of which was reported that they die.
const MOST_REPORTED: usize = 1024;

/// A process that has died, or is about to.
pub(crate) struct Dying {
    /// Its folder, with files that can be read when it is gone.
    pub(crate) proc: ProcDir,
    /// Its address space, and the reports of its death.
    pub(crate) watch: DeathWatch,
    /// Its facts, as they were when it died.
    pub(crate) facts: Facts,
}

/// Those that were caught and that nobody follows yet.
#[derive(Default)]
struct Stash {
    kept: HashMap<ProcessKey, Dying>,
    /// The pids of those that are looked at now.
    coming: HashMap<u32, Coming>,
    /// The pids of those that were reported, until they have ended.
    reported: HashSet<u32>,
}

/// A process that is looked at.
struct Coming {
    /// Taken by who reads what was kept.
    caught: Option<Caught>,
    since: Instant,
    /// Whether it was asked for when it had ended.
    has_ended: bool,
}

static STASH: Mutex<Option<Stash>> = Mutex::new(None);
/// Told when the stash has changed.
static CHANGED: Condvar = Condvar::new();
static CATCHING: Mutex<Option<Catching>> = Mutex::new(None);
static IS_CATCHING: AtomicBool = AtomicBool::new(false);

/// Catches, for the rest of the run, every process that dies of a fault while nobody follows it, and reports it to `sink`
/// ([`HostEvent::Dying`]).
///
/// # Errors
/// If the kernel or our rights do not allow it.
pub(crate) fn catch(sink: &HostSink) -> io::Result<()> {
    if is_catching() {
        return Ok(());
    }
    catcher::enough_processors()?;
    descriptor_limit::raise();
    let catching = Catching::new(come)?;
    let helper = begin(catching)?;
    let sink = sink.clone();
    let thread = std::thread::Builder::new().name("dying".to_owned());
    thread.spawn(move || receive_for_ever(catching, helper, &sink))?;
    *lock(&CATCHING) = Some(catching);
    IS_CATCHING.store(true, Ordering::Release);
    Ok(())
}

/// Checks whether the kernel and our rights allow that.
pub(crate) fn is_possible() -> io::Result<()> {
    catcher::enough_processors()?;
    Catching::is_possible()
}

/// Returns whether processes are caught at their death.
pub(crate) fn is_catching() -> bool {
    IS_CATCHING.load(Ordering::Acquire)
}

/// Takes a process that was caught, to follow it.
pub(crate) fn take(key: ProcessKey) -> Option<Dying> {
    stash().get_or_insert_default().kept.remove(&key)
}

/// As [`take`], of a process that has ended and may be being caught: it is waited for as long as that can take.
pub(crate) fn take_soon(key: ProcessKey) -> Option<Dying> {
    pass_on();
    let end = Instant::now() + LOOK;
    let mut stash = stash();
    loop {
        let now = stash.get_or_insert_default();
        if let Some(dying) = now.kept.remove(&key) {
            return Some(dying);
        }
        let left = end.saturating_duration_since(Instant::now());
        if !now.coming.contains_key(&key.pid) || left.is_zero() {
            return None;
        }
        let changed = CHANGED.wait_timeout(stash, left);
        stash = changed.unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Returns whether a process that has just ended was caught, or is being caught. If it is lost then, that is reported
/// ([`HostEvent::Unseen`]).
pub(crate) fn was_caught(pid: u32) -> bool {
    pass_on();
    let mut stash = stash();
    let stash = stash.get_or_insert_default();
    let coming = stash.coming.get_mut(&pid);
    let is_coming = coming.map(|coming| coming.has_ended = true).is_some();
    stash.reported.remove(&pid) || is_coming
}

/// Forgets a process that nobody wants to follow.
pub(crate) fn forget(key: ProcessKey) {
    drop(take(key));
}

/// Returns a pidfd of a process that was caught.
pub(crate) fn process(key: ProcessKey) -> Option<OwnedFd> {
    let mut stash = stash();
    let dying = stash.get_or_insert_default().kept.get(&key)?;
    dying.watch.space.process.try_clone().ok()
}

/// Starts who catches.
fn begin(catching: Catching) -> io::Result<Helper> {
    let helper = catcher::start(&catching.files())?;
    let failed = || io::Error::other("the process of firstchance that does it could not begin");
    if !wait_for(helper.channel(), READY)? {
        return Err(failed());
    }
    match Message::receive(helper.channel()) {
        Ok(Message::Ready) => catching.begin().map(|()| helper),
        _ => Err(failed()),
    }
}

/// Takes what is told by who catches, and starts another one when that has ended.
fn receive_for_ever(catching: Catching, mut helper: Helper, sink: &HostSink) {
    loop {
        while let Ok(message) = receive_soon(&helper) {
            if let Some(message) = message {
                take_message(catching, message, sink);
            }
            lose(sink, |coming| coming.is_old());
        }
        catching.end();
        lose(sink, |_| true);
        helper = loop {
            std::thread::sleep(PAUSE);
            if let Ok(helper) = begin(catching) {
                break helper;
            }
        };
    }
}

/// Waits a moment for a message.
fn receive_soon(helper: &Helper) -> io::Result<Option<Message>> {
    match wait_for(helper.channel(), LOOK)? {
        true => Message::receive(helper.channel()).map(Some),
        false => Ok(None),
    }
}

fn take_message(catching: Catching, message: Message, sink: &HostSink) {
    // Each was told here before it was told to who catches.
    catching.pass_on();
    match message {
        Message::Ready => {}
        Message::Lost(pid) => lost(pid, sink),
        Message::Kept(kept) => {
            let held = (!kept.is_whole).then(|| catching.held(kept.thread));
            let Some(caught) = take_caught(kept.key.pid) else {
                return;
            };
            let caught = CaughtAndKept { kept, caught, held };
            if caught.kept.is_whole {
                return caught.report(true, sink);
            }
            let sink = sink.clone();
            // This one may take as long as the process has made it.
            std::thread::spawn(move || caught.report_if_it_dies(&sink));
        }
    }
}

/// A process that was caught, and what was kept of it.
struct CaughtAndKept {
    kept: Box<Kept>,
    caught: Caught,
    /// If not all has been read yet.
    held: Option<HeldThread>,
}

impl CaughtAndKept {
    /// Reads the rest, and reports the process, unless it lives on.
    fn report_if_it_dies(mut self, sink: &HostSink) {
        let Kept {
            thread,
            proc,
            space,
            ..
        } = &mut *self.kept;
        // The lower half is the thread's id.
        let dies = space.dies_of(proc, *thread as u32 as i32, MARKED);
        // First, as they cannot be had when the parent has waited.
        let has_flags = dies && space.renew_flags(proc);
        if !dies || space.keep_maps(proc).is_err() {
            drop(self.held);
            return lost(self.kept.key.pid, sink);
        }
        self.report(has_flags, sink);
    }

    fn report(self, has_flags: bool, sink: &HostSink) {
        let Self { kept, caught, held } = self;
        let Kept {
            key,
            is_whole,
            mut proc,
            space,
            ..
        } = *kept;
        let facts = facts_at_death(&mut proc, is_whole);
        let entry = list::entry_of(&proc);
        let (Ok(facts), Ok(entry)) = (facts, entry) else {
            drop(held);
            return lost(key.pid, sink);
        };
        let dying = Dying {
            watch: DeathWatch::at_death(with_pin(space), caught.deaths, has_flags),
            proc,
            facts,
        };
        keep(key, dying);
        caught.others.tell();
        // Told before the end of the process can be.
        sink(HostEvent::Dying(Box::new(entry)));
        drop(held);
        gone(key.pid);
    }
}

/// Returns the facts of a process that dies, and that counts as gone then.
fn facts_at_death(proc: &mut ProcDir, is_whole: bool) -> io::Result<Facts> {
    let living = (!is_whole).then(|| facts::gather(proc).ok()).flatten();
    proc.is_gone = true;
    match living.filter(|facts| !facts.modules.is_empty()) {
        Some(facts) => Ok(facts),
        None => facts::gather(proc),
    }
}

fn with_pin(space: KeptSpace<OwnedFd>) -> KeptSpace {
    let KeptSpace {
        program,
        maps,
        smaps,
        sharers,
        process,
        pin,
    } = space;
    KeptSpace {
        program,
        maps,
        smaps,
        sharers,
        process,
        pin: Pin::Guard(pin),
    }
}

/// Notes that a process is looked at.
fn come(caught: Caught) {
    let pid = caught.pid;
    let coming = Coming {
        caught: Some(caught),
        since: Instant::now(),
        has_ended: false,
    };
    stash().get_or_insert_default().coming.insert(pid, coming);
}

fn take_caught(pid: u32) -> Option<Caught> {
    let mut stash = stash();
    let coming = stash.get_or_insert_default().coming.get_mut(&pid);
    coming.and_then(|coming| coming.caught.take())
}

/// Those of whom nothing has been told, as far as `is_lost` says so, are lost.
fn lose(sink: &HostSink, is_lost: impl Fn(&Coming) -> bool) {
    let mut stash = stash();
    let coming = &stash.get_or_insert_default().coming;
    let untold = coming.iter().filter(|(_, coming)| coming.caught.is_some());
    let all: Vec<u32> = untold
        .filter(|(_, coming)| is_lost(coming))
        .map(|(pid, _)| *pid)
        .collect();
    drop(stash);
    all.into_iter().for_each(|pid| lost(pid, sink));
}

impl Coming {
    /// Whether whoever catches would have told long ago what became of it.
    fn is_old(&self) -> bool {
        self.since.elapsed() > LOOK
    }
}

/// Keeps a process for whoever follows it.
fn keep(key: ProcessKey, dying: Dying) {
    let mut stash = stash();
    let stash = stash.get_or_insert_default();
    if stash.reported.len() >= MOST_REPORTED {
        // Nobody asks.
        stash.reported.clear();
    }
    stash.reported.insert(key.pid);
    stash.kept.insert(key, dying);
    CHANGED.notify_all();
}

/// A process is not looked at any more. Returns whether it has ended and was asked for meanwhile.
fn gone(pid: u32) -> bool {
    let coming = stash().get_or_insert_default().coming.remove(&pid);
    CHANGED.notify_all();
    coming.is_some_and(|coming| coming.has_ended)
}

/// A process cannot be kept.
fn lost(pid: u32, sink: &HostSink) {
    if gone(pid) {
        sink(HostEvent::Unseen(pid));
    }
}

/// Returns when all deaths until now are known here.
fn pass_on() {
    let catching = *lock(&CATCHING);
    if let Some(catching) = catching {
        catching.pass_on();
    }
}

fn stash() -> MutexGuard<'static, Option<Stash>> {
    lock(&STASH)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
