//! Reporting processes that end and that start.
//!
//! The end is seen by a pidfd (pidfd_open(2)) in an epoll set. Starts are told by the kernel's
//! process connector ([`netlink`]) if it agrees; otherwise we [look for them](PolledStarts).

use super::{
    bpf_programs::ExecutedNames,
    dying, end_status,
    facts::COMM_LENGTH,
    forks,
    polled_starts::PolledStarts,
    proc::ProcDir,
    sys::{
        netlink::{self, ProcessEvent},
        wake::Wake,
    },
    young::Young,
};
use crate::{Error, FAULT_SIGNALS, HostEvent, HostSink, Result, lock};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use snapshot::{EndStatus, ProcessKey};
use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard},
    thread::JoinHandle,
    time::Instant,
};

/// The most bytes of `comm` (proc_pid_comm(5)): those of a thread of the kernel, and a line's end.
const COMM: usize = 65;

/// How many events are taken in one call.
const MOST_EVENTS: usize = 64;

/// The numbers by which the epoll set tells what an event is about. Processes count from
/// [`FIRST_PROCESS`].
const STARTS: u64 = 0;
const WOKEN: u64 = 1;
const FIRST_PROCESS: u64 = 2;

/// A thread that sleeps in epoll_wait(2) and reports the end of watched processes and the start of
/// any. Each process is registered once: passing 500 descriptors to poll(2) with each call took
/// longer than sampling the processes.
pub(crate) struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    epoll: OwnedFd,
    wake: Wake,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    processes: HashMap<ProcessKey, (u64, OwnedFd)>,
    /// The process that an event number is about.
    keys: HashMap<u64, ProcessKey>,
    last: u64,
    starts: Starts,
    is_over: bool,
}

/// How starts are noticed.
#[derive(Default)]
enum Starts {
    #[default]
    Ignored,
    /// The kernel reports them, and may note the names of programs.
    Reported(Young),
    /// They are looked for, because the kernel does not report them for this reason.
    Polled(PolledStarts, String),
}

impl Watcher {
    /// Begins to report to `sink`.
    ///
    /// # Errors
    /// If a descriptor or the thread cannot be made.
    pub(crate) fn begin(sink: HostSink) -> Result<Self> {
        let failed = |e: io::Error| {
            let what = format!("preparing to watch processes failed: {e}");
            Error::new(crate::ErrorKind::Other, what)
        };
        let shared = Arc::new(Shared::new().map_err(failed)?);
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().spawn(move || theirs.tell(&sink));
        Ok(Self {
            shared,
            thread: Some(thread.map_err(failed)?),
        })
    }

    /// Reports the end of this process.
    ///
    /// # Errors
    /// If it has ended already.
    pub(crate) fn watch(&self, key: ProcessKey) -> Result<()> {
        let process = open(key, "watching")?;
        let mut watched = self.shared.watched();
        watched.last += 1;
        let number = FIRST_PROCESS + watched.last;
        watched.keys.insert(number, key);
        let registered = self.shared.register(&process, number);
        registered.map_err(|e| Error::of_process("watching", key, &e))?;
        watched.processes.insert(key, (number, process));
        Ok(())
    }

    /// Ends the watching of a process.
    pub(crate) fn forget(&self, key: ProcessKey) {
        self.shared.watched().forget(key);
    }

    /// Reports processes that start.
    ///
    /// # Errors
    /// If the kernel does not report every one of them, and why.
    pub(crate) fn follow_starts(&self) -> io::Result<()> {
        let mut watched = self.shared.watched();
        if matches!(watched.starts, Starts::Ignored) {
            // Before the first report: of each process that is reported, the name is noted then.
            let _ = ExecutedNames::begin();
            let socket = self.shared.listen();
            watched.starts = socket.map_or_else(
                |error| Starts::Polled(PolledStarts::begin(), error.to_string()),
                |socket| {
                    let shared = self.shared.clone();
                    forks::listen(socket, move || shared.wake.wake());
                    Starts::Reported(Young::default())
                },
            );
            // The thread sleeps without a timeout so far.
            self.shared.wake.wake();
        }
        match &watched.starts {
            Starts::Polled(_, why) => Err(io::Error::other(why.clone())),
            Starts::Reported(_) | Starts::Ignored => Ok(()),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.watched().is_over = true;
        self.shared.wake.wake();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to report.
            let _ = thread.join();
        }
    }
}

impl Watched {
    fn forget(&mut self, key: ProcessKey) {
        // Closing the descriptor removes it from the set (epoll(7)).
        if let Some((number, _)) = self.processes.remove(&key) {
            self.keys.remove(&number);
        }
    }

