//! What is due by time: levels that may have held long enough, timers, and the steps of series.
//!
//! The engine keeps one deadline, the earliest of all. When it has come, everything that is due is
//! done once, and the next deadline is found.

use super::{
    Command, RuleId, RuleSet, SuppressReason,
    act::{Cause, CauseKind, ClauseRef},
    active_rule::ActiveRule,
    clause_watch::{ClauseWatch, ConditionState, RunningSeries, SHORTEST_TIMER, Timer},
};
use crate::{Condition, Trigger};
use snapshot::Time;

/// Something that is due.
enum Due {
    /// The next action of the clause's series.
    Series(ClauseRef),
    /// The timer of the condition with this index.
    Timer(ClauseRef, usize),
    /// The level with this index, which may have held long enough.
    Level(ClauseRef, usize),
}

impl RuleSet {
    /// Finds the next deadline, if it may have changed.
    pub(super) fn update_deadline(&mut self) {
        if !self.deadline_is_outdated {
            return;
        }
        self.deadline_is_outdated = false;
        let storms = self.processes.values().filter_map(|p| p.storm.deadline());
        let rules = self.rules.values().flat_map(ActiveRule::deadlines);
        self.deadline = storms.chain(rules).min();
    }

    /// Does everything that is due at `now`, each once.
    pub(super) fn run_due(&mut self, now: Time) {
        let limit = self.settings.storm;
        for (key, process) in &mut self.processes {
            if process
                .storm
                .deadline()
                .is_some_and(|deadline| deadline <= now)
            {
                self.out.extend(process.storm.end_second(now, limit, *key));
            }
        }
        let rules = self.rules.iter();
        let due: Vec<_> = rules
            .flat_map(|(id, active)| active.due(*id, now))
            .collect();
        for due in due {
            match due {
                Due::Series(clause_ref) => self.series_is_due(now, clause_ref),
                Due::Timer(clause_ref, index) => self.timer_if_idle(now, clause_ref, index),
                Due::Level(clause_ref, index) => self.request_sample(clause_ref, index),
            }
        }
    }

    /// Two timers of a clause may be due at once; the first acts for both.
    fn timer_if_idle(&mut self, now: Time, clause_ref: ClauseRef, index: usize) {
        let due = self.watch_mut(clause_ref).is_some_and(|(watch, _)| {
            let is_due = matches!(watch.states[index], ConditionState::Timer(timer)
                if timer.deadline().is_some_and(|deadline| deadline <= now));
            is_due && !watch.is_busy()
        });
        if due {
            self.timer_is_due(now, clause_ref, index);
        }
    }

    /// Asks for a sample before the next regular one: only a sample proves that a level has held
    /// until now.
    fn request_sample(&mut self, clause_ref: ClauseRef, index: usize) {
        if let Some((watch, _)) = self.watch_mut(clause_ref)
            && let ConditionState::Level(level) = &mut watch.states[index]
        {
            level.sample_requested = true;
        }
        let command = Command::SampleNow(clause_ref.process);
        let active = self.rules.get(&clause_ref.rule);
        let is_done = active.is_none_or(|rule| rule.is_done(clause_ref.clause, clause_ref.process));
        if !is_done && !self.out.contains(&command) {
            self.out.push(command);
        }
    }

    /// A sample shows that a level has held long enough: its clause acts, or the level waits until it
    /// may. With `avoid_outage` it does not wait for a dump, but has to hold anew. Returns whether the clause acts.
    pub(super) fn level_has_held(
        &mut self,
        now: Time,
        clause_ref: ClauseRef,
        index: usize,
    ) -> bool {
        let watch = self.watch_mut(clause_ref);
        if watch.is_none_or(|(watch, _)| watch.is_busy()) {
            return false;
        }
        let Some((trigger, is_reported)) = self.trigger_of_level(clause_ref, index) else {
            return false;
        };
        let cause = Cause::that_can_wait(index, trigger.clone());
        let Err(why) = self.act_if_allowed(now, clause_ref, cause) else {
            return true;
        };
        let skip = why == SuppressReason::Busy && self.avoids_outage(clause_ref.rule);
        if skip || !is_reported {
            self.suppress(clause_ref, trigger, why);
        }
        self.deadline_is_outdated = true;
        let may_act_at = match why {
            SuppressReason::Window(_, opens_in) => opens_in.map(|opens_in| now + opens_in),
            _ => None,
        };
        let watch = self.watch_mut(clause_ref);
        if let Some(ConditionState::Level(level)) =
            watch.and_then(|(watch, _)| watch.states.get_mut(index))
        {
            match skip {
                true => level.restart(now),
                false => level.waits(may_act_at),
            }
        }
        false
    }

    /// The sample for which the clause acts shows that another level of it has held long enough, too. Without a duration, that
    /// level has had its dump with this.
    pub(super) fn level_held_too(&mut self, clause_ref: ClauseRef, index: usize) {
        let watch = self.watch_mut(clause_ref);
        let is_spent =
            watch.is_some_and(|(watch, clause)| watch.is_spent_with_others(&clause.when[index]));
        if let Some((trigger, _)) = self
            .trigger_of_level(clause_ref, index)
            .filter(|_| is_spent)
        {
            self.suppress(clause_ref, trigger, SuppressReason::Together);
        }
    }

    /// The trigger that a level makes, and whether it was reported already that it has to wait.
    fn trigger_of_level(&self, clause_ref: ClauseRef, index: usize) -> Option<(Trigger, bool)> {
        let active = self.rules.get(&clause_ref.rule)?;
        let condition = &active.rule.clauses[clause_ref.clause].when[index];
        let watch = active.watch(clause_ref.process, clause_ref.clause)?;
        let ConditionState::Level(level) = &watch.states[index] else {
            return None;
        };
        let trigger = Trigger::Level {
            condition: condition.clone(),
            values: level.values.clone(),
        };
        Some((trigger, level.is_waiting))
    }

