//! From a condition that is met to what is done, and back with how it went.

use super::{
    Command, DumpId, DumpRequest, Note, Outcome, RuleId, RuleSet, Suppressed, Why, reason,
    watch::{Running, SHORTEST, State, Timer, Watch},
};
use crate::{Action, Condition};
use snapshot::{Exception, ProcessKey, Time};

/// One clause with one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) rule: RuleId,
    pub(super) clause: usize,
    pub(super) process: ProcessKey,
}

/// What met a condition.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) kind: CauseKind,
    /// Which condition of its clause.
    pub(super) condition: usize,
    pub(super) reason: String,
    pub(super) thread: Option<u32>,
    pub(super) exception: Option<Exception>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CauseKind {
    /// A level or a timer: it can wait.
    Patient,
    /// A timer within a series.
    Series,
    /// Something that happens now; the target stands at it.
    Event,
    /// As `Event`, and the process is about to die.
    LastMoment,
}

impl Cause {
    fn patient(condition: usize, reason: String) -> Self {
        Self {
            kind: CauseKind::Patient,
            condition,
            reason,
            thread: None,
            exception: None,
        }
    }
}

/// A dump that was asked for and not yet answered.
#[derive(Debug)]
pub(super) struct InFlight {
    spot: Spot,
    /// Whether it counts as one action of its clause; the later ones of a series do not.
    first: bool,
}

impl RuleSet {
    /// Does what a clause says, unless something forbids it.
    pub(super) fn trigger(&mut self, now: Time, spot: Spot, cause: Cause) -> Result<(), Why> {
        let in_series = cause.kind == CauseKind::Series;
        let Some(ruled) = self.rules.get_mut(&spot.rule) else {
            return Ok(());
        };
        let Some((watch, clause)) = ruled.watch_mut(spot.process, spot.clause) else {
            return Ok(());
        };
        let action = match (&watch.series, &clause.series) {
            (Some(running), Some(series)) if in_series && running.taken >= series.count => {
                series.then.clone().unwrap_or(Action::None)
            }
            _ => clause.action.clone(),
        };
        let behind = self.decide(now, spot, cause.kind, &action)?;
        self.begin(spot, &cause);
        self.act(now, spot, cause, &action, behind);
        Ok(())
    }

    /// Whether a clause may act; a dump that it has to come behind, if any.
    fn decide(
        &self,
        now: Time,
        spot: Spot,
        kind: CauseKind,
        action: &Action,
    ) -> Result<Option<DumpId>, Why> {
        let ruled = &self.rules[&spot.rule];
        let in_series = kind == CauseKind::Series;
        if let Some(why) = ruled.forbids(now, spot.clause, spot.process, action, in_series) {
            return Err(why);
        }
        let watch = ruled.watch(spot.process, spot.clause);
        let rest = watch.map_or(now, |watch| watch.rest_until);
        if kind != CauseKind::LastMoment && now < rest {
            return Err(Why::Resting(rest.since(now)));
        }
        if kind == CauseKind::Event && watch.is_some_and(|watch| watch.series.is_some()) {
            return Err(Why::Busy);
        }
        if action.kinds().is_empty() {
            return Ok(None);
        }
        let limits = &ruled.rule.limits;
        let flying = self.dumps.iter().rev();
        let mut flying = flying.filter(|(_, dump)| dump.spot.process == spot.process);
        let last = flying.next().map(|(id, _)| *id);
        let count = 1 + flying.count();
        let waits = match kind {
            CauseKind::Patient | CauseKind::Series => false,
            CauseKind::Event => !limits.avoid_outage,
            CauseKind::LastMoment => true,
        };
        match last {
            None => Ok(None),
            Some(_) if count < limits.concurrent.max(1) as usize => Ok(None),
            Some(last) if waits => Ok(Some(last)),
            Some(_) => Err(Why::Busy),
        }
    }

    /// Counts an action, and begins the series that it sets off.
    fn begin(&mut self, spot: Spot, cause: &Cause) {
        let Some(ruled) = self.rules.get_mut(&spot.rule) else {
            return;
        };
        let in_series = cause.kind == CauseKind::Series;
        if !in_series {
            ruled.fired[spot.clause].begin();
        }
        let Some((watch, clause)) = ruled.watch_mut(spot.process, spot.clause) else {
            return;
        };
        watch.unsuppress();
        match (&mut watch.series, in_series) {
            (Some(running), true) => running.taken += 1,
            (None, false) => {
                watch.fired += 1;
                watch.series = clause.series.as_ref().map(|_| Running {
                    taken: 1,
                    next: Timer::default(),
                    condition: cause.condition,
                    reason: cause.reason.clone(),
                });
            }
            _ => watch.fired += u32::from(!in_series),
        }
    }

