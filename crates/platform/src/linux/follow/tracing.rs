//! What only tracing shows: signals before their handlers, threads that begin and end, the end of
//! the process while its memory still stands; and breakpoints of the processor, where there are no
//! probes.

use super::{
    STOPPING,
    probes::not_armed,
    signal_event,
    source::{Source, Wanted},
    standing::At,
};
use crate::{
    ArmedPlace, Error, Result,
    linux::{
        hold::{Killers, Report},
        proc::ProcDir,
        sys::{child_signals, wake::Wake},
        target::wall_now,
        traced::{TraceEvent, Traced},
        traps::{self, Traps},
    },
};
use snapshot::TargetEvent;
use std::{
    cell::RefCell,
    collections::BTreeSet,
    io,
    os::fd::{AsFd, BorrowedFd},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

/// The threads of one process, traced while anything needs it.
#[derive(Default)]
pub(super) struct Tracing {
    traced: Option<Rc<RefCell<Traced>>>,
    /// Woken by each SIGCHLD, as long as there are traced threads.
    child: Option<Arc<Wake>>,
    traps: Option<Traps>,
    trapped: BTreeSet<u32>,
    killers: Option<Killers>,
    /// Nothing needs it any more, but a thread stands for what it showed.
    ends_with_event: bool,
}

impl Tracing {
    /// The traced threads, while there are any.
    pub(super) fn traced(&self) -> Option<&Rc<RefCell<Traced>>> {
        self.traced.as_ref()
    }

    /// Ends the tracing, if it was to end with the event that has now been dealt with; returns
    /// whether it was.
    pub(super) fn end_if_due(&mut self) -> bool {
        let due = std::mem::take(&mut self.ends_with_event);
        if due {
            self.end();
        }
        due
    }

    /// Traces no thread any more; each runs on as it was.
    pub(super) fn end(&mut self) {
        self.child = None;
        let Some(traced) = self.traced.take() else {
            return;
        };
        let had_traps = self.traps.take().is_some();
        self.trapped.clear();
        let threads = &mut traced.borrow_mut().threads;
        threads.stop_running(Instant::now() + STOPPING);
        if had_traps {
            threads.take_off_traps(Instant::now() + STOPPING);
        }
        threads.release();
    }

    /// See [`Follow::pass`](crate::Follow::pass).
    pub(super) fn pass(&mut self, kind: u64, pass: bool) {
        if let Some(traps) = &mut self.traps {
            traps.pass(kind, pass);
        }
    }

    /// How many of this kind have gone by at breakpoints.
    pub(super) fn passed(&self, kind: u64) -> u64 {
        self.traps.as_ref().map_or(0, |traps| traps.passed(kind))
    }

    fn trace(&mut self, proc: &ProcDir, wanted: &Wanted<'_>) -> Result<()> {
        let what = wanted.what;
        let traps = !wanted.trapped.is_empty() || self.traps.is_some();
        let needed = what.exit || wanted.signals != 0 || what.threads || traps;
        self.ends_with_event = false;
        match &self.traced {
            Some(traced) if needed => traced.borrow_mut().want(wanted.signals, what.threads),
            Some(_) if wanted.stands_traced => self.ends_with_event = true,
            Some(_) => self.end(),
            None if needed => {
                let failed = |e: io::Error| Error::of_process("tracing", proc.key, &e);
                self.child = Some(child_signals::subscribe().map_err(failed)?);
                let traced = Traced::begin(proc, wanted.signals, what.threads)?;
                self.traced = Some(Rc::new(RefCell::new(traced)));
            }
            None => {}
        }
        Ok(())
    }

    /// Puts breakpoints at the places that have no probes.
    fn arm_traps(&mut self, proc: &ProcDir, wanted: &mut Wanted<'_>) {
        let places = std::mem::take(&mut wanted.trapped).into_iter();
        let is_new = |place: &&ArmedPlace| !self.trapped.contains(&place.number);
        let new: Vec<&ArmedPlace> = places.filter(is_new).collect();
        let Some(traced) = self.traced.as_ref().filter(|_| !new.is_empty()) else {
            return;
        };
        let tids: Vec<i32> = traced.borrow().threads.held.keys().copied().collect();
        let traps = self.traps.get_or_insert_default();
        traced.borrow_mut().tells_births = true;
        let maps = proc.read_living("maps").unwrap_or_default();
        for place in new {
            let address = traps::address(&maps, place);
            let address = address.ok_or_else(|| io::Error::other("it is not mapped"));
            match address.and_then(|address| traps.arm(&tids, place, address)) {
                Ok(()) => drop(self.trapped.insert(place.number)),
                Err(error) => wanted.notices.push(not_armed(place, &error)),
            }
        }
    }

    /// What it did next, with the report of a breakpoint. A thread at a breakpoint that is not
    /// wanted goes on, and so does one that began where nobody wants to know.
    fn next_wanted(&mut self, proc: &ProcDir) -> Option<(TraceEvent, Option<Report>)> {
        let traced = self.traced.clone()?;
        loop {
            let event = traced.borrow_mut().next(proc)?;
            let goes_on = match (event, &mut self.traps) {
                (TraceEvent::Trapped(tid, place), Some(traps)) => match traps.report(tid, place) {
                    Some(report) => return Some((event, Some(report))),
                    None => tid,
                },
                (TraceEvent::Trapped(tid, _), None) => tid,
                (TraceEvent::ThreadStart(tid), traps) => {
                    traps.iter_mut().for_each(|traps| traps.arm_thread(tid));
                    if traced.borrow().wants_threads {
                        return Some((event, None));
                    }
                    tid
                }
                _ => return Some((event, None)),
            };
            traced.borrow_mut().go_on(goes_on);
        }
    }

    fn told(&mut self, event: TraceEvent, report: Option<Report>) -> (TargetEvent, At) {
        let thread = |tid: i32| tid as u32;
        match event {
            TraceEvent::Exiting(tid, status) => {
                let killers = self.killers.as_mut().filter(|_| status < 0);
                let sender = killers.and_then(|killers| killers.sender(-status));
                let event = TargetEvent::Exiting { status, sender };
                (event, At::Traced(tid, None))
            }
            TraceEvent::Signal(tid, info, fate) => {
                (signal_event(tid, &info), At::Traced(tid, Some(fate)))
            }
            TraceEvent::Trapped(tid, place) => {
                let event = TargetEvent::Breakpoint {
                    place,
                    thread: thread(tid),
                    ends: None,
                };
                (event, report.map_or(At::Nothing, At::Stopped))
            }
            TraceEvent::ThreadStart(tid) => {
                let thread = thread(tid);
                (TargetEvent::ThreadStart { thread }, At::Traced(tid, None))
            }
            TraceEvent::ThreadExit(tid) => {
                let thread = thread(tid);
                (TargetEvent::ThreadExit { thread }, At::Traced(tid, None))
            }
            TraceEvent::Executed(tid) => (TargetEvent::Executed, At::Traced(tid, None)),
            TraceEvent::Gone(status) => {
                let at = wall_now();
                (TargetEvent::Exited { status, at }, At::Nothing)
            }
        }
    }
}

impl Source for Tracing {
    fn arm(&mut self, proc: &mut ProcDir, wanted: &mut Wanted<'_>) -> Result<()> {
        self.killers = match (self.killers.take(), wanted.what.exit) {
            // Without it, the end is told without who brought it about.
            (None, true) => Killers::of(proc.key.pid).ok(),
            (killers, is_wanted) => killers.filter(|_| is_wanted),
        };
        if wanted.what.places.is_empty() {
            self.program_replaced();
        }
        self.trace(proc, wanted)?;
        self.arm_traps(proc, wanted);
        Ok(())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.child.as_ref().map(|child| child.as_fd())
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn next(&mut self, proc: &mut ProcDir) -> Option<(TargetEvent, At)> {
        if let Some(child) = &self.child {
            child.take();
        }
        let (event, report) = self.next_wanted(proc)?;
        Some(self.told(event, report))
    }

    fn program_replaced(&mut self) {
        self.traps = None;
        self.trapped.clear();
    }

    fn missed(&mut self) -> u64 {
        // A traced thread waits until it has been asked.
        0
    }
}
