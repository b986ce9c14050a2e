//! The source of events that only tracing shows: signals before their handlers run, threads that
//! start and exit, and the end of the process while its memory still exists. It also reports
//! hardware breakpoints, for places that have no uprobe.

use super::{
    STOP_TIMEOUT,
    held_by::HeldBy,
    probe_source::not_armed,
    signal_event,
    source::{Source, Wanted},
};
use crate::{
    ArmedPlace, Cancel, Error, Result,
    linux::{
        bpf_programs::{Report, SignalSenders},
        hardware_breakpoints::{self, HardwareBreakpoints},
        leftovers,
        other_tracer::once_others_are_done,
        proc::ProcDir,
        sys::{child_signals, wake::Wake},
        time_of_day::wall_now,
        traced_process::{TraceEvent, Traced},
    },
};
use snapshot::{EndStatus, TargetEvent};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    io,
    os::fd::{AsFd, BorrowedFd},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long the threads of a process that dies are waited for.
const DIES_WITHIN: Duration = Duration::from_millis(20);

/// Why a process is traced of which nothing else could tell that.
const SEES_EXECUTIONS: &str =
    "programs that it executes are seen by tracing: each signal it gets costs it some microseconds";

/// The traced threads of one process, while anything needs the tracing.
#[derive(Default)]
pub(super) struct TraceSource {
    traced: Option<Rc<RefCell<Traced>>>,
    /// Woken by each SIGCHLD, as long as threads are traced.
    child: Option<Arc<Wake>>,
    breakpoints: Option<HardwareBreakpoints>,
    armed: BTreeSet<u32>,
    senders: Option<SignalSenders>,
    /// Whether the last program was executed by a thread that was not the first one, and is since.
    pub(super) executed_by_other: bool,
    /// Whether the tracing ends with the present event: nothing needs it any more, but a traced
    /// thread stands.
    ends_with_event: bool,
}

impl TraceSource {
    /// Returns the traced threads, if any.
    pub(super) fn traced(&self) -> Option<&Rc<RefCell<Traced>>> {
        self.traced.as_ref()
    }

    /// Ends the tracing if it was to end with the event that has been dealt with now. Returns
    /// whether it did.
    pub(super) fn end_if_due(&mut self) -> bool {
        let due = std::mem::take(&mut self.ends_with_event);
        if due {
            self.end();
        }
        due
    }

    /// Ends the tracing; each thread runs on as it was.
    pub(super) fn end(&mut self) {
        self.child = None;
        let Some(traced) = self.traced.take() else {
            return;
        };
        let had_breakpoints = self.breakpoints.take().is_some();
        self.armed.clear();
        let mut traced = traced.borrow_mut();
        let is_let_die = traced.is_let_die;
        let threads = &mut traced.threads;
        threads.kept.clear();
        if !is_let_die {
            threads.stop_running(Instant::now() + STOP_TIMEOUT, &mut |_| {});
        }
        if had_breakpoints {
            threads.discard_breakpoint_signals(Instant::now() + STOP_TIMEOUT);
        }
        threads.release();
        if is_let_die {
            let_die();
        }
    }

    /// See [`Follow::pass`](crate::Follow::pass).
    pub(super) fn pass(&mut self, kind: u64, pass: bool) {
        if let Some(breakpoints) = &mut self.breakpoints {
            breakpoints.pass(kind, pass);
        }
    }

    /// See [`Follow::forget_kinds`](crate::Follow::forget_kinds).
    pub(super) fn forget_kinds(&mut self) {
        if let Some(breakpoints) = &mut self.breakpoints {
            breakpoints.forget_kinds();
        }
    }

    /// Returns how many exceptions of this type have passed hardware breakpoints unreported.
    pub(super) fn passed(&self, kind: u64) -> u64 {
        self.breakpoints
            .as_ref()
            .map_or(0, |breakpoints| breakpoints.passed(kind))
    }

    /// Begins, changes or ends the tracing, as what is wanted demands.
    fn trace(&mut self, proc: &ProcDir, wanted: &Wanted<'_>) -> Result<()> {
        let what = wanted.what;
        let breakpoints = !wanted.without_probe.is_empty() || self.breakpoints.is_some();
        let of_thread = what.threads || breakpoints || wanted.executions;
        let needed = what.exit || wanted.signals != 0 || of_thread;
        self.ends_with_event = false;
        match &self.traced {
            Some(traced) if needed => traced.borrow_mut().want(wanted.signals, what.threads),
            Some(_) if wanted.stands_traced => self.ends_with_event = true,
            Some(_) => self.end(),
            None if needed => {
                let failed = |e: io::Error| Error::of_process("tracing", proc.key, &e);
                self.child = Some(child_signals::subscribe().map_err(failed)?);
                let traced = once_others_are_done(proc, &Cancel::default(), |_| {
                    Traced::begin(proc, wanted.signals, what.threads)
                })?;
                self.traced = Some(Rc::new(RefCell::new(traced)));
            }
            None => {}
        }
        Ok(())
    }

