//! Stopping the threads of a process by ptrace(2): SEIZE every thread until no new one appears, and
//! INTERRUPT them.
//!
//! The tracer is one OS thread. When that ends, for whatever reason, the kernel lets every traced
//! thread run on as it was. Nothing is written into the target but a restarted system call (see
//! `arch::restart_interrupted`).

mod reports;
mod seize;

use super::{
    leftovers,
    proc::{ProcDir, status},
    sys::{ptrace, seize_timer::SeizeTimer},
};
use crate::{Cancel, Error, ErrorKind, Result, failpoint};
use reports::go_on_to_stop;
use snapshot::ProcessKey;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// The state of a traced thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TraceState {
    /// It runs on, while it is traced.
    Running,
    /// It stands and is about to get this signal.
    Signal(i32),
    /// It stands at the hardware breakpoint of this place.
    AtBreakpoint(u32),
    /// It was asked to stop and has not stopped yet.
    Pending,
    /// It was stopped by us.
    Stopped,
    /// It was stopped by this signal before we came (a group stop), and stays stopped afterwards.
    GroupStop(i32),
    /// It stands in its exit, which continues when it is released.
    Exiting,
    /// It stands in its exit with this status, which is still to be told.
    AtExit(i32),
    /// It stands before its first instruction, and its birth is still to be told.
    Born,
    /// It stands before the first instruction of another program, which the thread that had this id before executed.
    /// That is still to be told.
    AtExec(i32),
}

/// The state of each traced thread, by thread id.
pub(crate) type States = BTreeMap<i32, TraceState>;

/// What is to be done again and again while threads are being stopped.
pub(crate) type Meanwhile<'m> = &'m mut dyn FnMut(&States);

/// The traced threads of a process. Dropping them releases them.
pub(crate) struct Threads {
    key: ProcessKey,
    /// The state of each traced thread, by thread id.
    pub(crate) states: States,
    /// Threads that stand for events which have still to be told: they stay where they are when the
    /// others are released.
    pub(crate) kept: Vec<i32>,
    /// When the first thread was asked to stop.
    pub(crate) since: Instant,
    died: bool,
    /// Whether the process has executed another program, which is still to be told.
    pub(crate) executed: bool,
    /// When the process was killed while it was stopped. Its memory exists until we release it.
    dying: Option<Instant>,
    /// Whether the whole process is stopped in its exit.
    pub(crate) in_exit: bool,
    /// How many threads have ended that were to be stopped.
    pub(crate) ended: u32,
    /// Whether they are traced all the time, and not for one capture.
    is_followed: bool,
    /// How often a seize was refused and tried again.
    refusals: u32,
    /// Who traced a thread when its seize was refused.
    tracer: Option<i32>,
    /// Signals that are to be reported, a bit each. A thread that is about to get one while threads
    /// are being stopped stands there until that is reported.
    pub(crate) wanted_signals: u64,
    /// Whether the start and exit of threads is wanted. Those that come while threads are being
    /// stopped wait until they are reported.
    pub(crate) wants_threads: bool,
    /// Whether the start of a thread is reported in any case: hardware breakpoints have to be set
    /// for it.
    pub(crate) tells_births: bool,
    /// Threads that were made while threads were being stopped, and have not come to their first
    /// stop yet.
    unborn: BTreeSet<i32>,
}

/// How long to sleep between two checks of threads that have not stopped yet.
const POLL_INTERVAL: Duration = Duration::from_micros(50);
/// After so many checks, threads that have not stopped are looked at in `/proc`.
const ROUNDS_UNTIL_LOOK: u32 = 100;
/// How many times the threads are listed at most: a process that makes threads faster than that
/// cannot be stopped.
const MOST_ROUNDS: usize = 200;
/// How long a thread may take that goes from one stop to the next.
const BACK_WITHIN: Duration = Duration::from_secs(1);
/// How long a process that was killed while it was stopped is kept for us.
const DEATH_TIMEOUT: Duration = Duration::from_millis(200);

impl Threads {
    /// Begins to trace every thread, without stopping any.
    ///
    /// # Errors
    /// If a thread may not be traced, or threads are made faster than we can follow.
    pub(crate) fn follow(proc: &ProcDir) -> Result<Self> {
        leftovers::forget(proc.key.pid);
        let mut threads = Self::empty(proc.key);
        threads.is_followed = true;
        let timer = SeizeTimer::new();
        for _ in 0..MOST_ROUNDS {
            if threads.seize_new(proc, &timer, TraceState::Running)? == 0 {
                return Ok(threads);
            }
        }
        let key = proc.key;
        let what = format!("process {key} makes threads faster than they can be followed");
        Err(Error::new(ErrorKind::Other, what))
    }

