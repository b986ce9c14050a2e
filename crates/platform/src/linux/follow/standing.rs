//! The thread that stands for the last event: keeping it there, letting it go on, and stopping the
//! other threads with it for a capture.

use super::{STOP_TIMEOUT, Sources, gathered::LONGEST_KEPT, probe_source};
use crate::{
    CaptureOptions, Result, Standing,
    linux::{
        arch,
        bpf_programs::{Death, Report},
        leftovers,
        proc::ProcDir,
        rights::explain_refusal,
        stop::{self, States, Threads, TraceState},
        stopped_threads::{StoppedThreads, StoppedTraced},
        sys::ptrace,
        traced_process::Fate,
    },
};
use snapshot::TargetEvent;
use std::time::{Duration, Instant};

/// What holds the thread of the last event.
#[derive(Default)]
pub(super) enum HeldBy {
    /// Nothing: the process runs, or is gone.
    #[default]
    Nothing,
    /// The thread is traced, and stands for its event. If that is a signal, this has what the
    /// signal will do.
    Tracer(i32, Option<Fate>),
    /// A uprobe holds the thread, for some milliseconds at most.
    Probe(Report),
    /// The thread came to a place, and was stopped by us since.
    OurStop(Report),
    /// The process is dead, and its memory is kept. The thread that had the fault is the first.
    Death(Vec<Death>),
}

impl HeldBy {
    /// Returns what is told of the thread.
    pub(super) fn standing(&self) -> Standing {
        let registers = match self {
            HeldBy::Nothing => None,
            HeldBy::Tracer(tid, _) => arch::general(*tid).ok(),
            HeldBy::Probe(report) | HeldBy::OurStop(report) => Some(report.registers),
            HeldBy::Death(deaths) => deaths.first().map(|death| death.registers),
        };
        let kind = match self {
            HeldBy::Probe(report) | HeldBy::OurStop(report) => report.kind,
            HeldBy::Nothing | HeldBy::Tracer(..) | HeldBy::Death(_) => None,
        };
        let since = match self {
            HeldBy::Probe(report) | HeldBy::OurStop(report) => Some(report.came),
            HeldBy::Nothing | HeldBy::Tracer(..) | HeldBy::Death(_) => None,
        };
        Standing {
            registers,
            kind,
            since,
            is_deadly: matches!(
                self,
                HeldBy::Tracer(_, Some(Fate::Death)) | HeldBy::Death(_)
            ),
        }
    }

    /// Returns the living thread that stands.
    fn thread(&self) -> Option<i32> {
        match self {
            HeldBy::Nothing | HeldBy::Death(_) => None,
            HeldBy::Tracer(tid, _) => Some(*tid),
            HeldBy::Probe(report) | HeldBy::OurStop(report) => Some(report.thread),
        }
    }
}

impl Sources {
    /// See [`Follow::is_standing`](crate::Follow::is_standing).
    pub(super) fn is_standing(&self) -> bool {
        match &self.held_by {
            HeldBy::Nothing => false,
            HeldBy::Probe(report) => self.probes.is_held(report),
            HeldBy::Tracer(..) | HeldBy::OurStop(_) | HeldBy::Death(_) => true,
        }
    }

    /// Stops a thread that a probe holds, so that it stands for any length of time, and each other one that is held
    /// now. Returns whether it stands: not if the probe's time was over, or if it has ended.
    ///
    /// # Errors
    /// If we may not trace the thread.
    pub(super) fn stay(&mut self, proc: &ProcDir) -> Result<bool> {
        let report = match std::mem::take(&mut self.held_by) {
            HeldBy::Probe(report) => report,
            held_by => {
                let stands = !matches!(held_by, HeldBy::Nothing);
                self.held_by = held_by;
                return Ok(stands);
            }
        };
        let stands = self.stop_at_place(proc, &report);
        self.held_by = match stands {
            Ok(true) => HeldBy::OurStop(report),
            _ => HeldBy::Probe(report),
        };
        self.gather(proc);
        stands
    }

    /// While a dump is prepared for a thread that stands at its place, others that come to theirs are gathered.
    pub(super) fn gather_for(&mut self, proc: &ProcDir) {
        if let HeldBy::OurStop(_) = self.held_by {
            self.gather(proc);
        }
    }

    /// Stops each thread that is held now, to be told next.
    fn gather(&mut self, proc: &ProcDir) {
        while let Some(report) = self.probes.take() {
            let stands = self.stop_at_place(proc, &report).unwrap_or(false);
            self.gathered.push(report, stands);
        }
    }

