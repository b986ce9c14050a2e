//! A process whose threads are traced while they run. Tracing shows what nothing else does: the end
//! of the process while its memory still exists (`PTRACE_EVENT_EXIT`), signals before they are
//! delivered, and threads that start and exit.
//!
//! Every signal that a thread gets stops it for some microseconds, wanted or not, so a process with
//! thousands of signals a second is slowed down.

use super::{
    arch, leftovers, namespace_init,
    proc::{ProcDir, status},
    stop::{Threads, TraceState},
    sys::ptrace::{self, Report, SignalInfo},
    thread_end,
};
use crate::Result;

/// Signals whose default action is to do nothing, or to stop the process (signal(7)).
pub(crate) const HARMLESS: [i32; 8] = [
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGURG,
    libc::SIGWINCH,
    libc::SIGSTOP,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// The traced threads of a process, and which of their events are wanted.
pub(crate) struct Traced {
    /// The traced threads and their states.
    pub(crate) threads: Threads,
    gone: Option<i32>,
    /// Whether it is the first process of a pid namespace.
    is_namespace_init: bool,
    /// A signal that ends the process, and is told as two events.
    last: Option<LastSignal>,
    /// The signal that was reported last, if it ends the process.
    deadly: Option<i32>,
    /// Whether a thread has been let go on with that signal. From then on the kernel may be writing the core of the process,
    /// which a thread that is asked to stop breaks off (`pipe_write` in fs/pipe.c).
    pub(crate) is_let_die: bool,
}

/// A signal that ends the process, of which the kernel makes no two stops as it does usually.
#[derive(Clone, Copy, Debug)]
struct LastSignal {
    tid: i32,
    signal: i32,
    stage: LastStage,
    /// Whether the thread stands at its fault, which ends the process once it is detached: in the first process of a
    /// pid namespace. Else it stands in its exit.
    is_fault: bool,
}

/// What has been reported of such a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastStage {
    /// The signal, where that is wanted.
    Signal,
    /// Next comes the end of the process.
    EndIsNext,
    /// The end of the process, too.
    End,
}

/// An event of a traced process. All but the last name the thread that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TraceEvent {
    /// The process is about to end with this status.
    Exiting(i32, i32),
    /// A thread is about to get a signal.
    Signal(i32, SignalInfo, Fate),
    /// A thread came to the hardware breakpoint of this place.
    AtBreakpoint(i32, u32),
    /// A thread has started.
    ThreadStart(i32),
    /// A thread is about to exit.
    ThreadExit(i32),
    /// The process executed another program, and is at its first instruction; with the id that the thread had before.
    Executed(i32, i32),
    /// The process has ended with this status.
    Gone(i32),
}

/// What a signal will do to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The process has a handler for it.
    Handled,
    /// It is ignored, or stops the process.
    Nothing,
    /// It ends the process.
    Death,
}

impl Traced {
    /// Begins to trace every thread. `signals` has a bit for each signal that is wanted.
    ///
    /// # Errors
    /// If the process may not be traced, or has ended.
    pub(crate) fn begin(proc: &ProcDir, signals: u64, wants_threads: bool) -> Result<Self> {
        let mut threads = Threads::follow(proc)?;
        threads.wanted_signals = signals;
        threads.wants_threads = wants_threads;
        Ok(Self {
            threads,
            gone: None,
            is_namespace_init: namespace_init::is_namespace_init(proc),
            last: None,
            deadly: None,
            is_let_die: false,
        })
    }

    /// Sets which events are wanted from now on.
    pub(crate) fn want(&mut self, signals: u64, threads: bool) {
        self.threads.wanted_signals = signals;
        self.threads.wants_threads = threads;
    }

    /// Returns the next wanted event, without waiting; all others are passed on. `None` if there is
    /// none.
    pub(crate) fn next(&mut self, proc: &ProcDir) -> Option<TraceEvent> {
        if let Some(event) = self.waiting(proc) {
            return Some(event);
        }
        while let Ok(Some((tid, report))) = ptrace::next_report() {
            let event = self.take(proc, tid, report);
            if event.is_some() {
                return event;
            }
        }
        self.gone.map(TraceEvent::Gone)
    }

    /// Returns an event that a thread reported while all threads were being stopped.
    fn waiting(&mut self, proc: &ProcDir) -> Option<TraceEvent> {
        if let Some(last) = &mut self.last
            && last.stage == LastStage::EndIsNext
        {
            last.stage = LastStage::End;
            self.threads.in_exit = true;
            return Some(TraceEvent::Exiting(last.tid, -last.signal));
        }
        loop {
            let mut states = self.threads.states.iter();
            let (tid, state) = states.find(|(_, state)| waits(**state))?;
            let event = self.event_of(proc, *tid, *state);
            if event.is_some() {
                return event;
            }
        }
    }