    fn avoids_outage(&self, rule: RuleId) -> bool {
        let active = self.rules.get(&rule);
        active.is_some_and(|active| active.rule.limits.avoid_outage)
    }

    /// The timer of `now` or `every` has come: its clause acts, or the timer is set again.
    fn timer_is_due(&mut self, now: Time, clause_ref: ClauseRef, index: usize) {
        let Some(active) = self.rules.get(&clause_ref.rule) else {
            return;
        };
        let condition = active.rule.clauses[clause_ref.clause].when[index].clone();
        let trigger = match condition {
            Condition::Every(period) => Trigger::Every(period),
            _ => Trigger::Manual,
        };
        self.set_timer(clause_ref, index, Timer::default());
        let cause = Cause::that_can_wait(index, trigger.clone());
        let Err(why) = self.act_if_allowed(now, clause_ref, cause) else {
            return;
        };
        self.suppress(clause_ref, trigger, why);
        let skip = why == SuppressReason::Busy && self.avoids_outage(clause_ref.rule);
        let timer = match condition {
            Condition::Every(period) if skip => Timer::due_at(now + period.max(SHORTEST_TIMER)),
            _ => self.retry(now, clause_ref, index, why),
        };
        self.set_timer(clause_ref, index, timer);
    }

    fn set_timer(&mut self, clause_ref: ClauseRef, index: usize, timer: Timer) {
        if let Some((watch, _)) = self.watch_mut(clause_ref) {
            watch.states[index] = ConditionState::Timer(timer);
        }
    }

    /// The next action of a series has come: it is done, or put off, or the series ends.
    fn series_is_due(&mut self, now: Time, clause_ref: ClauseRef) {
        let Some((condition, trigger)) = self.series_mut(clause_ref).map(|series| {
            series.next = Timer::default();
            (series.condition, series.trigger.clone())
        }) else {
            return;
        };
        let cause = Cause {
            kind: CauseKind::Series,
            ..Cause::that_can_wait(condition, trigger.clone())
        };
        let Err(why) = self.act_if_allowed(now, clause_ref, cause) else {
            return;
        };
        self.suppress(clause_ref, trigger, why);
        let next = self.retry(now, clause_ref, condition, why);
        if next.due.is_none() {
            return self.end_series(now, clause_ref);
        }
        if let Some(series) = self.series_mut(clause_ref) {
            series.next = next;
        }
    }

    fn series_mut(&mut self, clause_ref: ClauseRef) -> Option<&mut RunningSeries> {
        self.watch_mut(clause_ref)?.0.series.as_mut()
    }

    /// Ends a series before its last dump, because a limit will never let it go on.
    fn end_series(&mut self, now: Time, clause_ref: ClauseRef) {
        self.rules_to_check.insert(clause_ref.rule);
        self.processes_to_check.insert(clause_ref.process);
        if let Some((watch, clause)) = self.watch_mut(clause_ref) {
            watch.series = None;
            watch.restart(now, clause, true);
        }
    }

    /// When a timer that was kept from acting is tried again; a timer without a time if never.
    fn retry(
        &self,
        now: Time,
        clause_ref: ClauseRef,
        condition: usize,
        why: SuppressReason,
    ) -> Timer {
        let active = &self.rules[&clause_ref.rule];
        // A dump in progress may fail, and then no longer counts against the limit.
        let blocked = match why {
            SuppressReason::Busy => true,
            SuppressReason::ClauseLimit(_) => active.acted[clause_ref.clause].in_progress > 0,
            SuppressReason::RuleLimit(_) => active.dumps.in_progress > 0,
            _ => false,
        };
        let due = match why {
            SuppressReason::Resting(pause) | SuppressReason::Copying(pause) => Some(now + pause),
            SuppressReason::Window(..) => active.windows_open_at(now, clause_ref.asker(condition)),
            _ => blocked.then_some(now),
        };
        Timer { due, blocked }
    }
}

impl ActiveRule {
    fn deadlines(&self) -> impl Iterator<Item = Time> {
        let clauses = &self.rule.clauses;
        self.watches.values().flat_map(move |watches| {
            let watches = watches.iter().zip(clauses);
            watches.flat_map(|(watch, clause)| watch.deadlines(clause))
        })
    }

    fn due(&self, rule: RuleId, now: Time) -> Vec<Due> {
        let mut due = Vec::new();
        for (process, watches) in &self.watches {
            for (clause, watch) in watches.iter().enumerate() {
                let process = *process;
                let clause_ref = ClauseRef {
                    rule,
                    clause,
                    process,
                };
                self.due_of(watch, clause_ref, now, &mut due);
            }
        }
        due
    }

    fn due_of(&self, watch: &ClauseWatch, clause_ref: ClauseRef, now: Time, due: &mut Vec<Due>) {
        let is_due = |deadline: Option<Time>| deadline.is_some_and(|deadline| deadline <= now);
        if let Some(series) = &watch.series {
            due.extend(is_due(series.next.deadline()).then_some(Due::Series(clause_ref)));
        }
        if watch.is_busy() {
            return;
        }
        let when = &self.rule.clauses[clause_ref.clause].when;
        for (index, (state, condition)) in watch.states.iter().zip(when).enumerate() {
            match (state, condition) {
                (ConditionState::Timer(timer), _) if is_due(timer.deadline()) => {
                    due.push(Due::Timer(clause_ref, index));
                }
                (ConditionState::Level(level), Condition::Holds { lasting, .. })
                    if is_due(level.deadline(*lasting)) =>
                {
                    due.push(Due::Level(clause_ref, index));
                }
                _ => {}
            }
        }
    }
}
