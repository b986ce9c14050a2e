//! Processes that die of a fault while nobody follows them.
//!
//! A process that lives for milliseconds, or that crashes before it could be looked at, is caught at its death: the kernel
//! holds the thread that dies for a moment, and [a process of ours](catcher) keeps the address space and what else would be
//! gone, and sends us that. Whoever follows the dead process then finds its death here.

mod arrivals;
pub(crate) mod catcher;
mod message;

use super::{
    bpf_programs::{Catching, Caught, ExecutedNames},
    death_watch::DeathWatch,
    forks,
    proc::ProcDir,
    sys::{descriptor_limit, wake::Wake},
};
use crate::{Facts, HostEvent, HostSink, lock};
use arrivals::CaughtAndKept;
use snapshot::{ProcessKey, Warning};
use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long it takes at most until what was caught is kept or lost.
const LOOK: Duration = Duration::from_secs(5);

/// How long the end of a process is told later, where others are being looked at.
const SETTLE: Duration = Duration::from_millis(300);

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
    /// A warning of what could not be read any more.
    pub(crate) lacking: Option<Warning>,
}

/// Those that were caught and that nobody follows yet.
#[derive(Default)]
struct Stash {
    kept: HashMap<ProcessKey, CaughtAndKept>,
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
/// Who receives what was caught, and what tells it to end.
static RECEIVES: Mutex<Option<(Arc<Wake>, JoinHandle<()>)>> = Mutex::new(None);
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
    let helper = arrivals::begin(catching)?;
    let (sink, ends) = (sink.clone(), Arc::new(Wake::new()?));
    let told = ends.clone();
    let thread = std::thread::Builder::new().name("dying".to_owned());
    let thread = thread.spawn(move || arrivals::receive(catching, helper, &told, &sink))?;
    *lock(&RECEIVES) = Some((ends, thread));
    *lock(&CATCHING) = Some(catching);
    IS_CATCHING.store(true, Ordering::Release);
    Ok(())
}

/// Catches nobody any more, and waits for the end of the processes of ours that did.
pub(crate) fn end() {
    IS_CATCHING.store(false, Ordering::Release);
    let receives = lock(&RECEIVES).take();
    if let Some((ends, thread)) = receives {
        ends.wake();
        let _ = thread.join();
    }
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
    take_unread(key)?.read()
}

fn take_unread(key: ProcessKey) -> Option<CaughtAndKept> {
    stash().get_or_insert_default().kept.remove(&key)
}

/// As [`take`], of a process that has ended and may be being caught: it is waited for as long as that can take.
pub(crate) fn take_soon(key: ProcessKey) -> Option<Dying> {
    pass_on();
    let end = Instant::now() + LOOK;
    let mut stash = stash();
    loop {
        let now = stash.get_or_insert_default();
        if let Some(caught) = now.kept.remove(&key) {
            drop(stash);
            return caught.read();
        }
        let left = end.saturating_duration_since(Instant::now());
        if !now.coming.contains_key(&key.pid) || left.is_zero() {
            return None;
        }
        let changed = CHANGED.wait_timeout(stash, left);
        stash = changed.unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Returns when all that have died until now have been reported, or after a moment.
pub(crate) fn settle() {
    pass_on();
    let stash = stash();
    let is_coming = |stash: &mut Option<Stash>| !stash.get_or_insert_default().coming.is_empty();
    let waited = CHANGED.wait_timeout_while(stash, SETTLE, is_coming);
    drop(waited);
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
    drop(take_unread(key));
}

/// Returns a pidfd of a process that was caught.
pub(crate) fn process(key: ProcessKey) -> Option<OwnedFd> {
    let mut stash = stash();
    stash.get_or_insert_default().kept.get(&key)?.process()
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
fn keep(key: ProcessKey, caught: CaughtAndKept) {
    let mut stash = stash();
    let stash = stash.get_or_insert_default();
    if stash.reported.len() >= MOST_REPORTED {
        // Nobody asks.
        stash.reported.clear();
    }
    stash.reported.insert(key.pid);
    stash.kept.insert(key, caught);
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
        sink(HostEvent::Unseen {
            pid,
            ancestors: Some(forks::ancestors(pid)),
            names: ExecutedNames::noted(pid),
        });
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