    fn act(
        &mut self,
        now: Time,
        spot: Spot,
        cause: Cause,
        action: &Action,
        behind: Option<DumpId>,
    ) {
        let first = cause.kind != CauseKind::Series;
        if let Action::Dump(kinds) = action {
            return self.request(now, spot, cause, kinds.clone(), behind);
        }
        let note = Note {
            process: spot.process,
            rule: spot.rule,
            clause: spot.clause,
            reason: cause.reason,
            thread: cause.thread,
            exception: cause.exception,
        };
        match action {
            Action::LogStack => self.out.push(Command::LogStack(note)),
            Action::LogException => self.out.push(Command::LogException(note)),
            Action::Run(program) => self.out.push(Command::Run {
                program: program.clone(),
                note,
            }),
            Action::Dump(_) | Action::None => {}
        }
        self.ended(now, spot, first, false, true);
    }

    fn request(
        &mut self,
        now: Time,
        spot: Spot,
        cause: Cause,
        kinds: Vec<snapshot::DumpKind>,
        behind: Option<DumpId>,
    ) {
        self.next_dump += 1;
        let id = DumpId(self.next_dump);
        let Some(ruled) = self.rules.get_mut(&spot.rule) else {
            return;
        };
        ruled.begin_dump(now, id);
        let number = ruled.dumps.all();
        if let Some((watch, clause)) = ruled.watch_mut(spot.process, spot.clause) {
            watch.in_flight += 1;
            if watch.slots > 1 && watch.series.is_none() {
                // With several dumps at once, time goes on while one is written.
                watch.restart(now, clause);
            }
        }
        let first = cause.kind != CauseKind::Series;
        self.dumps.insert(id, InFlight { spot, first });
        self.replan = true;
        self.out.push(Command::Dump(DumpRequest {
            id,
            process: spot.process,
            kinds,
            reason: cause.reason,
            rule: spot.rule,
            clause: spot.clause,
            condition: cause.condition,
            number,
            thread: cause.thread,
            exception: cause.exception,
            behind,
        }));
    }

    pub(super) fn dump_finished(&mut self, now: Time, id: DumpId, outcome: &Outcome) {
        let Some(InFlight { spot, first }) = self.dumps.remove(&id) else {
            return;
        };
        let well = *outcome == Outcome::Written;
        if let Some(ruled) = self.rules.get_mut(&spot.rule) {
            ruled.end_dump(id, well);
            if let Some((watch, _)) = ruled.watch_mut(spot.process, spot.clause) {
                watch.in_flight = watch.in_flight.saturating_sub(1);
            }
        }
        self.ended(now, spot, first, true, well);
        let watches = self
            .rules
            .values_mut()
            .flat_map(|ruled| ruled.watches.values_mut());
        watches.flatten().for_each(Watch::unblock);
    }

    /// An action is over: the clause begins anew, or its series goes on.
    fn ended(&mut self, now: Time, spot: Spot, first: bool, is_dump: bool, well: bool) {
        self.replan = true;
        self.stale.insert(spot.process);
        self.check.insert(spot.rule);
        let Some(ruled) = self.rules.get_mut(&spot.rule) else {
            return;
        };
        if first {
            ruled.fired[spot.clause].end(well);
        }
        if !ruled.rule.limits.is_unlimited() {
            // Another process may have been waiting for nothing: its clause may be over now.
            self.stale.extend(ruled.watches.keys());
        }
        let Some((watch, clause)) = ruled.watch_mut(spot.process, spot.clause) else {
            return;
        };
        watch.ended(now, well);
        if first && !well {
            watch.fired = watch.fired.saturating_sub(1);
            watch.series = None;
        }
        watch.next_of_series(now, clause);
        let restarted = is_dump && watch.slots > 1 && well;
        if !watch.is_busy() && !restarted {
            watch.restart(now, clause);
        }
    }

    /// Says that a trigger did nothing.
    pub(super) fn suppress(&mut self, spot: Spot, reason: String, why: Why) {
        let ruled = self.rules.get_mut(&spot.rule);
        let watch = ruled.and_then(|ruled| ruled.watch_mut(spot.process, spot.clause));
        let Some(times) = watch.and_then(|(watch, _)| watch.suppress(why)) else {
            return;
        };
        self.out.push(Command::Suppressed(Suppressed {
            process: spot.process,
            rule: spot.rule,
            clause: spot.clause,
            reason,
            why,
            times,
        }));
    }

