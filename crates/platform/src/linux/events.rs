//! What an attached process does, and letting it go on: by probes that hold a thread at a place,
//! and, for what no probe shows, by tracing its threads.

mod arm;

use super::{
    corpse::{self, Vigil},
    follow::{Did, Fate, Follow},
    hold::{Death, Holds, Killers, Report, Writes},
    proc::ProcDir,
    rights::explain_refusal,
    stop::{Hold, Threads},
    sys::{
        ptrace::{self, SignalInfo},
        signals,
    },
    target::wall_now,
    traps::Traps,
};
use crate::{FAULT_SIGNALS, Result};
use snapshot::{Exception, Registers, TargetEvent};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    rc::Rc,
    time::{Duration, Instant},
};

/// How long a thread that was held may take to stop for good.
const STOPPING: Duration = Duration::from_secs(1);

/// Between two looks, where nothing woke us.
const LOOK: Duration = Duration::from_millis(5);

/// What is armed in a process, and where it stands.
#[derive(Default)]
pub(crate) struct Events {
    pub(crate) follow: Option<Rc<RefCell<Follow>>>,
    vigil: Option<Vigil>,
    killers: Option<Killers>,
    writes: Option<Writes>,
    holds: Option<Holds>,
    /// In the stead of probes.
    traps: Option<Traps>,
    armed: BTreeSet<u32>,
    at: At,
    /// Nothing that only tracing shows is wanted any more.
    unfollow: bool,
    /// The next capture takes what stands with it.
    pub(crate) go_on_with_capture: bool,
    /// Threads that were asked to stop and have not yet.
    strays: Vec<i32>,
}

/// For what a thread stands.
#[derive(Default)]
enum At {
    #[default]
    Nothing,
    /// Traced, at something that it did.
    Traced(i32, Option<Fate>),
    /// Held by the probe.
    Held(Report),
    /// Come to a probe, and stopped by us since.
    Stopped(Report),
    /// Dead, with all its threads.
    Dead(Vec<Death>),
}