    /// Sets hardware breakpoints at the places that have no uprobe.
    fn arm_hardware_breakpoints(&mut self, proc: &ProcDir, wanted: &mut Wanted<'_>) {
        let places = std::mem::take(&mut wanted.without_probe).into_iter();
        let is_new = |place: &&ArmedPlace| !self.armed.contains(&place.number);
        let new: Vec<&ArmedPlace> = places.filter(is_new).collect();
        let Some(traced) = self.traced.as_ref().filter(|_| !new.is_empty()) else {
            return;
        };
        let tids: Vec<i32> = traced.borrow().threads.states.keys().copied().collect();
        let breakpoints = self.breakpoints.get_or_insert_default();
        traced.borrow_mut().threads.tells_births = true;
        let regions = proc.regions();
        for place in new {
            let regions = regions.as_ref().map_or(&[][..], |regions| regions);
            let address = hardware_breakpoints::address(regions, place);
            let address = address.ok_or_else(|| io::Error::other("it is not mapped"));
            match address.and_then(|address| breakpoints.arm(&tids, place, address)) {
                Ok(()) => drop(self.armed.insert(place.number)),
                Err(error) => wanted.notices.push(not_armed(place, &error)),
            }
        }
    }

    fn forget_places(&mut self) {
        self.breakpoints = None;
        self.armed.clear();
    }

    /// Returns the next wanted event, and the report of a breakpoint with it. A thread that came to
    /// a breakpoint that is not wanted goes on, and so does a new thread if nobody wants to know.
    fn next_wanted(&mut self, proc: &ProcDir) -> Option<(TraceEvent, Option<Report>)> {
        let traced = self.traced.clone()?;
        loop {
            let event = traced.borrow_mut().next(proc)?;
            let goes_on = match (event, &mut self.breakpoints) {
                (TraceEvent::AtBreakpoint(tid, place), Some(breakpoints)) => {
                    match breakpoints.report(tid, place) {
                        Some(report) => return Some((event, Some(report))),
                        None => tid,
                    }
                }
                (TraceEvent::AtBreakpoint(tid, _), None) => tid,
                (TraceEvent::ThreadStart(tid), breakpoints) => {
                    breakpoints
                        .iter_mut()
                        .for_each(|breakpoints| breakpoints.arm_thread(tid));
                    if traced.borrow().threads.wants_threads {
                        return Some((event, None));
                    }
                    tid
                }
                _ => return Some((event, None)),
            };
            traced.borrow_mut().go_on(goes_on);
        }
    }

    /// Translates a trace event into an event of the target, and tells how the thread is held.
    fn told(&mut self, event: TraceEvent, report: Option<Report>) -> (TargetEvent, HeldBy) {
        let thread = |tid: i32| tid as u32;
        match event {
            TraceEvent::Exiting(tid, status) => {
                let senders = self.senders.as_mut().filter(|_| status < 0);
                let sender = senders.and_then(|senders| senders.sender(-status));
                let status = end_status(status);
                let event = TargetEvent::Exiting { status, sender };
                (event, HeldBy::Tracer(tid, None))
            }
            TraceEvent::Signal(tid, info, fate) => {
                (signal_event(tid, &info), HeldBy::Tracer(tid, Some(fate)))
            }
            TraceEvent::AtBreakpoint(tid, place) => {
                let event = TargetEvent::Breakpoint {
                    place,
                    thread: thread(tid),
                    ends: None,
                };
                (event, report.map_or(HeldBy::Nothing, HeldBy::OurStop))
            }
            TraceEvent::ThreadStart(tid) => {
                let thread = thread(tid);
                (
                    TargetEvent::ThreadStart { thread },
                    HeldBy::Tracer(tid, None),
                )
            }
            TraceEvent::ThreadExit(tid) => {
                let thread = thread(tid);
                (
                    TargetEvent::ThreadExit { thread },
                    HeldBy::Tracer(tid, None),
                )
            }
            TraceEvent::Executed(tid, former) => {
                self.executed_by_other = tid != former;
                (TargetEvent::Executed, HeldBy::Tracer(tid, None))
            }
            TraceEvent::Gone(status) => {
                let at = wall_now();
                let status = Some(end_status(status));
                (TargetEvent::Exited { status, at }, HeldBy::Nothing)
            }
        }
    }
}

impl Source for TraceSource {
    fn arm(&mut self, proc: &mut ProcDir, wanted: &mut Wanted<'_>) -> Result<()> {
        if wanted.what.places.is_empty() {
            self.forget_places();
        }
        if wanted.executions && wanted.signals == 0 {
            wanted.notices.push(SEES_EXECUTIONS.to_owned());
        }
        self.trace(proc, wanted)?;
        // After the tracing, which a process of some milliseconds must not end before: to load the program takes longer.
        self.senders = match (self.senders.take(), wanted.what.exit) {
            // If this fails, the end of the process is reported without the sender of the signal.
            (None, true) => SignalSenders::of(proc.key.pid).ok(),
            (senders, is_wanted) => senders.filter(|_| is_wanted),
        };
        self.arm_hardware_breakpoints(proc, wanted);
        Ok(())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.child.as_ref().map(|child| child.as_fd())
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn next(&mut self, proc: &mut ProcDir) -> Option<(TargetEvent, HeldBy)> {
        if let Some(child) = &self.child {
            child.take();
        }
        let (event, report) = self.next_wanted(proc)?;
        Some(self.told(event, report))
    }

    fn program_replaced(&mut self, _: bool) {
        self.forget_places();
    }

    fn missed(&mut self) -> u64 {
        // A traced thread waits until we have taken its report.
        0
    }
}

/// Before Linux 5.16 the other threads of a process that dies stop at their exits, for which its core waits (`do_exit` in
/// kernel/exit.c). Those that stand later are let go when this thread waits or ends.
fn let_die() {
    let end = Instant::now() + DIES_WITHIN;
    while !leftovers::is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
        leftovers::let_go();
    }
}

/// Translates the exit code, or minus the signal.
fn end_status(status: i32) -> EndStatus {
    match u32::try_from(status) {
        Ok(code) => EndStatus::Code(code),
        Err(_) => EndStatus::Signal(-status),
    }
}
