//! The thread that stands for the last event: keeping it there, letting it go on, and holding the
//! others with it for a capture.

use super::{STOPPING, Sources};
use crate::{
    CaptureOptions, Result, Standing,
    linux::{
        arch,
        hold::{Death, Report},
        leftovers,
        proc::ProcDir,
        rights::explain_refusal,
        stop::{self, Hold, Threads},
        stopped::Stopped,
        sys::ptrace,
        traced::Fate,
    },
};
use std::time::{Duration, Instant};

/// Where a process stands for the last event.
#[derive(Default)]
pub(super) enum At {
    /// Nowhere: it runs, or is gone.
    #[default]
    Nothing,
    /// A traced thread stands at something that it did; of a signal, with what that will do.
    Traced(i32, Option<Fate>),
    /// A thread is held by a probe, for some milliseconds at most.
    Held(Report),
    /// A thread came to a place and has been stopped by us since.
    Stopped(Report),
    /// The process is dead, the thread with the fault first; its memory is kept.
    Dead(Vec<Death>),
}

impl At {
    /// What is told of the thread.
    pub(super) fn standing(&self) -> Standing {
        let registers = match self {
            At::Nothing => None,
            At::Traced(tid, _) => arch::general(*tid).ok(),
            At::Held(report) | At::Stopped(report) => Some(report.registers),
            At::Dead(deaths) => deaths.first().map(|death| death.registers),
        };
        let kind = match self {
            At::Held(report) | At::Stopped(report) => report.kind,
            At::Nothing | At::Traced(..) | At::Dead(_) => None,
        };
        Standing {
            registers,
            kind,
            is_deadly: matches!(self, At::Traced(_, Some(Fate::Death)) | At::Dead(_)),
        }
    }

    /// The living thread that stands.
    fn thread(&self) -> Option<i32> {
        match self {
            At::Nothing | At::Dead(_) => None,
            At::Traced(tid, _) => Some(*tid),
            At::Held(report) | At::Stopped(report) => Some(report.thread),
        }
    }
}

impl Sources {
    /// See [`Follow::is_standing`](crate::Follow::is_standing).
    pub(super) fn is_standing(&self) -> bool {
        match &self.at {
            At::Nothing => false,
            At::Held(report) => self.probes.is_held(report),
            At::Traced(..) | At::Stopped(_) | At::Dead(_) => true,
        }
    }

    /// Makes a stop of a hold; returns whether the thread stands now. It does not when it came too
    /// late for that, or ended.
    pub(super) fn stay(&mut self, proc: &ProcDir) -> Result<bool> {
        let report = match std::mem::take(&mut self.at) {
            At::Held(report) => report,
            at => {
                let stands = !matches!(at, At::Nothing);
                self.at = at;
                return Ok(stands);
            }
        };
        let tid = report.thread;
        if self.tracing.traced().is_none()
            && let Err(error) = ptrace::seize(tid)
        {
            self.probes.let_go(&report);
            let is_gone = error.raw_os_error() == Some(libc::ESRCH);
            let tracer = stop::tracer_of(proc, tid);
            return match is_gone {
                true => Ok(false),
                false => Err(explain_refusal(proc, tracer, &error)),
            };
        }
        let _ = ptrace::interrupt(tid);
        self.probes.let_go(&report);
        let hold = wait_for_stop(tid);
        if let Some(traced) = self.tracing.traced() {
            traced.borrow_mut().threads.held.insert(tid, hold);
        } else if hold == Hold::Pending {
            leftovers::remember(tid);
        }
        let stands = hold == Hold::Stopped;
        if stands {
            self.at = At::Stopped(report);
        }
        Ok(stands)
    }

    /// Lets the thread that stands go on.
    pub(super) fn go_on(&mut self) {
        let at = std::mem::take(&mut self.at);
        if self.tracing.end_if_due() {
            return;
        }
        match at {
            At::Nothing | At::Dead(_) => {}
            At::Held(report) => self.probes.let_go(&report),
            At::Traced(tid, _) => self.resume(tid),
            At::Stopped(report) => self.resume(report.thread),
        }
    }

    fn resume(&self, tid: i32) {
        match self.tracing.traced() {
            Some(traced) => traced.borrow_mut().go_on(tid),
            None => leftovers::detach(tid, 0),
        }
    }

    /// Holds all threads, the one that stands among them.
    pub(super) fn stop_all(&mut self, proc: &ProcDir, options: &CaptureOptions) -> Result<Stopped> {
        self.stay(proc)?;
        let deadline = Instant::now() + options.thread_deadline;
        if let Some(traced) = self.tracing.traced().cloned() {
            traced.borrow_mut().threads.stop_running(deadline);
            let standing = self.at.thread().filter(|_| options.lets_go);
            if standing.is_some() {
                self.at = At::Nothing;
            }
            return Ok(Stopped::Traced(traced, standing));
        }
        let standing = match std::mem::take(&mut self.at) {
            At::Stopped(report) => Some(report.thread),
            _ => None,
        };
        let threads = Threads::stop(proc, deadline, standing, &options.cancel)?;
        Ok(Stopped::Once(threads))
    }
}

/// Waits until a thread has stopped: it stands, ends, or takes too long.
fn wait_for_stop(tid: i32) -> Hold {
    use ptrace::Report as R;
    let end = Instant::now() + STOPPING;
    while Instant::now() < end {
        match ptrace::report_of(tid) {
            Ok(Some((_, R::Signal(signal)))) => drop(ptrace::resume(tid, signal)),
            Ok(Some((_, R::Exiting(_)))) => {
                leftovers::detach(tid, 0);
                return Hold::Exiting;
            }
            Ok(Some((_, R::Gone(_)))) | Err(_) => return Hold::Exiting,
            Ok(Some(_)) => return Hold::Stopped,
            Ok(None) => std::thread::sleep(Duration::from_micros(20)),
        }
    }
    Hold::Pending
}