    /// A level has held long enough.
    pub(super) fn level_is_ripe(&mut self, now: Time, spot: Spot, index: usize) {
        let Some((reason, said)) = self.reason_of_level(spot, index) else {
            return;
        };
        let Err(why) = self.trigger(now, spot, Cause::patient(index, reason.clone())) else {
            return;
        };
        let skip = why == Why::Busy && self.avoids_outage(spot.rule);
        if skip || !said {
            self.suppress(spot, reason, why);
        }
        self.replan = true;
        let ruled = self.rules.get_mut(&spot.rule);
        let watch = ruled.and_then(|ruled| ruled.watch_mut(spot.process, spot.clause));
        if let Some(State::Level(level)) = watch.and_then(|(watch, _)| watch.states.get_mut(index))
        {
            match skip {
                true => level.restart(now),
                false => level.ripe = true,
            }
        }
    }

    fn reason_of_level(&self, spot: Spot, index: usize) -> Option<(String, bool)> {
        let ruled = self.rules.get(&spot.rule)?;
        let condition = &ruled.rule.clauses[spot.clause].when[index];
        let watch = ruled.watch(spot.process, spot.clause)?;
        let State::Level(level) = &watch.states[index] else {
            return None;
        };
        (!watch.is_busy()).then(|| (reason::level(condition, level), level.ripe))
    }

    fn avoids_outage(&self, rule: RuleId) -> bool {
        let ruled = self.rules.get(&rule);
        ruled.is_some_and(|ruled| ruled.rule.limits.avoid_outage)
    }

    /// A timer of a condition has come.
    pub(super) fn timer_is_due(&mut self, now: Time, spot: Spot, index: usize) {
        let Some(ruled) = self.rules.get(&spot.rule) else {
            return;
        };
        let condition = ruled.rule.clauses[spot.clause].when[index].clone();
        let reason = reason::timer(&condition);
        self.set_timer(spot, index, Timer::default());
        let Err(why) = self.trigger(now, spot, Cause::patient(index, reason.clone())) else {
            return;
        };
        self.suppress(spot, reason, why);
        let skip = why == Why::Busy && self.avoids_outage(spot.rule);
        let timer = match condition {
            Condition::Every(period) if skip => Timer::at(now + period.max(SHORTEST)),
            _ => self.retry(now, spot, why),
        };
        self.set_timer(spot, index, timer);
    }

    fn set_timer(&mut self, spot: Spot, index: usize, timer: Timer) {
        let ruled = self.rules.get_mut(&spot.rule);
        let watch = ruled.and_then(|ruled| ruled.watch_mut(spot.process, spot.clause));
        if let Some((watch, _)) = watch {
            watch.states[index] = State::Timer(timer);
        }
    }

    /// The next of a series has come.
    pub(super) fn series_is_due(&mut self, now: Time, spot: Spot) {
        let Some((condition, reason)) = self.series(spot).map(|series| {
            series.next = Timer::default();
            (series.condition, series.reason.clone())
        }) else {
            return;
        };
        let cause = Cause {
            kind: CauseKind::Series,
            ..Cause::patient(condition, reason.clone())
        };
        let Err(why) = self.trigger(now, spot, cause) else {
            return;
        };
        self.suppress(spot, reason, why);
        let next = self.retry(now, spot, why);
        match next.due {
            Some(_) => self.series(spot).into_iter().for_each(|s| s.next = next),
            None => self.end_series(now, spot),
        }
    }

    fn series(&mut self, spot: Spot) -> Option<&mut Running> {
        let ruled = self.rules.get_mut(&spot.rule)?;
        let (watch, _) = ruled.watch_mut(spot.process, spot.clause)?;
        watch.series.as_mut()
    }

    /// A limit ends the series before its last dump.
    fn end_series(&mut self, now: Time, spot: Spot) {
        self.check.insert(spot.rule);
        self.stale.insert(spot.process);
        let ruled = self.rules.get_mut(&spot.rule);
        let watch = ruled.and_then(|ruled| ruled.watch_mut(spot.process, spot.clause));
        if let Some((watch, clause)) = watch {
            watch.series = None;
            watch.restart(now, clause);
        }
    }

    /// When a timer that was kept from acting is tried again.
    fn retry(&self, now: Time, spot: Spot, why: Why) -> Timer {
        let ruled = &self.rules[&spot.rule];
        // What has begun may fail and leave its place.
        let blocked = match why {
            Why::Busy => true,
            Why::ClauseLimit(_) => ruled.fired[spot.clause].begun > 0,
            Why::RuleLimit(_) => ruled.dumps.begun > 0,
            _ => false,
        };
        let due = match why {
            Why::Resting(pause) => Some(now + pause),
            Why::Window(_) => ruled.opens(now),
            _ => blocked.then_some(now),
        };
        Timer { due, blocked }
    }
}