    /// Returns the event for which a thread waits, if it is wanted. It does not wait any more.
    fn event_of(&mut self, proc: &ProcDir, tid: i32, state: TraceState) -> Option<TraceEvent> {
        match state {
            TraceState::AtBreakpoint(place) => Some(self.trapped(tid, place)),
            TraceState::Born => Some(self.born(tid)),
            TraceState::AtExec(former) => Some(self.executed(tid, former)),
            TraceState::AtExit(status) => {
                self.threads.states.insert(tid, TraceState::Running);
                self.exiting(proc, tid, status)
            }
            _ => self.signal(proc, tid),
        }
    }

    fn born(&mut self, tid: i32) -> TraceEvent {
        self.threads.states.insert(tid, TraceState::Stopped);
        TraceEvent::ThreadStart(tid)
    }

    fn executed(&mut self, tid: i32, former: i32) -> TraceEvent {
        self.threads.states.clear();
        self.threads.in_exit = false;
        self.threads.executed = false;
        self.threads.states.insert(tid, TraceState::Stopped);
        TraceEvent::Executed(tid, former)
    }

    fn trapped(&mut self, tid: i32, place: u32) -> TraceEvent {
        self.threads.states.insert(tid, TraceState::Stopped);
        TraceEvent::AtBreakpoint(tid, place)
    }

    fn signal(&mut self, proc: &ProcDir, tid: i32) -> Option<TraceEvent> {
        match ptrace::signal_info(tid) {
            Ok(info) => {
                let info = SignalInfo::read(&info);
                let fate = fate(proc, info.number);
                let is_fatal = fate == Fate::Death && namespace_init::is_own_fault(&info);
                if self.is_namespace_init && is_fatal {
                    self.last = Some(LastSignal {
                        tid,
                        signal: info.number,
                        stage: LastStage::Signal,
                        is_fault: true,
                    });
                }
                self.deadly = (fate == Fate::Death).then_some(info.number);
                Some(TraceEvent::Signal(tid, info, fate))
            }
            // It was killed where it stood.
            Err(_) => {
                self.threads.states.insert(tid, TraceState::Running);
                None
            }
        }
    }

    fn take(&mut self, proc: &ProcDir, tid: i32, report: Report) -> Option<TraceEvent> {
        let known = self.threads.states.insert(tid, TraceState::Running);
        let _ = match report {
            Report::Signal(signal) if self.threads.wants(signal) => {
                self.threads.states.insert(tid, TraceState::Signal(signal));
                return self.signal(proc, tid);
            }
            Report::Signal(signal)
                if self.is_namespace_init && namespace_init::is_fault(signal) =>
            {
                self.threads.states.insert(tid, TraceState::Signal(signal));
                let _ = self.signal(proc, tid);
                self.go_on(tid);
                return self.waiting(proc);
            }
            Report::Signal(signal) => ptrace::resume(tid, signal),
            Report::AtBreakpoint(place) => return Some(self.trapped(tid, place)),
            Report::GroupStop(_) => ptrace::listen(tid),
            Report::Interrupted if self.is_told_birth(tid, known) => return Some(self.born(tid)),
            Report::Interrupted | Report::Cloned(_) | Report::OtherStop | Report::AtSystemCall => {
                // It was asked to stop for a dump that is taken by now.
                let _ = arch::restart_interrupted(tid);
                ptrace::resume(tid, 0)
            }
            Report::Executed(former) => return Some(self.executed(tid, former)),
            Report::Exiting(status) => return self.exiting(proc, tid, status),
            Report::Gone(status) => {
                self.threads.states.remove(&tid);
                if self.threads.states.is_empty() {
                    self.gone = Some(status);
                }
                Ok(())
            }
        };
        None
    }

    /// Whether this is the first stop of a thread, which is to be told.
    fn is_told_birth(&mut self, tid: i32, known: Option<TraceState>) -> bool {
        let is_new = self.threads.is_birth(tid) || known.is_none();
        is_new && (self.threads.wants_threads || self.threads.tells_births)
    }

