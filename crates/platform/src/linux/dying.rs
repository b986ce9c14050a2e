//! Processes that die of a fault while nobody follows them.
//!
//! A process that lives for milliseconds, or that crashes before it could be looked at, is [caught](Caught) at its
//! death: the kernel holds the thread that dies for a moment. A thread of ours keeps the address space meanwhile, reads
//! what only a living process tells, lets it die, and reports it. Whoever follows it then finds its death here.

use super::{
    bpf_programs::{Catcher, Caught},
    catch_budget::CatchBudget,
    death_watch::DeathWatch,
    facts, list,
    proc::{self, ProcDir, status},
    sys::priority::{processors, raise_priority_of_all, stay_on},
};
use crate::{Facts, HostEvent, HostSink, ProcessEntry};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use snapshot::ProcessKey;
use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How many threads wait, each on a processor of its own.
const MOST_THREADS: usize = 8;

/// How long it can take from a death until the process is kept: its thread is not held for longer than this.
const LONGEST: Duration = Duration::from_millis(30);

/// How many dead processes are kept at once: each has its whole memory still.
const MOST: usize = 64;

/// A process that has died, or is about to.
pub(crate) struct Dying {
    /// Its folder, with files that can be read when it is gone.
    pub(crate) proc: ProcDir,
    /// Its address space, and the reports of its death.
    pub(crate) watch: DeathWatch,
    /// Its facts, as they were when it died.
    pub(crate) facts: Facts,
    process: OwnedFd,
}

static KEPT: Mutex<Option<HashMap<ProcessKey, Dying>>> = Mutex::new(None);
/// Told when there is one more.
static PUT: Condvar = Condvar::new();
static BUDGET: Mutex<Option<CatchBudget>> = Mutex::new(None);
static CATCHING: AtomicBool = AtomicBool::new(false);

/// Catches, for the rest of the run, every process that dies of a fault while nobody follows it, and reports it to `sink`
/// ([`HostEvent::Dying`]).
///
/// # Errors
/// If the kernel or our rights do not allow it.
pub(crate) fn catch(sink: &HostSink) -> io::Result<()> {
    if is_catching() {
        return Ok(());
    }
    let processors = enough_processors()?;
    let catcher = Arc::new(Catcher::begin(processors.len() as u32)?);
    for processor in processors {
        let (catcher, sink) = (catcher.clone(), sink.clone());
        let thread = std::thread::Builder::new().name("dying".to_owned());
        thread.spawn(move || keep_all(processor, &catcher, &sink))?;
    }
    CATCHING.store(true, Ordering::Release);
    Ok(())
}

/// Keeps what is caught, for ever. The thread that is held has its processor for itself: whoever is woken on another one
/// is there in time.
fn keep_all(processor: usize, catcher: &Catcher, sink: &HostSink) {
    // Where this processor has gone, the thread runs on any.
    let _ = stay_on(processor);
    raise_priority_of_all();
    loop {
        if let Some(caught) = catcher.wait() {
            keep(caught, sink);
        }
    }
}

/// Checks whether the kernel and our rights allow that.
pub(crate) fn is_possible() -> io::Result<()> {
    enough_processors()?;
    Catcher::is_possible()
}

/// Returns the processors at which we wait, two at least.
fn enough_processors() -> io::Result<Vec<usize>> {
    let all: Vec<usize> = processors().into_iter().take(MOST_THREADS).collect();
    match all.len() {
        0 | 1 => Err(io::Error::other("there is only one processor for us")),
        _ => Ok(all),
    }
}

/// Returns whether processes are caught at their death.
pub(crate) fn is_catching() -> bool {
    CATCHING.load(Ordering::Acquire)
}

/// Takes a process that was caught, to follow it.
pub(crate) fn take(key: ProcessKey) -> Option<Dying> {
    kept().get_or_insert_default().remove(&key)
}

/// As [`take`], of a process that may be being caught: it is waited for as long as that can take.
pub(crate) fn take_soon(key: ProcessKey) -> Option<Dying> {
    if !is_catching() {
        return None;
    }
    let is_missing =
        |all: &mut Option<HashMap<_, _>>| !all.get_or_insert_default().contains_key(&key);
    let waited = PUT.wait_timeout_while(kept(), LONGEST, is_missing);
    let (mut all, _) = waited.unwrap_or_else(PoisonError::into_inner);
    all.get_or_insert_default().remove(&key)
}

/// Forgets a process that nobody wants to follow.
pub(crate) fn forget(key: ProcessKey) {
    drop(take(key));
}

/// Returns a pidfd of a process that was caught.
pub(crate) fn process(key: ProcessKey) -> Option<OwnedFd> {
    let mut kept = kept();
    let dying = kept.get_or_insert_default().get(&key)?;
    dying.process.try_clone().ok()
}

/// Keeps a process that was caught, unless its user has used up our time.
fn keep(caught: Caught, sink: &HostSink) {
    let start = Instant::now();
    // One that is gone by now is not kept either.
    let Some(user) = user_of(caught.pid).filter(|user| has_time_left(*user, start)) else {
        return;
    };
    keep_in_any_case(caught, sink);
    let mut budget = budget();
    let budget = budget.get_or_insert_default();
    budget.spend(user, start.elapsed(), Instant::now());
}

/// Returns who a process runs as. The owner of its folder would be root for one that has changed its user.
fn user_of(pid: u32) -> Option<u32> {
    let dir = proc::open_dir(pid).ok()?;
    let status = proc::read_file(dir, "status").ok()?;
    status::ids(&status, "Uid").map(|(user, _)| user)
}

fn has_time_left(user: u32, now: Instant) -> bool {
    budget().get_or_insert_default().allows(user, now)
}

fn keep_in_any_case(caught: Caught, sink: &HostSink) {
    let Caught { pid, deaths, held } = caught;
    let Ok((entry, dying)) = read(pid, |proc| DeathWatch::at_death(proc, deaths)) else {
        // It was killed while it was looked at, or cannot be kept: it dies as without us.
        return;
    };
    if put(entry.key, dying) {
        // Told before the end of the process can be.
        sink(HostEvent::Dying(Box::new(entry)));
    }
    drop(held);
}

fn read(
    pid: u32,
    watch: impl FnOnce(&mut ProcDir) -> io::Result<DeathWatch>,
) -> io::Result<(ProcessEntry, Dying)> {
    let gone = |error: crate::Error| io::Error::other(error.to_string());
    let entry = list::entry(pid).map_err(gone)?;
    let mut proc = ProcDir::open(entry.key).map_err(gone)?;
    let number = Pid::from_raw(pid as i32).ok_or(io::ErrorKind::NotFound)?;
    let process = pidfd_open(number, PidfdFlags::empty())?;
    let watch = watch(&mut proc)?;
    let facts = facts::gather(&proc)?;
    let dying = Dying {
        proc,
        watch,
        facts,
        process,
    };
    Ok((entry, dying))
}

/// Keeps a process until somebody follows it. Returns whether there was room.
fn put(key: ProcessKey, dying: Dying) -> bool {
    let mut all = kept();
    let all = all.get_or_insert_default();
    let has_room = all.len() < MOST;
    if has_room {
        all.insert(key, dying);
        PUT.notify_all();
    }
    has_room
}

fn budget() -> MutexGuard<'static, Option<CatchBudget>> {
    BUDGET.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kept() -> MutexGuard<'static, Option<HashMap<ProcessKey, Dying>>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}
