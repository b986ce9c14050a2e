//! The traced threads of a process: SEIZE until no new thread appears, INTERRUPT to hold them.
//!
//! The tracer is one OS thread. When it ends, by whatever cause, the kernel lets every tracee run
//! on as it was; nothing is ever written into the target but a restarted system call (see
//! [`arch::restart_interrupted`]).

mod reports;

use super::{
    arch, leftovers,
    proc::{ProcDir, status},
    sys::{
        nudge::Nudge,
        ptrace::{self, Report},
    },
};
use crate::{Cancel, Error, ErrorKind, Result, failpoint};
use snapshot::ProcessKey;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How a thread is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It is traced and runs on.
    Running,
    /// It is about to get this signal.
    Signal(i32),
    /// It came to a breakpoint of this place.
    Trapped(u32),
    /// Asked to stop, has not yet.
    Pending,
    /// Stopped by us.
    Stopped,
    /// It was in a group stop, by this signal, and stays in it.
    GroupStop(i32),
    /// It stands in its exit, which goes on when it is let go.
    Exiting,
}

/// A process whose threads are traced. Dropping it lets them go.
pub(crate) struct Threads {
    key: ProcessKey,
    pub(crate) held: BTreeMap<i32, Hold>,
    /// When the first thread was asked to stop.
    pub(crate) since: Instant,
    died: bool,
    executed: bool,
    /// When it was killed while held: its memory stands until we let it go.
    dying: Option<Instant>,
    /// The whole process is held in its end.
    pub(crate) in_exit: bool,
    /// How often a thread was refused.
    refused: u32,
    /// Signals that are reported: one that comes while threads are being stopped waits for that.
    pub(crate) wanted_signals: u64,
}

/// Between two looks at threads that have not stopped yet.
const LOOK: Duration = Duration::from_micros(50);
/// A process that makes threads faster than this is not to be caught up with.
const MOST_ROUNDS: usize = 200;
/// How often, and after which time, it is asked again for a thread that was refused.
const MOST_REFUSALS: u32 = 20;
const PASSING: Duration = Duration::from_micros(500);
/// How long a process that was killed while held waits for us.
const DEATH_BUDGET: Duration = Duration::from_millis(200);

impl Threads {
    /// Traces every thread, and lets all run on.
    pub(crate) fn follow(proc: &ProcDir) -> Result<Self> {
        let mut threads = Self::empty(proc.key);
        let nudge = Nudge::new();
        for _ in 0..MOST_ROUNDS {
            if threads.seize_new(proc, &nudge, Hold::Running)? == 0 {
                return Ok(threads);
            }
        }
        let key = proc.key;
        let what = format!("process {key} makes threads faster than they can be followed");
        Err(Error::new(ErrorKind::Other, what))
    }

    /// Stops every thread; those that do not stop by `deadline` stay pending. One thread may be
    /// traced and stand already.
    pub(crate) fn stop(
        proc: &ProcDir,
        deadline: Instant,
        standing: Option<i32>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let mut threads = Self::empty(proc.key);
        let standing = standing.map(|tid| (tid, Hold::Stopped));
        threads.held.extend(standing);
        let nudge = Nudge::new();
        let mut quiet = 0;
        for round in 0..MOST_ROUNDS {
            let added = threads.seize_new(proc, &nudge, Hold::Pending)?;
            quiet = if added == 0 { quiet + 1 } else { 0 };
            threads.settle(deadline, cancel)?;
            if round > 0 && (quiet >= 2 || Instant::now() > deadline) {
                break;
            }
        }
        threads.confirm(proc)
    }

    fn empty(key: ProcessKey) -> Self {
        Self {
            key,
            held: BTreeMap::new(),
            since: Instant::now(),
            died: false,
            executed: false,
            dying: None,
            in_exit: false,
            refused: 0,
            wanted_signals: 0,
        }
    }

    /// Stops the threads that run; of a process that stands in its end, they are on their way
    /// there.
    pub(crate) fn stop_running(&mut self, deadline: Instant) {
        self.since = Instant::now();
        for (tid, hold) in &mut self.held {
            if *hold == Hold::Running {
                if !self.in_exit {
                    let _ = ptrace::interrupt(*tid);
                }
                *hold = Hold::Pending;
            }
        }
        // Cancelled or not, the process must be let go as one.
        let _ = self.settle(deadline, &Cancel::default());
    }

    /// Of threads that stand: takes off signals of our breakpoints that have not been delivered yet.
    /// The threads would die of them when nobody traces them any more.
    pub(crate) fn take_off_traps(&mut self, deadline: Instant) {
        while Instant::now() < deadline {
            let waits = |(tid, hold): &(&i32, &mut Hold)| {
                **hold == Hold::Stopped && has_pending_trap(**tid)
            };
            let mut some = false;
            for (tid, hold) in self.held.iter_mut().filter(waits) {
                some = true;
                // It takes the signal, and is told to stop again behind it.
                let _ = ptrace::resume(*tid, 0);
                *hold = Hold::Pending;
            }
            if !some || self.settle(deadline, &Cancel::default()).is_err() {
                return;
            }
        }
    }

    fn confirm(self, proc: &ProcDir) -> Result<Self> {
        if self.held.is_empty() || self.died {
            return Err(died(self.key));
        }
        if self.executed {
            return Err(executed(self.key));
        }
        match proc.stat() {
            Ok(stat) if stat.start == self.key.start => Ok(self),
            _ => Err(died(self.key)),
        }
    }