impl Events {
    /// Waits for the next event.
    pub(crate) fn wait(&mut self, proc: &mut ProcDir, limit: Duration) -> TargetEvent {
        let end = Instant::now() + limit;
        loop {
            if let Some(report) = self.holds.as_ref().and_then(Holds::next) {
                let event = TargetEvent::Breakpoint {
                    place: report.place,
                    thread: report.thread as u32,
                    ends: None,
                };
                self.at = At::Held(report);
                return event;
            }
            if let Some(text) = self.writes.as_mut().and_then(Writes::next) {
                return TargetEvent::DebugString { text };
            }
            if let Some(event) = self.followed(proc).or_else(|| self.died(proc)) {
                return event;
            }
            self.let_strays_go();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                if let Some(text) = self.writes.as_mut().and_then(Writes::rest) {
                    return TargetEvent::DebugString { text };
                }
                return TargetEvent::Timeout;
            }
            self.sleep(left);
        }
    }

    fn sleep(&self, limit: Duration) {
        let limit = match self.writes {
            Some(_) => limit.min(LOOK),
            None => limit,
        };
        match (&self.holds, &self.follow) {
            (Some(holds), None) if self.vigil.is_some() => holds.sleep(limit.min(LOOK), None),
            (Some(holds), None) => holds.sleep(limit, None),
            (Some(holds), Some(_)) => {
                holds.sleep(limit.min(LOOK), signals::child_fd());
                signals::wait_for_child(Duration::ZERO);
            }
            (None, Some(_)) => signals::wait_for_child(limit.min(LOOK)),
            (None, None) => match &self.vigil {
                Some(vigil) => vigil.deaths.sleep(limit),
                None => std::thread::sleep(limit),
            },
        }
    }

    fn followed(&mut self, proc: &ProcDir) -> Option<TargetEvent> {
        let follow = self.follow.clone()?;
        let (at, event) = match self.next_did(&follow, proc) {
            Did::Nothing => return None,
            Did::Exiting(tid, status) => {
                let killers = self.killers.as_mut().filter(|_| status < 0);
                let sender = killers.and_then(|killers| killers.sender(-status));
                let event = TargetEvent::Exiting { status, sender };
                (At::Traced(tid, None), event)
            }
            Did::Signal(tid, info, fate) => (At::Traced(tid, Some(fate)), signal_event(tid, &info)),
            Did::Trapped(tid, place) => {
                let thread = tid as u32;
                let ends = None;
                return Some(TargetEvent::Breakpoint {
                    place,
                    thread,
                    ends,
                });
            }
            Did::ThreadStart(tid) => {
                let thread = tid as u32;
                (At::Traced(tid, None), TargetEvent::ThreadStart { thread })
            }
            Did::ThreadExit(tid) => {
                let thread = tid as u32;
                (At::Traced(tid, None), TargetEvent::ThreadExit { thread })
            }
            Did::Executed(tid) => {
                // The kernel has taken the probes away with the old program.
                self.holds = None;
                self.traps = None;
                self.armed.clear();
                (At::Traced(tid, None), TargetEvent::Executed)
            }
            Did::Gone(status) => {
                let at = wall_now();
                (At::Nothing, TargetEvent::Exited { status, at })
            }
        };
        self.at = at;
        Some(event)
    }

    /// What it did next. A thread at a breakpoint stands already where it is wanted, and goes on
    /// where it is not.
    fn next_did(&mut self, follow: &RefCell<Follow>, proc: &ProcDir) -> Did {
        loop {
            let did = follow.borrow_mut().next(proc);
            let going = match (did, &mut self.traps) {
                (Did::Trapped(tid, place), Some(traps)) => match traps.report(tid, place) {
                    Some(report) => {
                        self.at = At::Stopped(report);
                        return did;
                    }
                    None => tid,
                },
                (Did::Trapped(tid, _), None) => tid,
                (Did::ThreadStart(tid), traps) => {
                    traps.iter_mut().for_each(|traps| traps.arm_thread(tid));
                    if follow.borrow().wants_threads {
                        return did;
                    }
                    tid
                }
                _ => return did,
            };
            follow.borrow_mut().go_on(going);
        }
    }

    fn died(&mut self, proc: &mut ProcDir) -> Option<TargetEvent> {
        let deaths = self.vigil.as_mut()?.next(proc)?;
        let first = deaths.first()?;
        let event = signal_event(first.thread, &corpse::signal(first));
        self.at = At::Dead(deaths);
        Some(event)
    }

    /// The threads of a process that has died, the one with the fault first.
    pub(crate) fn dead(&self) -> Option<&[Death]> {
        match &self.at {
            At::Dead(deaths) => Some(deaths),
            _ => None,
        }
    }

    /// What tells the kind of what is thrown where the thread stands.
    pub(crate) fn kind(&self) -> Option<u64> {
        match &self.at {
            At::Held(report) | At::Stopped(report) => report.kind,
            At::Nothing | At::Traced(..) | At::Dead(_) => None,
        }
    }

    /// The registers of the thread that stands.
    pub(crate) fn registers(&self) -> Option<Registers> {
        match &self.at {
            At::Nothing => None,
            At::Traced(tid, _) => super::arch::general(*tid).ok(),
            At::Held(report) | At::Stopped(report) => Some(report.registers),
            At::Dead(deaths) => deaths.first().map(|death| death.registers),
        }
    }

    pub(crate) fn is_deadly(&self) -> bool {
        matches!(self.at, At::Traced(_, Some(Fate::Death)) | At::Dead(_))
    }

    /// Whether the thread of the last event is where it was.
    pub(crate) fn is_standing(&self) -> bool {
        match (&self.at, &self.holds) {
            (At::Nothing, _) => false,
            (At::Held(report), Some(holds)) => holds.is_held(report.hold),
            _ => true,
        }
    }

    /// Makes a stop of a hold; whether the thread stands now. It does not when it came too late for
    /// that, or ended.
    pub(crate) fn stay(&mut self, proc: &ProcDir) -> Result<bool> {
        let report = match std::mem::take(&mut self.at) {
            At::Held(report) => report,
            at => {
                let stands = !matches!(at, At::Nothing);
                self.at = at;
                return Ok(stands);
            }
        };
        let tid = report.thread;
        if self.follow.is_none()
            && let Err(error) = ptrace::seize(tid)
        {
            self.let_go(&report);
            let gone = error.raw_os_error() == Some(libc::ESRCH);
            let tracer = super::stop::tracer_of(proc, tid);
            return if gone {
                Ok(false)
            } else {
                Err(explain_refusal(proc, tracer, &error))
            };
        }
        let _ = ptrace::interrupt(tid);
        self.let_go(&report);
        let hold = wait_for_stop(tid);
        if let Some(follow) = &self.follow {
            follow.borrow_mut().threads.held.insert(tid, hold);
        } else if hold == Hold::Pending {
            self.strays.push(tid);
        }
        let stands = hold == Hold::Stopped;
        if stands {
            self.at = At::Stopped(report);
        }
        Ok(stands)
    }

    /// Threads that were asked to stop too late, and stop now: they go on.
    fn let_strays_go(&mut self) {
        self.strays.retain(|&tid| match ptrace::report_of(tid) {
            Ok(None) => true,
            Ok(Some((_, ptrace::Report::Signal(signal)))) => {
                let _ = ptrace::detach(tid, signal);
                false
            }
            Ok(Some(_)) => {
                let _ = ptrace::detach(tid, 0);
                false
            }
            Err(_) => false,
        });
    }

    /// Lets the thread that stands go on.
    pub(crate) fn go_on(&mut self) {
        if std::mem::take(&mut self.unfollow) {
            self.at = At::Nothing;
            return self.follow_no_longer();
        }
        match std::mem::take(&mut self.at) {
            At::Nothing | At::Dead(_) => {}
            At::Held(report) => self.let_go(&report),
            At::Traced(tid, _) => self.resume(tid),
            At::Stopped(report) => self.resume(report.thread),
        }
    }

    fn resume(&self, tid: i32) {
        match &self.follow {
            Some(follow) => follow.borrow_mut().go_on(tid),
            None => drop(ptrace::detach(tid, 0)),
        }
    }

    fn let_go(&self, report: &Report) {
        if let Some(holds) = &self.holds {
            holds.let_go(report.hold);
        }
    }

    /// Holds all threads, the one that stands among them; whether they run on traced afterwards.
    pub(crate) fn stop_all(&mut self, proc: &ProcDir, deadline: Instant) -> Result<Stopped> {
        self.stay(proc)?;
        if let Some(follow) = &self.follow {
            follow.borrow_mut().threads.stop_running(deadline);
            let standing = self.standing().filter(|_| self.go_on_with_capture);
            if standing.is_some() {
                self.at = At::Nothing;
            }
            return Ok(Stopped::Followed(follow.clone(), standing));
        }
        let standing = match std::mem::take(&mut self.at) {
            At::Stopped(report) => Some(report.thread),
            _ => None,
        };
        Ok(Stopped::Once(Threads::stop(proc, deadline, standing)?))
    }

    /// The thread that stands.
    fn standing(&self) -> Option<i32> {
        match &self.at {
            At::Nothing | At::Dead(_) => None,
            At::Traced(tid, _) => Some(*tid),
            At::Held(report) | At::Stopped(report) => Some(report.thread),
        }
    }

    pub(crate) fn pass(&mut self, kind: u64, pass: bool) {
        if let Some(holds) = &mut self.holds {
            let _ = holds.pass(kind, pass);
        }
        if let Some(traps) = &mut self.traps {
            traps.pass(kind, pass);
        }
    }

    pub(crate) fn passed(&self, kind: u64) -> u64 {
        let trapped = self.traps.as_ref().map_or(0, |traps| traps.passed(kind));
        self.holds
            .as_ref()
            .map_or(trapped, |holds| holds.passed(kind))
    }

    pub(crate) fn missed(&mut self) -> u64 {
        let writes = self.writes.as_mut().map_or(0, Writes::missed);
        self.holds.as_mut().map_or(0, Holds::missed) + writes
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.go_on();
        self.follow_no_longer();
    }
}