    fn exiting(&mut self, proc: &ProcDir, tid: i32, status: i32) -> Option<TraceEvent> {
        if self.last.is_some_and(|last| !last.is_fault) {
            // It stands with the thread that was told late, so that the dump has it.
            self.threads.states.insert(tid, TraceState::Exiting);
            return None;
        }
        let is_alone = self.threads.states.len() > 1
            && (arch::is_leaving_alone(tid)
                || !self.threads.in_exit && thread_end::goes_on_without(proc, tid, status));
        // As at the end of a process, the threads of a program that is replaced are not told.
        let is_told = self.threads.wants_threads && (status != 0 || arch::is_leaving_alone(tid));
        match (is_alone, self.threads.in_exit, is_told) {
            (true, _, true) => {
                self.threads.states.insert(tid, TraceState::Stopped);
                return Some(TraceEvent::ThreadExit(tid));
            }
            (true, _, false) => drop(self.threads.states.remove(&tid)),
            (false, false, _) if self.is_untold(proc, -status) => {
                return Some(self.told_late(tid, -status));
            }
            (false, false, _) => {
                self.threads.in_exit = true;
                self.threads.states.insert(tid, TraceState::Exiting);
                return Some(TraceEvent::Exiting(tid, status));
            }
            // Another thread was reported for the end of the process.
            (false, true, _) => drop(self.threads.states.insert(tid, TraceState::Running)),
        }
        let _ = ptrace::resume(tid, 0);
        None
    }

    /// Returns whether a wanted signal ends the process and was not seen before. If the first thread has ended, it
    /// cannot be traced, and the kernel turns a signal to the process that ends it without a core into SIGKILLs to its
    /// threads as soon as it is sent (`complete_signal` in `kernel/signal.c`).
    fn is_untold(&self, proc: &ProcDir, signal: i32) -> bool {
        let is_traced = self.threads.states.contains_key(&(proc.key.pid as i32));
        self.threads.wants(signal) && !is_traced && self.deadly != Some(signal)
    }

    /// Reports the signal for the thread that stands in its exit; the end of the process comes next.
    fn told_late(&mut self, tid: i32, signal: i32) -> TraceEvent {
        self.threads.states.insert(tid, TraceState::Exiting);
        self.deadly = Some(signal);
        self.threads.in_exit = true;
        self.last = Some(LastSignal {
            tid,
            signal,
            stage: LastStage::Signal,
            is_fault: false,
        });
        let info = SignalInfo {
            number: signal,
            code: 0,
            address: 0,
            sender: 0,
        };
        TraceEvent::Signal(tid, info, Fate::Death)
    }

    /// Lets the thread that stands for an event run on.
    pub(crate) fn go_on(&mut self, tid: i32) {
        if let Some(last) = self.last.filter(|last| last.tid == tid) {
            return self.go_on_to_end(last);
        }
        let state = self.threads.states.insert(tid, TraceState::Running);
        let _ = match state {
            Some(TraceState::Signal(signal)) => {
                self.is_let_die |= self.deadly == Some(signal);
                ptrace::resume(tid, signal)
            }
            Some(TraceState::Stopped | TraceState::Exiting) => ptrace::resume(tid, 0),
            _ => Ok(()),
        };
    }

    /// The thread of a last signal goes on: first the end of the process is reported. Then a thread at its fault is
    /// detached, so that the fault ends it.
    fn go_on_to_end(&mut self, last: LastSignal) {
        let is_alone = !self.threads.in_exit || !last.is_fault;
        if last.stage == LastStage::Signal && is_alone {
            let stage = LastStage::EndIsNext;
            self.last = Some(LastSignal { stage, ..last });
            self.threads.states.insert(last.tid, TraceState::Exiting);
            return;
        }
        self.last = None;
        match last.is_fault {
            true => {
                self.threads.states.remove(&last.tid);
                leftovers::detach(last.tid, 0);
            }
            false => self.go_on_at_exit(),
        }
    }

    fn go_on_at_exit(&mut self) {
        let states = self.threads.states.iter();
        let standing = states.filter(|(_, state)| **state == TraceState::Exiting);
        let standing: Vec<i32> = standing.map(|(tid, _)| *tid).collect();
        standing.into_iter().for_each(|tid| self.go_on(tid));
    }
}

/// Whether a thread stands for an event that has still to be told.
fn waits(state: TraceState) -> bool {
    use TraceState as S;
    matches!(
        state,
        S::Signal(_) | S::AtBreakpoint(_) | S::Born | S::AtExit(_) | S::AtExec(_)
    )
}

/// Returns what a signal will do (signal(7); masks of proc_pid_status(5)). If the process blocks or
/// ignores a fault, the kernel resets its action to the default before it is delivered
/// (`force_sig_info`), so the masks tell the truth.
fn fate(proc: &ProcDir, signal: i32) -> Fate {
    let text = proc.read("status").unwrap_or_default();
    let has = |name| status::mask(&text, name).is_some_and(|mask| mask & 1 << (signal - 1) != 0);
    if has("SigCgt") {
        return Fate::Handled;
    }
    if has("SigIgn") || HARMLESS.contains(&signal) {
        return Fate::Nothing;
    }
    Fate::Death
}