    /// Stops every thread. Threads that do not stop by `deadline` stay [`TraceState::Pending`].
    /// `standing` are threads that are traced and stopped already.
    ///
    /// # Errors
    /// If a thread may not be traced, if the process ends or executes another program, or if the
    /// work is cancelled.
    pub(crate) fn stop(
        proc: &ProcDir,
        deadline: Instant,
        standing: &[i32],
        cancel: &Cancel,
        meanwhile: Meanwhile<'_>,
    ) -> Result<Self> {
        leftovers::forget(proc.key.pid);
        let mut threads = Self::empty(proc.key);
        let standing = standing.iter().map(|tid| (*tid, TraceState::Stopped));
        threads.states.extend(standing);
        let timer = SeizeTimer::new();
        let mut quiet = 0;
        for round in 0..MOST_ROUNDS {
            let added = threads.seize_new(proc, &timer, TraceState::Pending)?;
            quiet = if added == 0 { quiet + 1 } else { 0 };
            threads.settle(deadline, cancel, meanwhile)?;
            let is_over = round > 0 && (quiet >= 2 || Instant::now() > deadline);
            if is_over || threads.are_all(proc) {
                break;
            }
        }
        threads.confirm(proc)
    }

    /// Whether all threads that the process has stand, so that there can be no new ones. To list them again takes a millisecond
    /// for each thousand.
    fn are_all(&self, proc: &ProcDir) -> bool {
        let stands =
            |state: &TraceState| matches!(state, TraceState::Stopped | TraceState::GroupStop(_));
        let status = || proc.read("status").unwrap_or_default();
        self.states.values().all(stands)
            && status::number(&status(), "Threads") == Some(self.states.len() as u64)
    }

    fn empty(key: ProcessKey) -> Self {
        Self {
            key,
            states: States::new(),
            kept: Vec::new(),
            since: Instant::now(),
            died: false,
            executed: false,
            dying: None,
            in_exit: false,
            ended: 0,
            is_followed: false,
            refusals: 0,
            tracer: None,
            wanted_signals: 0,
            wants_threads: false,
            tells_births: false,
            unborn: BTreeSet::new(),
        }
    }

    /// Stops the traced threads that run. Threads of a process that is in its exit come to a stop
    /// by themselves.
    pub(crate) fn stop_running(&mut self, deadline: Instant, meanwhile: Meanwhile<'_>) {
        self.since = Instant::now();
        self.ended = 0;
        for (tid, state) in &mut self.states {
            if *state == TraceState::Running {
                if !self.in_exit {
                    let _ = ptrace::interrupt(*tid);
                }
                *state = TraceState::Pending;
            }
        }
        // Not cancellable: the process must be released as a whole.
        let _ = self.settle(deadline, &Cancel::default(), meanwhile);
    }

    /// Discards signals of our hardware breakpoints that stopped threads have not been delivered
    /// yet. A thread would die of one when nobody traces it any more.
    pub(crate) fn discard_breakpoint_signals(&mut self, deadline: Instant) {
        while Instant::now() < deadline {
            let waits = |(tid, state): &(&i32, &mut TraceState)| {
                **state == TraceState::Stopped && has_pending_sigtrap(**tid)
            };
            let mut some = false;
            for (tid, state) in self.states.iter_mut().filter(waits) {
                some = true;
                // It receives the signal, reports it to us, and stops again.
                let _ = ptrace::resume(*tid, 0);
                *state = TraceState::Pending;
            }
            if !some
                || self
                    .settle(deadline, &Cancel::default(), &mut |_| {})
                    .is_err()
            {
                return;
            }
        }
    }

