//! Processes that die of a fault while nobody follows them.
//!
//! A process that lives for milliseconds, or that crashes before it could be looked at, is [caught](Caught) at its
//! death: the kernel holds the thread that dies for a moment. A thread of ours keeps the address space meanwhile, before
//! all other threads; an ordinary one reads the rest, lets the process die, and reports it. Whoever follows it then finds
//! its death here.

use super::{
    bpf_programs::{Catcher, Caught, HeldThread, Others},
    catch_budget::CatchBudget,
    death_watch::{self, DeathWatch},
    facts, list,
    proc::{self, ProcDir, bounds, status},
    sys::{
        allocator, keepers,
        priority::{lower, processors, raise_priority_of_all, stay_on, this_thread},
        urgent_mutex::{UrgentGuard, UrgentMutex},
        wake,
    },
};
use crate::{Facts, HostEvent, HostSink, ProcessEntry};
use rustix::{
    io::fcntl_dupfd_cloexec,
    process::{Pid, PidfdFlags, Resource, getrlimit, pidfd_open},
};
use snapshot::ProcessKey;
use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How long it can take from a death until the process begins to be looked at: its thread is not held for longer. And how
/// long that can take.
const BEGIN: Duration = Duration::from_millis(30);
const LOOK: Duration = Duration::from_secs(5);

/// What may be read of a process before all other threads get to run: page tables of so many bytes, which have room for
/// half a gigabyte of memory, and so many descriptors.
const SMALL_TABLES: u64 = 1 << 20;
const FEW_DESCRIPTORS: u64 = 100;

/// For how long a user is refused at least.
const REFUSED: Duration = Duration::from_millis(200);

/// How many threads wait, each on a processor of its own.
const MOST_THREADS: usize = 8;

/// How long the kernel's mark of a killed thread is waited for: by a catching thread, which misses others meanwhile, and by
/// an ordinary one after it. The thread that dies may have lost its processor before the mark.
const MARKED: Duration = Duration::from_millis(5);
const MARKED_LATE: Duration = Duration::from_millis(200);

/// How many dead processes are kept at once, and of one user: each has its whole memory still.
const MOST: usize = 64;
const MOST_OF_USER: usize = 16;

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
    process: OwnedFd,
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
    user: u32,
    /// Whether it was asked for when it had ended.
    has_ended: bool,
}

static STASH: UrgentMutex<Option<Stash>> = UrgentMutex::new(None);
/// Told when the stash has changed. Who catches does not wait for those who wait for that, so that one of them may miss it.
static CHANGED: Condvar = Condvar::new();
static WAITING: Mutex<()> = Mutex::new(());
const MISSED: Duration = Duration::from_millis(2);
static BUDGET: UrgentMutex<Option<CatchBudget>> = UrgentMutex::new(None);
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
    keepers::begin()?;
    make_room_for_descriptors()?;
    let catcher = Arc::new(Catcher::begin(processors.len() as u32)?);
    for processor in processors {
        let (catcher, sink) = (catcher.clone(), sink.clone());
        let thread = std::thread::Builder::new().name("dying".to_owned());
        thread.spawn(move || keep_all(processor, &catcher, &sink))?;
    }
    CATCHING.store(true, Ordering::Release);
    Ok(())
}

/// Has the table of our descriptors be as large as it will be. To enlarge it later takes until every processor has done
/// something else, also that of a thread that we hold (`expand_fdtable` in fs/file.c waits for RCU).
fn make_room_for_descriptors() -> io::Result<()> {
    const MOST: u64 = 4096;
    let limit = getrlimit(Resource::Nofile)
        .current
        .unwrap_or(MOST)
        .min(MOST);
    let any = wake::Wake::new()?;
    // Without it, one may be missed.
    let _ = fcntl_dupfd_cloexec(&any, limit as i32 - 1);
    Ok(())
}

/// Checks whether the kernel and our rights allow that.
pub(crate) fn is_possible() -> io::Result<()> {
    enough_processors()?;
    Catcher::is_possible()
}

/// Returns whether processes are caught at their death.
pub(crate) fn is_catching() -> bool {
    CATCHING.load(Ordering::Acquire)
}

/// Takes a process that was caught, to follow it.
pub(crate) fn take(key: ProcessKey) -> Option<Dying> {
    stash().get_or_insert_default().kept.remove(&key)
}

