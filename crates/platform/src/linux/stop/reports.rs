//! What traced threads report while they are being stopped, and while they stand (ptrace(2),
//! "Stopped states").

use super::{Threads, TraceState};
use crate::{
    failpoint,
    linux::{
        arch,
        sys::ptrace::{self, Report},
    },
};
use std::time::Instant;

impl Threads {
    /// Takes the reports of threads that have not stopped yet. Each is asked by its id: to find the
    /// next report of any thread, the kernel goes through all threads each time, which took 38 s
    /// for 10,000.
    pub(super) fn take_reports(&mut self) {
        let is_pending =
            |(tid, state): (&i32, &TraceState)| (*state == TraceState::Pending).then_some(*tid);
        let pending: Vec<i32> = self.states.iter().filter_map(is_pending).collect();
        for tid in pending {
            while self.states.get(&tid) == Some(&TraceState::Pending) && self.take_report_of(tid) {}
        }
    }

    /// Takes all reports of one thread.
    pub(super) fn take_reports_of(&mut self, tid: i32) {
        while self.take_report_of(tid) {}
    }

    /// Takes a report of one thread. Returns whether there was one.
    fn take_report_of(&mut self, tid: i32) -> bool {
        match ptrace::report_of(tid) {
            // A signal is reported again until the thread is resumed.
            Ok(Some((_, Report::Signal(_)))) if self.stands_at_signal(tid) => return false,
            Ok(Some((tid, report))) => self.take(tid, report),
            Ok(None) => return false,
            // It is not traced any more: it has ended, and nobody else will tell us.
            Err(_) => {
                self.ended += u32::from(self.states.remove(&tid).is_some());
                return false;
            }
        }
        true
    }

    fn stands_at_signal(&self, tid: i32) -> bool {
        matches!(self.states.get(&tid), Some(TraceState::Signal(_)))
    }

    /// Takes the reports of the first thread and of the leader: whatever happens to a stopped
    /// process as a whole is reported by one of them.
    pub(super) fn take_news(&mut self) {
        let first = self.states.keys().next().copied();
        let leader = Some(self.key.pid as i32).filter(|pid| Some(*pid) != first);
        first
            .into_iter()
            .chain(leader)
            .for_each(|tid| self.take_reports_of(tid));
    }

    fn take(&mut self, tid: i32, report: Report) {
        match report {
            Report::Interrupted if self.is_birth(tid) => self.stopped(tid, TraceState::Born),
            Report::Interrupted | Report::OtherStop | Report::AtSystemCall => {
                // At once: we may be killed at any moment.
                let _ = arch::restart_interrupted(tid);
                self.stopped(tid, TraceState::Stopped);
            }
            Report::GroupStop(signal) => self.stopped(tid, TraceState::GroupStop(signal)),
            Report::Cloned(child) => {
                self.made(child);
                go_on_to_stop(tid);
            }
            // If we died in this stop, the signal would be lost: let it be delivered at once. The
            // stop that we asked for is still pending, and comes before the first instruction of a
            // handler.
            Report::Signal(signal) if !self.wants(signal) => {
                let _ = ptrace::resume(tid, signal);
            }
            // A thread with a signal that is to be reported stays here until that is done.
            Report::Signal(signal) => self.stopped(tid, TraceState::Signal(signal)),
            Report::AtBreakpoint(place) => self.stopped(tid, TraceState::AtBreakpoint(place)),
            Report::Exiting(status) => self.exiting(tid, status),
            Report::Executed(former) => {
                self.executed = true;
                self.stopped(tid, TraceState::AtExec(former));
            }
            Report::Gone(_) => self.gone(tid),
        }
    }

    /// A thread that was made while threads are being stopped has to stop too.
    fn made(&mut self, child: i32) {
        if self.states.contains_key(&child) {
            return;
        }
        self.states.insert(child, TraceState::Pending);
        if self.wants_threads || self.tells_births {
            self.unborn.insert(child);
        }
    }

    /// Whether this stop is the first one of a thread, which is to be reported. Once.
    pub(crate) fn is_birth(&mut self, tid: i32) -> bool {
        self.unborn.remove(&tid)
    }

    /// Returns whether this signal is to be reported.
    pub(crate) fn wants(&self, signal: i32) -> bool {
        (1..=64).contains(&signal) && self.wanted_signals & 1 << (signal - 1) != 0
    }

    fn stopped(&mut self, tid: i32, state: TraceState) {
        let _ = failpoint("stopped");
        self.states.insert(tid, state);
    }

    /// A thread reports that it is about to end. If it was stopped, the whole process was killed:
    /// it waits in its exit until we release it, so that copying may finish. If it ran, it waits
    /// where its exit is to be reported.
    fn exiting(&mut self, tid: i32, status: i32) {
        if self.in_exit {
            self.states.insert(tid, TraceState::Exiting);
            return;
        }
        let stood = matches!(
            self.states.get(&tid),
            Some(
                TraceState::Stopped
                    | TraceState::GroupStop(_)
                    | TraceState::Signal(_)
                    | TraceState::AtBreakpoint(_)
                    | TraceState::Born
            )
        );
        if stood {
            self.dying.get_or_insert_with(Instant::now);
        } else if self.wants_threads {
            self.stopped(tid, TraceState::AtExit(status));
        } else {
            self.ended += u32::from(self.states.remove(&tid).is_some());
            let _ = ptrace::resume(tid, 0);
        }
    }

    fn gone(&mut self, tid: i32) {
        self.ended += u32::from(self.states.remove(&tid).is_some());
        self.died |= tid as u32 == self.key.pid && self.states.is_empty();
    }
}

/// Has a thread leave the system call that it stands in, and stop behind it: inside of the call it cannot be had to make
/// another one, and its registers are not yet those that it goes on with. (Any stop ends what INTERRUPT has asked for:
/// `ptrace_stop` in kernel/signal.c.)
pub(super) fn go_on_to_stop(tid: i32) {
    let _ = ptrace::interrupt(tid);
    let _ = ptrace::resume(tid, 0);
}
