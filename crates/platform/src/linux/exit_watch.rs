//! Waiting for the end of a process while its memory still stands (`PTRACE_EVENT_EXIT`).
//!
//! The threads are traced but run on; each signal they get makes a stop of some microseconds, so
//! that a target with thousands of signals a second feels it.

use super::{
    arch,
    proc::ProcDir,
    rights::explain_refusal,
    stop::Threads,
    sys::{
        ptrace::{self, Report},
        signals,
    },
};
use crate::{Error, ErrorKind, Result};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Between two looks, where no SIGCHLD woke us (another target's thread may have got it).
const LOOK: Duration = Duration::from_millis(5);
/// A process that makes threads faster than this is not to be caught up with.
const MOST_ROUNDS: usize = 200;

/// A process whose threads are traced and run.
pub(crate) struct ExitWatch {
    running: BTreeSet<i32>,
    /// Threads that stand in their exit.
    exiting: BTreeMap<i32, i32>,
    gone: Option<i32>,
}

/// What came of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing so far.
    NotYet,
    /// It is about to end, with this status, and stands.
    Exiting(i32),
    /// It is gone.
    Gone(i32),
}

impl ExitWatch {
    /// Traces every thread, until no new one appears.
    pub(crate) fn begin(proc: &ProcDir) -> Result<Self> {
        let mut watch = Self {
            running: BTreeSet::new(),
            exiting: BTreeMap::new(),
            gone: None,
        };
        for _ in 0..MOST_ROUNDS {
            if watch.seize_new(proc)? == 0 {
                return Ok(watch);
            }
        }
        let what = format!(
            "process {} makes threads faster than they can be followed",
            proc.key
        );
        Err(Error::new(ErrorKind::Other, what))
    }

    fn seize_new(&mut self, proc: &ProcDir) -> Result<usize> {
        let tasks = proc
            .tasks()
            .map_err(|e| Error::of_process("looking", proc.key, &e))?;
        let mut added = 0;
        for tid in tasks
            .into_iter()
            .filter(|tid| !self.running.contains(tid))
            .collect::<Vec<_>>()
        {
            match ptrace::seize(tid) {
                Ok(()) => added += usize::from(self.running.insert(tid)),
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                Err(error) => match super::stop::tracer_of(proc, tid) {
                    Some(tracer) if tracer == super::stop::this_thread() => {
                        self.running.insert(tid);
                    }
                    None if super::stop::is_zombie(proc, tid) => {}
                    tracer => return Err(explain_refusal(proc, tracer, &error)),
                },
            }
        }
        Ok(added)
    }

    /// Waits for the end, at most for `limit`; everything else goes on as it would.
    pub(crate) fn wait(&mut self, limit: Duration) -> End {
        let end = Instant::now() + limit;
        loop {
            while let Ok(Some((tid, report))) = ptrace::next_report() {
                if let Some(status) = self.take(tid, report) {
                    return End::Exiting(status);
                }
            }
            if let Some(status) = self.gone {
                return End::Gone(status);
            }
            if Instant::now() >= end {
                return End::NotYet;
            }
            signals::wait_for_child(LOOK);
        }
    }

    /// Lets a thread go on as it was; the status when the whole process ends.
    fn take(&mut self, tid: i32, report: Report) -> Option<i32> {
        self.running.insert(tid);
        let _ = match report {
            Report::Signal(signal) => ptrace::resume(tid, signal),
            Report::GroupStop(_) => ptrace::listen(tid),
            Report::Interrupted | Report::Cloned(_) | Report::OtherStop => ptrace::resume(tid, 0),
            Report::Executed => {
                self.running = BTreeSet::from([tid]);
                ptrace::resume(tid, 0)
            }
            Report::Exiting(status) if arch::is_leaving_alone(tid) && self.running.len() > 1 => {
                self.running.remove(&tid);
                let _ = status;
                ptrace::resume(tid, 0)
            }
            Report::Exiting(status) => {
                self.running.remove(&tid);
                self.exiting.insert(tid, status);
                return Some(status);
            }
            Report::Gone(status) => {
                self.running.remove(&tid);
                if self.running.is_empty() {
                    self.gone = Some(status);
                }
                Ok(())
            }
        };
        None
    }

    /// Holds the whole process: in its end, or else in the middle of what it does.
    pub(crate) fn hold(self, proc: &ProcDir, deadline: Instant) -> Threads {
        if self.exiting.is_empty() {
            for tid in &self.running {
                let _ = ptrace::interrupt(*tid);
            }
        }
        Threads::in_exit(proc, self.running, self.exiting.into_keys(), deadline)
    }
}