/// As [`take`], of a process that has ended and may be being caught: it is waited for as long as that can take.
pub(crate) fn take_soon(key: ProcessKey) -> Option<Dying> {
    if !is_catching() {
        return None;
    }
    let is_kept = |stash: &Stash| stash.kept.contains_key(&key);
    wait(BEGIN, &|stash| {
        is_kept(stash) || stash.coming.contains_key(&key.pid)
    });
    wait(LOOK, &|stash| {
        is_kept(stash) || !stash.coming.contains_key(&key.pid)
    });
    take(key)
}

/// Waits until something is true of the stash, but not for ever.
fn wait(limit: Duration, until: &dyn Fn(&Stash) -> bool) {
    let end = Instant::now() + limit;
    while !until(stash().get_or_insert_default()) && Instant::now() < end {
        let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        drop(CHANGED.wait_timeout(waiting, MISSED));
    }
}

/// Returns whether a process that has just ended was caught, or is being caught. If it is lost then, that is reported
/// ([`HostEvent::Unseen`]).
pub(crate) fn was_caught(pid: u32) -> bool {
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
    dying.process.try_clone().ok()
}

/// Returns the processors at which we wait, two at least.
fn enough_processors() -> io::Result<Vec<usize>> {
    let all: Vec<usize> = processors().into_iter().take(MOST_THREADS).collect();
    match all.len() {
        0 | 1 => Err(io::Error::other("there is only one processor for us")),
        _ => Ok(all),
    }
}

/// Keeps what is caught, for ever. The thread that is held has its processor for itself: whoever is woken on another one
/// is there in time.
fn keep_all(processor: usize, catcher: &Catcher, sink: &HostSink) {
    // Where this processor has gone, the thread runs on any.
    let _ = stay_on(processor);
    raise_priority_of_all();
    allocator::warm_up();
    let mut refused = Vec::new();
    loop {
        let until = refused.iter().map(|(_, until)| *until).min();
        let caught = catcher.wait(until);
        refused.retain_mut(|(user, until)| {
            let is_refused = !has_time_left(*user, Instant::now());
            match is_refused {
                // Looked at again later, and not at once: nothing else gets this processor meanwhile.
                true => *until = (*until).max(Instant::now() + REFUSED),
                false => catcher.allow(*user),
            }
            is_refused
        });
        if let Some(user) = caught.and_then(|caught| keep(caught, sink)) {
            catcher.refuse(user);
            refused.push((user, Instant::now() + REFUSED));
        }
    }
}

/// Keeps a process that was caught, as far as that cannot wait. Returns its user if he has used up our time.
fn keep(caught: Caught, sink: &HostSink) -> Option<u32> {
    let start = Instant::now();
    caught.held.look_at();
    // One that is gone by now is not kept either.
    let user = user_of(caught.pid)?;
    if has_time_left(user, start) && come(caught.pid, user) {
        let pid = caught.pid;
        match caught.pin() {
            Some(pinned) if is_small(&pinned.proc) && pinned.dies_within(MARKED) => {
                pinned.look(sink);
            }
            Some(pinned) => {
                let sink = sink.clone();
                std::thread::spawn(move || {
                    lower(this_thread());
                    pinned.look_if_it_dies(&sink);
                });
            }
            // It was killed while it was looked at, or cannot be kept: it dies as without us.
            None => lost(pid, sink),
        }
    }
    spend(user, start);
    (!has_time_left(user, Instant::now())).then_some(user)
}

/// A process whose address space is kept, and of which nothing has been read yet.
struct Pinned {
    entry: ProcessEntry,
    thread: i32,
    proc: ProcDir,
    watch: DeathWatch,
    process: OwnedFd,
    held: HeldThread,
    others: Others,
}

impl Caught {
    /// Keeps the address space. What is read here has bounds, because no other thread gets this processor meanwhile.
    fn pin(self) -> Option<Pinned> {
        let entry = list::entry(self.pid).ok()?;
        let mut proc = ProcDir::open(entry.key).ok()?;
        proc.look_by(self.thread).ok()?;
        let number = Pid::from_raw(self.pid as i32)?;
        let process = pidfd_open(number, PidfdFlags::empty()).ok()?;
        let watch = DeathWatch::at_death(&mut proc, self.deaths).ok()?;
        keep_texts(&mut proc).ok()?;
        Some(Pinned {
            entry,
            thread: self.thread,
            proc,
            watch,
            process,
            held: self.held,
            others: self.others,
        })
    }
}

