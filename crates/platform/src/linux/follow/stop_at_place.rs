//! Stopping threads that probes hold: each by ptrace, at its place, before its hold is let go.
//!
//! All that are held are stopped together. One by one, the thread that was let go would have to wait for a processor
//! beside those that are still held, which took up to 80 ms with four threads on two processors.

use super::{STOP_TIMEOUT, Sources};
use crate::{
    ErrorKind, Result,
    linux::{
        arch, bpf_programs::Report, leftovers, other_tracer::tracer_of, proc::ProcDir,
        rights::explain_refusal, stop::TraceState, sys::ptrace,
    },
};
use std::time::{Duration, Instant};

/// How long to wait between two looks at threads that have not stopped yet.
const INTERVAL: Duration = Duration::from_micros(20);

/// How often a thread is tried to be seized of which the refusal has no reason.
const MOST_TRIES: u32 = 3;

/// A thread that came to a place.
struct Asked {
    report: Report,
    /// Whether it was held still when it had been asked to stop, so that it stops there.
    was_held: bool,
    /// Its state as a traced thread; `None` if it is not traced.
    state: Option<TraceState>,
}

impl Sources {
    /// Stops the thread of this report, and each other one that is held now: these are told next. Returns whether
    /// the thread stands: not if the probe's time was over, or if it has ended.
    ///
    /// # Errors
    /// If we may not trace the thread.
    pub(super) fn stop_at_place(&mut self, proc: &ProcDir, report: &Report) -> Result<bool> {
        let first = self.ask_to_stop(proc, report.clone())?;
        let mut all = self.stop_all_held(proc, vec![first]).into_iter();
        let stands = all.next().is_some_and(|(_, stands)| stands);
        all.for_each(|(report, stands)| self.gathered.push(report, stands));
        Ok(stands)
    }

    /// Stops each thread that is held now, to be told next.
    pub(super) fn gather(&mut self, proc: &ProcDir) {
        for (report, stands) in self.stop_all_held(proc, Vec::new()) {
            self.gathered.push(report, stands);
        }
    }

    /// Stops these and all other held threads. Returns whether each stands.
    fn stop_all_held(&self, proc: &ProcDir, mut asked: Vec<Asked>) -> Vec<(Report, bool)> {
        let end = Instant::now() + STOP_TIMEOUT;
        loop {
            while let Some(report) = self.probes.take() {
                let is_asked =
                    |asked: &Asked| asked.state.is_some() && asked.report.thread == report.thread;
                let new = match asked.iter().any(is_asked) {
                    true => self.not_asked(report),
                    false => self.asked_if_permitted(proc, report),
                };
                asked.push(new);
            }
            let is_pending = |asked: &&mut Asked| asked.state == Some(TraceState::Pending);
            for asked in asked.iter_mut().filter(is_pending) {
                asked.state = Some(state_of(asked.report.thread));
            }
            if !asked.iter_mut().any(|asked| is_pending(&asked)) || Instant::now() > end {
                break;
            }
            std::thread::sleep(INTERVAL);
        }
        asked.into_iter().map(|asked| self.settled(asked)).collect()
    }

    /// Asks a thread to stop, and lets its hold go.
    ///
    /// # Errors
    /// If we may not trace the thread.
    fn ask_to_stop(&self, proc: &ProcDir, report: Report) -> Result<Asked> {
        let mut asked = Asked {
            was_held: self.probes.is_held(&report) && !self.is_stopped(report.thread),
            state: None,
            report,
        };
        if !asked.was_held {
            return Ok(asked);
        }
        let tid = asked.report.thread;
        let seized = match self.tracing.traced() {
            Some(_) => Ok(true),
            None => seize(proc, tid),
        };
        if !matches!(seized, Ok(true)) {
            self.probes.let_go(&asked.report);
            asked.was_held = false;
            return seized.map(|_| asked);
        }
        let _ = ptrace::interrupt(tid);
        // While it is held it does nothing else; only a signal's handler may begin before it stops.
        asked.was_held = self.probes.is_held(&asked.report);
        asked.state = Some(TraceState::Pending);
        self.probes.let_go(&asked.report);
        Ok(asked)
    }

