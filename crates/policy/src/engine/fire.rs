//! From a condition that is met to what is done, and back with how it went.

use super::{
    Command, DumpId, DumpRequest, Note, Outcome, RuleId, RuleSet, Suppressed, Why,
    watch::{Running, SHORTEST, State, Timer, Watch},
};
use crate::{Action, Condition, Trigger};
use snapshot::{ProcessKey, Time};

/// One clause with one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClauseRef {
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
    pub(super) trigger: Trigger,
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
    fn patient(condition: usize, trigger: Trigger) -> Self {
        Self {
            kind: CauseKind::Patient,
            condition,
            trigger,
        }
    }
}

/// A dump that was asked for and not yet answered.
#[derive(Debug)]
pub(super) struct InFlight {
    at: ClauseRef,
    /// Whether it counts as one action of its clause; the later ones of a series do not.
    first: bool,
}

impl RuleSet {
    /// Does what a clause says, unless something forbids it.
    pub(super) fn trigger(&mut self, now: Time, at: ClauseRef, cause: Cause) -> Result<(), Why> {
        let in_series = cause.kind == CauseKind::Series;
        let Some(active) = self.rules.get_mut(&at.rule) else {
            return Ok(());
        };
        let Some((watch, clause)) = active.watch_mut(at.process, at.clause) else {
            return Ok(());
        };
        let action = match (&watch.series, &clause.series) {
            (Some(running), Some(series)) if in_series && running.taken >= series.count => {
                series.then.clone().unwrap_or(Action::None)
            }
            _ => clause.action.clone(),
        };
        let behind = self.decide(now, at, cause.kind, &action)?;
        self.begin(at, &cause);
        self.act(now, at, cause, &action, behind);
        Ok(())
    }

