//! The thread that stands for the last event: keeping it there, letting it go on, and stopping the
//! other threads with it for a capture.

use super::{Sources, held_by::HeldBy, probe_source};
use crate::{
    CaptureOptions, Result,
    linux::{
        leftovers,
        other_tracer::once_others_are_done,
        proc::ProcDir,
        stop::{States, Threads},
        stopped_threads::{StoppedThreads, StoppedTraced},
        traced_process::Traced,
    },
};
use snapshot::TargetEvent;
use std::{cell::RefCell, rc::Rc, time::Instant};

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
        stands
    }

    /// While a dump is prepared for a thread that stands at its place, others that come to theirs are gathered.
    pub(super) fn gather_for(&mut self, proc: &ProcDir) {
        if let HeldBy::OurStop(_) = self.held_by {
            self.gather(proc);
        }
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

    pub(super) fn resume(&self, tid: i32) {
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
        match self.tracing.traced().cloned() {
            Some(traced) => Ok(self.stop_traced(traced, options)),
            None => self.stop_once(proc, options),
        }
    }

    fn stop_traced(
        &mut self,
        traced: Rc<RefCell<Traced>>,
        options: &CaptureOptions,
    ) -> StoppedThreads {
        let Self {
            probes, gathered, ..
        } = self;
        let threads = &mut traced.borrow_mut().threads;
        let deadline = Instant::now() + options.thread_deadline;
        threads.stop_running(deadline, &mut |states| {
            gathered.take_while_stopping(probes, states);
        });
        self.keep_gathered(threads);
        // One that a probe has held, and that did not stop there, runs as the others do.
        let runs = matches!(self.held_by, HeldBy::Probe(_));
        let stands = self.held_by.thread().filter(|_| !runs);
        if stands.is_some() && options.lets_go {
            self.held_by = HeldBy::Nothing;
        }
        let stopped = StoppedTraced::new(traced.clone(), stands, options.lets_go);
        StoppedThreads::Traced(stopped)
    }

    fn stop_once(&mut self, proc: &ProcDir, options: &CaptureOptions) -> Result<StoppedThreads> {
        let mut standing: Vec<i32> = self.gathered.standing().collect();
        if let HeldBy::OurStop(report) = std::mem::take(&mut self.held_by) {
            standing.push(report.thread);
        }
        let Self {
            probes, gathered, ..
        } = self;
        let stopped = once_others_are_done(proc, &options.cancel, |in_vain| {
            if in_vain {
                gathered.let_go_held(probes);
            }
            // Where another one was in the way, they have been let go.
            let standing = std::mem::take(&mut standing);
            let deadline = Instant::now() + options.thread_deadline;
            let mut meanwhile = |states: &States| gathered.take_while_stopping(probes, states);
            Threads::stop(proc, deadline, &standing, &options.cancel, &mut meanwhile)
        });
        let mut threads = stopped.inspect_err(|_| self.gathered.none_stopped())?;
        self.keep_gathered(&mut threads);
        Ok(StoppedThreads::Once(threads))
    }

    /// See [`Follow::may_wait_until`](crate::Follow::may_wait_until).
    pub(super) fn may_wait_until(&self) -> Option<Instant> {
        match &self.held_by {
            HeldBy::OurStop(report) if self.tracing.traced().is_none() => {
                Some(report.came + self.holds.longest)
            }
            _ => None,
        }
    }

    /// Lets those of the gathered threads go on that were kept for too long.
    pub(super) fn let_overdue_go(&mut self) {
        for thread in self.gathered.overdue(self.holds.longest) {
            self.resume(thread);
        }
    }

    /// Takes the next thread that was gathered, as an event. Those that were kept for too long go on.
    pub(super) fn next_gathered(&mut self) -> Option<TargetEvent> {
        self.let_overdue_go();
        let (report, stands) = self.gathered.next()?;
        let event = probe_source::event(&report);
        self.held_by = match stands {
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