    /// Seizes threads that are not held yet, and asks them to stop if they are to be pending; how
    /// many there were.
    fn seize_new(&mut self, proc: &ProcDir, nudge: &Nudge, hold: Hold) -> Result<usize> {
        let tasks = proc.tasks().map_err(|_| died(self.key))?;
        let mut added = 0;
        for tid in tasks {
            if self.held.contains_key(&tid) {
                continue;
            }
            let (seized, let_go) = nudge.around(|| ptrace::seize(tid));
            for ended in let_go {
                self.held.remove(&ended);
            }
            match seized {
                Ok(()) => {
                    let _ = failpoint("seize");
                    if hold == Hold::Pending {
                        let _ = ptrace::interrupt(tid);
                    }
                    let _ = failpoint("interrupt");
                    self.held.insert(tid, hold);
                    added += 1;
                }
                // Ended between the list and now.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                Err(_) if is_zombie(proc, tid) => {}
                // Made by a thread we hold: traced from birth, and reported soon.
                Err(_) if tracer_of(proc, tid) == Some(this_thread()) => {
                    self.held.insert(tid, hold);
                    added += 1;
                }
                // A thread that is just ending is refused too, and one that execve(2) puts in the
                // place of another is no zombie any more when we look.
                Err(error) if self.may_be_passing(&error) => {
                    std::thread::sleep(PASSING);
                    added += 1;
                }
                Err(error) => return Err(refusal(proc, tid, &error)),
            }
        }
        Ok(added)
    }

    /// Whether a refusal is worth asking again; a limited number of times.
    fn may_be_passing(&mut self, error: &std::io::Error) -> bool {
        let again = error.raw_os_error() == Some(libc::EPERM) && self.refused < MOST_REFUSALS;
        self.refused += u32::from(again);
        again
    }

    /// Takes reports until every thread stands, or the deadline is there.
    fn settle(&mut self, deadline: Instant, cancel: &Cancel) -> Result<()> {
        loop {
            self.take_reports();
            let pending = self.held.values().any(|hold| *hold == Hold::Pending);
            if !pending || Instant::now() > deadline {
                return Ok(());
            }
            if cancel.is_asked() {
                return Err(Error::new(
                    ErrorKind::Cancelled,
                    "cancelled while threads were stopped",
                ));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Whether the process still stands as it was.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.take_news();
        if self.died
            || self
                .dying
                .is_some_and(|since| since.elapsed() > DEATH_BUDGET)
        {
            return Err(died(self.key));
        }
        if self.executed {
            Err(executed(self.key))
        } else {
            Ok(())
        }
    }

    /// Lets every thread run on, still traced. Those that stand in their exit, are about to get a
    /// signal or came to a breakpoint that is still to be reported, stand on.
    pub(crate) fn run_on(&mut self) {
        for (tid, hold) in &mut self.held {
            let going = match *hold {
                Hold::Stopped => {
                    let _ = arch::restart_interrupted(*tid);
                    ptrace::resume(*tid, 0)
                }
                Hold::GroupStop(_) => ptrace::listen(*tid),
                Hold::Pending | Hold::Running => Ok(()),
                Hold::Signal(_) | Hold::Trapped(_) | Hold::Exiting => continue,
            };
            if going.is_ok() {
                *hold = Hold::Running;
            }
        }
    }

    /// Lets every thread go, each as it was.
    pub(crate) fn release(&mut self) {
        self.take_news();
        for (tid, hold) in std::mem::take(&mut self.held) {
            let _ = failpoint("detach");
            match hold {
                Hold::Stopped => {
                    let _ = arch::restart_interrupted(tid);
                    leftovers::detach(tid, 0);
                }
                Hold::Signal(signal) => leftovers::detach(tid, signal),
                Hold::GroupStop(_) | Hold::Trapped(_) | Hold::Exiting => leftovers::detach(tid, 0),
                Hold::Pending | Hold::Running => leftovers::remember(tid),
            }
        }
        leftovers::let_go();
        // What was born or reported meanwhile.
        while let Ok(Some((tid, report))) = ptrace::next_report() {
            match report {
                Report::Signal(signal) => leftovers::detach(tid, signal),
                _ => leftovers::detach(tid, 0),
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.release();
    }
}

/// Whether a SIGTRAP waits for the thread (`SigPnd` of proc_pid_status(5)).
fn has_pending_trap(tid: i32) -> bool {
    let text = std::fs::read(format!("/proc/{tid}/status")).unwrap_or_default();
    status::mask(&text, "SigPnd").is_some_and(|mask| mask & 1 << (libc::SIGTRAP - 1) != 0)
}

pub(crate) fn this_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

pub(crate) fn tracer_of(proc: &ProcDir, tid: i32) -> Option<i32> {
    let text = proc.read(&format!("task/{tid}/status")).ok()?;
    status::number(&text, "TracerPid")
        .filter(|&tracer| tracer != 0)
        .map(|tracer| tracer as i32)
}

pub(crate) fn is_zombie(proc: &ProcDir, tid: i32) -> bool {
    let text = proc.read(&format!("task/{tid}/stat")).unwrap_or_default();
    super::proc::stat::parse(&text).is_none_or(|stat| matches!(stat.state, 'Z' | 'X'))
}

fn died(key: ProcessKey) -> Error {
    Error::new(
        ErrorKind::TargetDied,
        format!("process {key} ended while it was being dumped"),
    )
}

pub(crate) fn executed(key: ProcessKey) -> Error {
    let what = format!("process {key} became another program (execve) while it was being dumped");
    Error::new(ErrorKind::TargetDied, what)
        .advise("It runs on unharmed; ask again for a dump of what it is now.")
}

fn refusal(proc: &ProcDir, tid: i32, error: &std::io::Error) -> Error {
    super::rights::explain_refusal(proc, tracer_of(proc, tid), error)
}