    /// Whether a clause may act; a dump that it has to come behind, if any.
    fn decide(
        &self,
        now: Time,
        at: ClauseRef,
        kind: CauseKind,
        action: &Action,
    ) -> Result<Option<DumpId>, Why> {
        let active = &self.rules[&at.rule];
        let in_series = kind == CauseKind::Series;
        if let Some(why) = active.forbids(now, at.clause, at.process, action, in_series) {
            return Err(why);
        }
        let watch = active.watch(at.process, at.clause);
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
        let limits = &active.rule.limits;
        let flying = self.dumps.iter().rev();
        let mut flying = flying.filter(|(_, dump)| dump.at.process == at.process);
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
    fn begin(&mut self, at: ClauseRef, cause: &Cause) {
        let Some(active) = self.rules.get_mut(&at.rule) else {
            return;
        };
        let in_series = cause.kind == CauseKind::Series;
        if !in_series {
            active.fired[at.clause].begin();
        }
        let Some((watch, clause)) = active.watch_mut(at.process, at.clause) else {
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
                    trigger: cause.trigger.clone(),
                });
            }
            _ => watch.fired += u32::from(!in_series),
        }
    }

    fn act(
        &mut self,
        now: Time,
        at: ClauseRef,
        cause: Cause,
        action: &Action,
        behind: Option<DumpId>,
    ) {
        let first = cause.kind != CauseKind::Series;
        if let Action::Dump(kinds) = action {
            return self.request(now, at, cause, kinds.clone(), behind);
        }
        let note = Note {
            process: at.process,
            rule: at.rule,
            clause: at.clause,
            trigger: cause.trigger,
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
        self.ended(now, at, first, false, true);
    }

    fn request(
        &mut self,
        now: Time,
        at: ClauseRef,
        cause: Cause,
        kinds: Vec<snapshot::DumpKind>,
        behind: Option<DumpId>,
    ) {
        self.next_dump += 1;
        let id = DumpId(self.next_dump);
        let Some(active) = self.rules.get_mut(&at.rule) else {
            return;
        };
        active.begin_dump(now, id);
        let number = active.dumps.all();
        if let Some((watch, clause)) = active.watch_mut(at.process, at.clause) {
            watch.in_flight += 1;
            if watch.slots > 1 && watch.series.is_none() {
                // With several dumps at once, time goes on while one is written.
                watch.restart(now, clause);
            }
        }
        let first = cause.kind != CauseKind::Series;
        self.dumps.insert(id, InFlight { at, first });
        self.replan = true;
        self.out.push(Command::Dump(DumpRequest {
            id,
            process: at.process,
            kinds,
            trigger: cause.trigger,
            rule: at.rule,
            clause: at.clause,
            condition: cause.condition,
            number,
            behind,
        }));
    }

    pub(super) fn dump_finished(&mut self, now: Time, id: DumpId, outcome: &Outcome) {
        let Some(InFlight { at, first }) = self.dumps.remove(&id) else {
            return;
        };
        let well = *outcome == Outcome::Written;
        if let Some(active) = self.rules.get_mut(&at.rule) {
            active.end_dump(id, well);
            if let Some((watch, _)) = active.watch_mut(at.process, at.clause) {
                watch.in_flight = watch.in_flight.saturating_sub(1);
            }
        }
        self.ended(now, at, first, true, well);
        let watches = self
            .rules
            .values_mut()
            .flat_map(|active| active.watches.values_mut());
        watches.flatten().for_each(Watch::unblock);
    }

    /// An action is over: the clause begins anew, or its series goes on.
    fn ended(&mut self, now: Time, at: ClauseRef, first: bool, is_dump: bool, well: bool) {
        self.replan = true;
        self.stale.insert(at.process);
        self.check.insert(at.rule);
        let Some(active) = self.rules.get_mut(&at.rule) else {
            return;
        };
        if first {
            active.fired[at.clause].end(well);
        }
        if !active.rule.limits.is_unlimited() {
            // Another process may have been waiting for nothing: its clause may be over now.
            self.stale.extend(active.watches.keys());
        }
        let Some((watch, clause)) = active.watch_mut(at.process, at.clause) else {
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
    pub(super) fn suppress(&mut self, at: ClauseRef, trigger: Trigger, why: Why) {
        let active = self.rules.get_mut(&at.rule);
        let watch = active.and_then(|active| active.watch_mut(at.process, at.clause));
        let Some(times) = watch.and_then(|(watch, _)| watch.suppress(why)) else {
            return;
        };
        self.out.push(Command::Suppressed(Suppressed {
            process: at.process,
            rule: at.rule,
            clause: at.clause,
            trigger,
            why,
            times,
        }));
    }

    /// A level has held long enough.
    pub(super) fn level_is_ripe(&mut self, now: Time, at: ClauseRef, index: usize) {
        let Some((trigger, said)) = self.trigger_of_level(at, index) else {
            return;
        };
        let Err(why) = self.trigger(now, at, Cause::patient(index, trigger.clone())) else {
            return;
        };
        let skip = why == Why::Busy && self.avoids_outage(at.rule);
        if skip || !said {
            self.suppress(at, trigger, why);
        }
        self.replan = true;
        let active = self.rules.get_mut(&at.rule);
        let watch = active.and_then(|active| active.watch_mut(at.process, at.clause));
        if let Some(State::Level(level)) = watch.and_then(|(watch, _)| watch.states.get_mut(index))
        {
            match skip {
                true => level.restart(now),
                false => level.ripe = true,
            }
        }
    }

    fn trigger_of_level(&self, at: ClauseRef, index: usize) -> Option<(Trigger, bool)> {
        let active = self.rules.get(&at.rule)?;
        let condition = &active.rule.clauses[at.clause].when[index];
        let watch = active.watch(at.process, at.clause)?;
        let State::Level(level) = &watch.states[index] else {
            return None;
        };
        let trigger = || Trigger::Level {
            condition: condition.clone(),
            values: level.values.clone(),
        };
        (!watch.is_busy()).then(|| (trigger(), level.ripe))
    }

    fn avoids_outage(&self, rule: RuleId) -> bool {
        let active = self.rules.get(&rule);
        active.is_some_and(|active| active.rule.limits.avoid_outage)
    }

    /// A timer of a condition has come.
    pub(super) fn timer_is_due(&mut self, now: Time, at: ClauseRef, index: usize) {
        let Some(active) = self.rules.get(&at.rule) else {
            return;
        };
        let condition = active.rule.clauses[at.clause].when[index].clone();
        let trigger = match condition {
            Condition::Every(period) => Trigger::Every(period),
            _ => Trigger::Manual,
        };
        self.set_timer(at, index, Timer::default());
        let Err(why) = self.trigger(now, at, Cause::patient(index, trigger.clone())) else {
            return;
        };
        self.suppress(at, trigger, why);
        let skip = why == Why::Busy && self.avoids_outage(at.rule);
        let timer = match condition {
            Condition::Every(period) if skip => Timer::at(now + period.max(SHORTEST)),
            _ => self.retry(now, at, why),
        };
        self.set_timer(at, index, timer);
    }

    fn set_timer(&mut self, at: ClauseRef, index: usize, timer: Timer) {
        let active = self.rules.get_mut(&at.rule);
        let watch = active.and_then(|active| active.watch_mut(at.process, at.clause));
        if let Some((watch, _)) = watch {
            watch.states[index] = State::Timer(timer);
        }
    }

    /// The next of a series has come.
    pub(super) fn series_is_due(&mut self, now: Time, at: ClauseRef) {
        let Some((condition, trigger)) = self.series(at).map(|series| {
            series.next = Timer::default();
            (series.condition, series.trigger.clone())
        }) else {
            return;
        };
        let cause = Cause {
            kind: CauseKind::Series,
            ..Cause::patient(condition, trigger.clone())
        };
        let Err(why) = self.trigger(now, at, cause) else {
            return;
        };
        self.suppress(at, trigger, why);
        let next = self.retry(now, at, why);
        match next.due {
            Some(_) => self.series(at).into_iter().for_each(|s| s.next = next),
            None => self.end_series(now, at),
        }
    }

    fn series(&mut self, at: ClauseRef) -> Option<&mut Running> {
        let active = self.rules.get_mut(&at.rule)?;
        let (watch, _) = active.watch_mut(at.process, at.clause)?;
        watch.series.as_mut()
    }

    /// A limit ends the series before its last dump.
    fn end_series(&mut self, now: Time, at: ClauseRef) {
        self.check.insert(at.rule);
        self.stale.insert(at.process);
        let active = self.rules.get_mut(&at.rule);
        let watch = active.and_then(|active| active.watch_mut(at.process, at.clause));
        if let Some((watch, clause)) = watch {
            watch.series = None;
            watch.restart(now, clause);
        }
    }

    /// When a timer that was kept from acting is tried again.
    fn retry(&self, now: Time, at: ClauseRef, why: Why) -> Timer {
        let active = &self.rules[&at.rule];
        // What has begun may fail and leave its place.
        let blocked = match why {
            Why::Busy => true,
            Why::ClauseLimit(_) => active.fired[at.clause].begun > 0,
            Why::RuleLimit(_) => active.dumps.begun > 0,
            _ => false,
        };
        let due = match why {
            Why::Resting(pause) => Some(now + pause),
            Why::Window(_) => active.opens(now),
            _ => blocked.then_some(now),
        };
        Timer { due, blocked }
    }
}