    fn asked_if_permitted(&self, proc: &ProcDir, report: Report) -> Asked {
        let asked = self.ask_to_stop(proc, report.clone());
        asked.unwrap_or_else(|_| self.not_asked(report))
    }

    /// A thread is not asked for this report: there is one stop, and who waits for a second one waits in vain. (While probes
    /// with more room take over, both report a thread; see [`crate::linux::bpf_programs::ThreadHolds::grow`].)
    fn not_asked(&self, report: Report) -> Asked {
        self.probes.let_go(&report);
        Asked {
            report,
            was_held: false,
            state: None,
        }
    }

    /// Whether a thread that is traced all the time has been stopped by us.
    fn is_stopped(&self, tid: i32) -> bool {
        let state = self
            .tracing
            .traced()
            .map(|traced| traced.borrow().threads.states.get(&tid).copied());
        state.flatten() == Some(TraceState::Stopped)
    }

    /// Takes a thread over that has stopped or not. One that stopped elsewhere goes on.
    fn settled(&self, asked: Asked) -> (Report, bool) {
        let Asked {
            report,
            was_held,
            state: Some(state),
        } = asked
        else {
            return (asked.report, false);
        };
        let tid = report.thread;
        if let Some(traced) = self.tracing.traced() {
            traced.borrow_mut().threads.states.insert(tid, state);
        } else if state == TraceState::Pending {
            leftovers::remember(tid);
        }
        let is_stopped = state == TraceState::Stopped;
        if is_stopped && !was_held {
            self.resume(tid);
        }
        (report, was_held && is_stopped)
    }
}

/// Begins to trace a thread. Returns whether it is traced: not if it has ended, nor if another process traces it, such as a
/// firstchance that stops it for a dump of its own. Then it goes on, and what is done for it says that it comes late.
///
/// # Errors
/// If we may not trace the thread.
fn seize(proc: &ProcDir, tid: i32) -> Result<bool> {
    // Whoever traced it when it was refused may have left it since.
    let is_settled = |seized: &Result<bool>| !is_of_kind(seized, ErrorKind::NotPermitted);
    let mut tries = (0..MOST_TRIES).map(|_| try_to_seize(proc, tid));
    let seized = tries.find(is_settled);
    let seized = seized.unwrap_or_else(|| try_to_seize(proc, tid));
    match is_of_kind(&seized, ErrorKind::Busy) {
        true => Ok(false),
        false => seized,
    }
}

fn is_of_kind(seized: &Result<bool>, kind: ErrorKind) -> bool {
    seized.as_ref().is_err_and(|error| error.kind == kind)
}

fn try_to_seize(proc: &ProcDir, tid: i32) -> Result<bool> {
    match ptrace::seize(tid) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        Err(error) => Err(explain_refusal(proc, tracer_of(proc, tid), &error)),
    }
}

/// Returns the state of a thread that was asked to stop. Its signals are delivered meanwhile.
fn state_of(tid: i32) -> TraceState {
    use ptrace::Report as R;
    loop {
        match ptrace::report_of(tid) {
            Ok(Some((_, R::Signal(signal)))) => drop(ptrace::resume(tid, signal)),
            Ok(Some((_, R::Exiting(_)))) => {
                leftovers::detach(tid, 0);
                return TraceState::Exiting;
            }
            Ok(Some((_, R::Gone(_)))) | Err(_) => return TraceState::Exiting,
            Ok(Some(_)) => {
                let _ = arch::restart_interrupted(tid);
                return TraceState::Stopped;
            }
            Ok(None) => return TraceState::Pending,
        }
    }
}