    /// Returns the starts of those that a process which has ended has forked, and that have waited till now.
    fn children_of(&mut self, key: ProcessKey) -> Vec<HostEvent> {
        match &mut self.starts {
            Starts::Reported(young) => {
                let forked = young.of(key.pid).into_iter();
                forked.map(HostEvent::Started).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns the process that an event is about, and how it has ended.
    fn exited(&mut self, number: u64) -> Option<(ProcessKey, Option<EndStatus>)> {
        let key = self.keys.get(&number).copied()?;
        let process = self.processes.get(&key);
        let status = process.and_then(|(_, pidfd)| end_status::of(key, pidfd));
        self.forget(key);
        Some((key, status))
    }

    fn started(&mut self) -> Vec<HostEvent> {
        match &mut self.starts {
            Starts::Reported(young) => match forks::take() {
                Ok(events) => without_young(&events, young),
                Err(_) => vec![HostEvent::StartsLost],
            },
            Starts::Polled(starts, _) => {
                let due = starts.due().into_iter();
                due.map(HostEvent::Started).collect()
            }
            Starts::Ignored => Vec::new(),
        }
    }

    fn next_poll(&self) -> Option<Instant> {
        match &self.starts {
            Starts::Polled(starts, _) => Some(starts.next()),
            Starts::Reported(young) => young.next(),
            Starts::Ignored => None,
        }
    }
}

impl Shared {
    fn new() -> io::Result<Self> {
        let shared = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            wake: Wake::new()?,
            watched: Mutex::default(),
        };
        shared.register(&shared.wake, WOKEN)?;
        Ok(shared)
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        lock(&self.watched)
    }

    fn register(&self, what: impl AsFd, number: u64) -> io::Result<()> {
        let data = epoll::EventData::new_u64(number);
        Ok(epoll::add(&self.epoll, what, data, epoll::EventFlags::IN)?)
    }

    fn listen(&self) -> io::Result<OwnedFd> {
        let socket = netlink::listen()?;
        self.register(&socket, STARTS)?;
        Ok(socket)
    }

    /// What the thread does until the watcher is dropped: sleep, and report what happened.
    fn tell(&self, sink: &HostSink) {
        loop {
            let next = self.watched().next_poll();
            let happened = self.sleep(next);
            self.wake.take();
            let mut watched = self.watched();
            if watched.is_over {
                return;
            }
            let mut events = watched.started();
            let ended: Vec<_> = happened
                .iter()
                .filter_map(|number| watched.exited(*number))
                .collect();
            events.extend(ended.iter().flat_map(|(key, _)| watched.children_of(*key)));
            drop(watched);
            events.into_iter().for_each(|event| sink(event));
            if !ended.is_empty() {
                // Whoever has died before is told before.
                dying::settle();
            }
            let ends = ended.into_iter();
            ends.for_each(|(key, status)| sink(HostEvent::Exited(key, status)));
        }
    }

    /// Sleeps until something happens or `until` has come. Returns the numbers of what happened.
    fn sleep(&self, until: Option<Instant>) -> Vec<u64> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        });
        let mut events = Vec::with_capacity(MOST_EVENTS);
        // An interrupted wait returns no events, and is repeated.
        let _ = epoll::wait(&self.epoll, spare_capacity(&mut events), left.as_ref());
        let number = |event: &epoll::Event| event.data.u64();
        events.iter().map(number).collect()
    }
}

/// Opens a pidfd of exactly this process, for this.
fn open(key: ProcessKey, to: &str) -> Result<OwnedFd> {
    if let Some(process) = dying::process(key) {
        return Ok(process);
    }
    let failed = |e: io::Error| Error::of_process(to, key, &e);
    let pid =
        Pid::from_raw(key.pid as i32).ok_or_else(|| failed(rustix::io::Errno::SRCH.into()))?;
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|e| failed(e.into()))?;
    // The pidfd is that of whoever has the pid now: check that it is the process that is meant.
    ProcDir::open(key)?;
    Ok(process)
}

/// Checks that the kernel reports processes that start.
///
/// # Errors
/// If it does not, and why.
pub(super) fn starts_are_reported() -> io::Result<()> {
    netlink::listen().map(drop)
}

/// Kills exactly this process.
pub(crate) fn kill(key: ProcessKey) -> Result<()> {
    let what = "ending";
    let sent = pidfd_send_signal(open(key, what)?, Signal::KILL);
    sent.map_err(|e| Error::of_process(what, key, &e.into()))
}

/// Returns the starts of these events that need not wait, and of those that have waited, and the deaths of those that
/// nobody may have looked at. One that was forked and has executed a program since is named once: whoever looks at it
/// then sees the program.
fn without_young(events: &[ProcessEvent], young: &mut Young) -> Vec<HostEvent> {
    let (mut started, mut unseen) = (Vec::new(), Vec::new());
    let mut executed = HashSet::new();
    for event in events {
        match *event {
            ProcessEvent::Forked { pid, parent } => {
                started.extend((!young.takes(pid, parent)).then_some(pid));
            }
            ProcessEvent::Executed(pid) => {
                young.executes(pid);
                started.push(pid);
                executed.insert(pid);
            }
            ProcessEvent::Killed { pid, signal } => {
                let was_caught = dying::was_caught(pid);
                let is_of_followed = young.ends(pid);
                let ancestors = (!is_of_followed).then(|| forks::known_ancestors(pid));
                if !was_caught && FAULT_SIGNALS.contains(&signal) {
                    let names = ExecutedNames::noted(pid);
                    unseen.push(HostEvent::Unseen {
                        pid,
                        ancestors,
                        names,
                    });
                }
            }
        }
    }
    started.extend(young.due());
    let mut seen = HashSet::new();
    let started = started.into_iter().filter(|pid| seen.insert(*pid));
    let told = started.map(|pid| match executed.contains(&pid) {
        true => HostEvent::Executed(pid, names_of(pid)),
        false => HostEvent::Started(pid),
    });
    told.chain(unseen).collect()
}

/// The names of a program that has just started: some end before anybody can look at more of them.
fn names_of(pid: u32) -> Vec<String> {
    let noted = ExecutedNames::noted(pid);
    match noted.is_empty() {
        true => kept_name(pid).into_iter().collect(),
        false => noted,
    }
}

/// The name that the kernel keeps, if the process is still there. One of full length may be the beginning of another.
fn kept_name(pid: u32) -> Option<String> {
    // One read of a small file, for every program that starts on the machine.
    let mut name = [0; COMM];
    let mut comm = File::open(format!("/proc/{pid}/comm")).ok()?;
    let len = comm.read(&mut name).ok()?;
    let name = String::from_utf8_lossy(&name[..len]);
    let name = name.trim_end_matches('\n').to_owned();
    Some(name).filter(|name| name.len() < COMM_LENGTH)
}