/// Threads that stand for a capture.
pub(crate) enum Stopped {
    /// Seized for it, and let go after it.
    Once(Threads),
    /// Followed before and after; this thread, which stood before too, goes on with the others.
    Followed(Rc<RefCell<Follow>>, Option<i32>),
}

impl Stopped {
    pub(crate) fn with<T>(&mut self, work: impl FnOnce(&mut Threads) -> T) -> T {
        match self {
            Stopped::Once(threads) => work(threads),
            Stopped::Followed(follow, _) => work(&mut follow.borrow_mut().threads),
        }
    }

    pub(crate) fn release(&mut self) {
        match self {
            Stopped::Once(threads) => threads.release(),
            Stopped::Followed(follow, standing) => {
                let mut follow = follow.borrow_mut();
                follow.threads.run_on();
                standing
                    .take()
                    .into_iter()
                    .for_each(|tid| follow.go_on(tid));
            }
        }
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
                let _ = ptrace::detach(tid, 0);
                return Hold::Exiting;
            }
            Ok(Some((_, R::Gone(_)))) | Err(_) => return Hold::Exiting,
            Ok(Some(_)) => return Hold::Stopped,
            Ok(None) => std::thread::sleep(Duration::from_micros(20)),
        }
    }
    Hold::Pending
}

/// Signals whose default action is a core dump, but SIGQUIT, which people send on purpose, are
/// exceptions.
fn signal_event(tid: i32, info: &SignalInfo) -> TargetEvent {
    if !FAULT_SIGNALS.contains(&(info.number as u32)) {
        return TargetEvent::Signal {
            number: info.number,
            thread: tid as u32,
            sender: (info.sender != 0).then_some(info.sender),
        };
    }
    TargetEvent::Exception(Exception {
        thread: tid as u32,
        code: info.number as u32,
        flags: info.code as u32,
        address: info.address,
        first_chance: true,
        ..Exception::default()
    })
}