    /// Returns the stopped threads, if they still are those of the process that was meant.
    fn confirm(self, proc: &ProcDir) -> Result<Self> {
        if self.states.is_empty() || self.died {
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

    /// Takes reports until every thread has stopped, or the deadline has passed.
    fn settle(
        &mut self,
        deadline: Instant,
        cancel: &Cancel,
        meanwhile: Meanwhile<'_>,
    ) -> Result<()> {
        for round in 1_u32.. {
            meanwhile(&self.states);
            self.take_reports();
            if round.is_multiple_of(ROUNDS_UNTIL_LOOK) {
                self.forget_ended();
            }
            let pending = self
                .states
                .values()
                .any(|state| *state == TraceState::Pending);
            if !pending || Instant::now() > deadline {
                return Ok(());
            }
            if cancel.is_asked() {
                return Err(Error::new(
                    ErrorKind::Cancelled,
                    "cancelled while threads were stopped",
                ));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Forgets threads that have ended without a report: a first thread that had passed its exit stop when it was
    /// seized reports nothing before all others are gone, and these may stand because of us.
    fn forget_ended(&mut self) {
        let before = self.states.len();
        self.states
            .retain(|tid, state| *state != TraceState::Pending || !has_ended(*tid));
        self.ended += (before - self.states.len()) as u32;
    }

    /// Checks that the process is still stopped as it was.
    ///
    /// # Errors
    /// If it died, or executed another program. A process that was killed when it stood stays for a moment; but if it
    /// was killed while it was being stopped, threads are missing.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.take_news();
        let is_over = |since: Instant| self.ended > 0 || since.elapsed() > DEATH_TIMEOUT;
        if self.died || self.states.is_empty() || self.dying.is_some_and(is_over) {
            return Err(died(self.key));
        }
        if self.executed {
            Err(executed(self.key))
        } else {
            Ok(())
        }
    }

    /// Takes back a thread that has made calls for us, and stands behind the last one, where it stood before. `signal` came to
    /// it meanwhile, 0 for none.
    ///
    /// One that is detached goes by where the kernel looks for signals, and for calls to be made again. One that runs on traced
    /// does so if it stops there once more (`arch_do_signal_or_restart`; `ptrace_unlink` and `ptrace_resume` in
    /// kernel/ptrace.c). That is waited for: else it would stand there until somebody takes its report, which may be long
    /// where other threads have more to tell all the time.
    pub(crate) fn came_back(&mut self, tid: i32, signal: i32) {
        if !self.is_followed {
            if signal != 0 {
                self.states.insert(tid, TraceState::Signal(signal));
            }
            return;
        }
        go_on_to_stop(tid);
        self.states.insert(tid, TraceState::Pending);
        self.settle_thread(tid, Instant::now() + BACK_WITHIN);
        let pid = rustix::process::Pid::from_raw(self.key.pid as i32);
        let signal = rustix::process::Signal::from_named_raw(signal);
        if let (Some(pid), Some(signal)) = (pid, signal) {
            // SIGSTOP, which alone cannot be blocked: to the process, as it came.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Takes reports of a thread until it has stopped, or the deadline has passed.
    fn settle_thread(&mut self, tid: i32, deadline: Instant) {
        self.take_reports_of(tid);
        while self.states.get(&tid) == Some(&TraceState::Pending) && Instant::now() < deadline {
            std::thread::sleep(POLL_INTERVAL);
            self.take_reports_of(tid);
        }
    }

    /// A thread that was to make a call for us has not returned from it.
    pub(crate) fn did_not_come_back(&mut self, tid: i32, error: &std::io::Error) {
        let state = match error.kind() {
            std::io::ErrorKind::NotFound => None,
            // It goes on in its exit.
            std::io::ErrorKind::Interrupted => Some(TraceState::Running),
            // It comes back by itself, and is let go when it stands.
            _ => Some(TraceState::Pending),
        };
        match state {
            Some(state) => drop(self.states.insert(tid, state)),
            None => {
                self.states.remove(&tid);
                self.ended += 1;
            }
        }
    }

    /// Lets every thread run on, still traced, but the one that `stands` for an event, and those that
    /// are kept. A thread also
    /// stays where it is if something of it is still to be reported: a signal, a breakpoint, its
    /// start, or its exit.
    pub(crate) fn run_on(&mut self, stands: Option<i32>) {
        for (tid, state) in &mut self.states {
            if Some(*tid) == stands || self.kept.contains(tid) {
                continue;
            }
            let going = match *state {
                // The whole process ends, and one thread has been reported for that.
                TraceState::Stopped | TraceState::Exiting => ptrace::resume(*tid, 0),
                TraceState::GroupStop(_) => ptrace::listen(*tid),
                TraceState::Pending | TraceState::Running => Ok(()),
                _ => continue,
            };
            if going.is_ok() {
                *state = TraceState::Running;
            }
        }
    }

    /// Releases every thread in the state in which it was found, but those that are kept.
    pub(crate) fn release(&mut self) {
        self.take_news();
        let leader = self.key.pid as i32;
        if !self.states.contains_key(&leader) && !self.kept.contains(&leader) {
            // One that executes a program just now gets the leader's id.
            leftovers::remember(leader);
        }
        for (tid, state) in std::mem::take(&mut self.states) {
            let _ = failpoint("detach");
            match state {
                TraceState::Stopped if self.kept.contains(&tid) => {}
                TraceState::Signal(signal) => leftovers::detach(tid, signal),
                TraceState::Pending | TraceState::Running => leftovers::remember(tid),
                _ => leftovers::detach(tid, 0),
            }
        }
        leftovers::let_go_soon();
        // Threads that were born, or reported something, meanwhile.
        while let Ok(Some((tid, report))) = ptrace::next_report() {
            leftovers::let_go_after(tid, report);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.release();
    }
}

/// Returns whether a thread has ended.
fn has_ended(tid: i32) -> bool {
    let text = std::fs::read(format!("/proc/{tid}/status")).unwrap_or_default();
    status::field(&text, "State").is_none_or(|state| state.starts_with(['Z', 'X']))
}

/// Returns whether a SIGTRAP is pending for the thread (`SigPnd` of proc_pid_status(5)).
fn has_pending_sigtrap(tid: i32) -> bool {
    let text = std::fs::read(format!("/proc/{tid}/status")).unwrap_or_default();
    status::mask(&text, "SigPnd").is_some_and(|mask| mask & 1 << (libc::SIGTRAP - 1) != 0)
}

fn died(key: ProcessKey) -> Error {
    Error::new(
        ErrorKind::TargetDied,
        format!("process {key} ended while it was being dumped"),
    )
}

/// Returns the error for a process that executed another program.
pub(crate) fn executed(key: ProcessKey) -> Error {
    let what = format!("process {key} became another program (execve) while it was being dumped");
    Error::new(ErrorKind::Executed, what)
        .advise("It runs on unharmed; ask again for a dump of what it is now.")
}