    /// Stops a thread that a probe holds. Returns whether it stands at its place.
    ///
    /// # Errors
    /// If we may not trace the thread.
    fn stop_at_place(&self, proc: &ProcDir, report: &Report) -> Result<bool> {
        let tid = report.thread;
        if !self.probes.is_held(report) {
            return Ok(false);
        }
        let traced = self.tracing.traced();
        if traced.is_none()
            && let Err(error) = ptrace::seize(tid)
        {
            self.probes.let_go(report);
            return not_seized(proc, tid, &error);
        }
        let _ = ptrace::interrupt(tid);
        // It is held still, so it stops before it does anything else; though a signal handler may begin.
        let stands = self.probes.is_held(report);
        self.probes.let_go(report);
        let state = wait_for_stop(tid);
        if let Some(traced) = traced {
            traced.borrow_mut().threads.states.insert(tid, state);
        } else if state == TraceState::Pending {
            leftovers::remember(tid);
        }
        let stands = stands && state == TraceState::Stopped;
        if state == TraceState::Stopped && !stands {
            self.resume(tid);
        }
        Ok(stands)
    }

    /// Lets the thread that stands go on.
    pub(super) fn go_on(&mut self) {
        let held_by = std::mem::take(&mut self.held_by);
        if self.tracing.end_if_due() {
            return;
        }
        match held_by {
            HeldBy::Nothing | HeldBy::Death(_) => {}
            HeldBy::Probe(report) => self.probes.let_go(&report),
            HeldBy::Tracer(tid, _) => self.resume(tid),
            HeldBy::OurStop(report) => self.resume(report.thread),
        }
    }

    fn resume(&self, tid: i32) {
        match self.tracing.traced() {
            Some(traced) => traced.borrow_mut().go_on(tid),
            None => leftovers::detach(tid, 0),
        }
    }

    /// Stops all threads; the one that stands stays where it is.
    pub(super) fn stop_all(
        &mut self,
        proc: &ProcDir,
        options: &CaptureOptions,
    ) -> Result<StoppedThreads> {
        self.stay(proc)?;
        let deadline = Instant::now() + options.thread_deadline;
        let Self {
            probes, gathered, ..
        } = self;
        let kept: Vec<i32> = gathered.standing().collect();
        let mut meanwhile = |states: &States| gathered.take_while_stopping(probes, states);
        if let Some(traced) = self.tracing.traced().cloned() {
            let threads = &mut traced.borrow_mut().threads;
            threads.stop_running(deadline, &mut meanwhile);
            self.keep_gathered(threads);
            let stands = self.held_by.thread();
            if stands.is_some() && options.lets_go {
                self.held_by = HeldBy::Nothing;
            }
            let stopped = StoppedTraced::new(traced.clone(), stands, options.lets_go);
            return Ok(StoppedThreads::Traced(stopped));
        }
        let mut standing = kept;
        if let HeldBy::OurStop(report) = std::mem::take(&mut self.held_by) {
            standing.push(report.thread);
        }
        let mut threads =
            Threads::stop(proc, deadline, &standing, &options.cancel, &mut meanwhile)?;
        self.keep_gathered(&mut threads);
        Ok(StoppedThreads::Once(threads))
    }

    /// Takes the next thread that was gathered, as an event. One that was kept for too long goes on.
    pub(super) fn next_gathered(&mut self) -> Option<TargetEvent> {
        let (report, stands) = self.gathered.next()?;
        let event = probe_source::event(&report);
        let is_over = report.came.elapsed() > LONGEST_KEPT;
        if stands && is_over {
            self.resume(report.thread);
        }
        self.held_by = match stands && !is_over {
            true => HeldBy::OurStop(report),
            false => HeldBy::Probe(report),
        };
        Some(event)
    }

    /// Lets all threads go on that were gathered. Their events are not told.
    pub(super) fn let_gathered_go(&mut self) {
        while let Some((report, stands)) = self.gathered.next() {
            if stands {
                self.resume(report.thread);
            }
        }
    }

    /// All threads have been stopped: those that stand at a place stay there.
    fn keep_gathered(&mut self, threads: &mut Threads) {
        self.gathered.all_stopped(&threads.states);
        threads.kept = self.gathered.standing().collect();
    }
}

/// Explains why a thread could not be seized; `Ok(false)` if it has ended.
fn not_seized(proc: &ProcDir, tid: i32, error: &std::io::Error) -> Result<bool> {
    if error.raw_os_error() == Some(libc::ESRCH) {
        return Ok(false);
    }
    Err(explain_refusal(proc, stop::tracer_of(proc, tid), error))
}

/// Waits until a thread that was asked to stop stands or has ended, or the time is over.
fn wait_for_stop(tid: i32) -> TraceState {
    use ptrace::Report as R;
    let end = Instant::now() + STOP_TIMEOUT;
    while Instant::now() < end {
        match ptrace::report_of(tid) {
            Ok(Some((_, R::Signal(signal)))) => drop(ptrace::resume(tid, signal)),
            Ok(Some((_, R::Exiting(_)))) => {
                leftovers::detach(tid, 0);
                return TraceState::Exiting;
            }
            Ok(Some((_, R::Gone(_)))) | Err(_) => return TraceState::Exiting,
            Ok(Some(_)) => return TraceState::Stopped,
            Ok(None) => std::thread::sleep(Duration::from_micros(20)),
        }
    }
    TraceState::Pending
}