/// Returns whether everything that is read of a process can be read within a millisecond or two. The kernel looks at each
/// entry of its page tables for that. Whoever reads it before all other threads keeps others from dying meanwhile, whom
/// nobody would see: not as many can be held at once as may want to.
fn is_small(proc: &ProcDir) -> bool {
    let status = proc.read("status").unwrap_or_default();
    let tables = status::bytes(&status, "VmPTE").is_some_and(|bytes| bytes <= SMALL_TABLES);
    tables
        && proc
            .descriptors()
            .is_some_and(|count| count <= FEW_DESCRIPTORS)
}

impl Pinned {
    /// Returns whether the process dies: the kernel's mark of that is waited for.
    fn dies_within(&self, limit: Duration) -> bool {
        death_watch::dies_of(&self.proc, self.thread, limit)
    }

    /// As [`Pinned::look`], unless the process lives on.
    fn look_if_it_dies(self, sink: &HostSink) {
        match self.dies_within(MARKED_LATE) {
            true => self.look(sink),
            false => lost(self.entry.key.pid, sink),
        }
    }

    /// Reads the rest, which may take as long as the process has made it, and reports the process.
    fn look(self, sink: &HostSink) {
        let Self {
            entry,
            mut proc,
            watch,
            process,
            held,
            others,
            ..
        } = self;
        let pid = entry.key.pid;
        let copied = watch.copy_at_death(&mut proc);
        let Ok(facts) = copied.and_then(|()| facts_at_death(&mut proc)) else {
            drop(held);
            return lost(pid, sink);
        };
        let dying = Dying {
            proc,
            watch,
            facts,
            process,
        };
        report(entry.key, dying);
        others.tell();
        // Told before the end of the process can be.
        sink(HostEvent::Dying(Box::new(entry)));
        drop(held);
        gone(pid);
    }
}

/// Keeps small files, for when the process is gone before it has been looked at.
fn keep_texts(proc: &mut ProcDir) -> io::Result<()> {
    for name in ["stat", "status", "cgroup"] {
        let text = proc.read(name)?;
        proc.keep_text(name, &text)?;
    }
    let command_line = proc::read_file_up_to(proc.fd(), "cmdline", bounds::COMMAND_LINE)?;
    proc.keep_text("cmdline", &command_line)?;
    let exe = proc.link("exe").unwrap_or_default();
    proc.keep_text("exe", exe.as_bytes())
}

fn facts_at_death(proc: &mut ProcDir) -> io::Result<Facts> {
    match facts::gather(proc) {
        Ok(facts) if !facts.modules.is_empty() => Ok(facts),
        _ => {
            proc.is_gone = true;
            facts::gather(proc)
        }
    }
}

/// Notes that a process is looked at. Returns whether there is room for it.
fn come(pid: u32, user: u32) -> bool {
    let mut stash = stash();
    let stash = stash.get_or_insert_default();
    let of_user = stash.coming.values().filter(|other| other.user == user);
    let has_room = stash.kept.len() + stash.coming.len() < MOST && of_user.count() < MOST_OF_USER;
    if has_room {
        let has_ended = false;
        stash.coming.insert(pid, Coming { user, has_ended });
    }
    has_room
}

/// Keeps a process for whoever follows it.
fn report(key: ProcessKey, dying: Dying) {
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

/// Returns who a process runs as. The owner of its folder would be root for one that has changed its user.
fn user_of(pid: u32) -> Option<u32> {
    let dir = proc::open_dir(pid).ok()?;
    let status = proc::read_file(dir, "status").ok()?;
    status::ids(&status, "Uid").map(|(user, _)| user)
}

fn spend(user: u32, since: Instant) {
    let now = Instant::now();
    let spent = now.saturating_duration_since(since);
    budget().get_or_insert_default().spend(user, spent, now);
}

fn has_time_left(user: u32, now: Instant) -> bool {
    budget().get_or_insert_default().allows(user, now)
}

fn budget() -> UrgentGuard<'static, Option<CatchBudget>> {
    BUDGET.lock()
}

fn stash() -> UrgentGuard<'static, Option<Stash>> {
    STASH.lock()
}
