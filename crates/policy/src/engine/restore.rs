//! Exports how far a rule has come, and restores a rule from that after firstchance was started again.

use super::{
    RuleId, RuleSet,
    active_rule::{ActiveRule, DumpStart},
    clause_watch::{ClauseWatch, RunningSeries, SHORTEST_TIMER, Timer},
    state::{ClauseState, RuleState},
};
use crate::{Clause, Rule, Trigger};
use snapshot::{ProcessKey, Time};
use std::collections::BTreeMap;

impl RuleSet {
    /// How far a rule has come. Returns `None` if there is no such rule.
    pub fn state(&self, now: Time, rule: RuleId) -> Option<RuleState> {
        self.rules.get(&rule).map(|active| active.state(now))
    }

    /// Adds a rule, as [`RuleSet::add`] does, and goes on from the state that it had when firstchance
    /// ended. With a process that the rule watched then, it goes on as soon as the process is found
    /// again.
    pub fn restore(&mut self, now: Time, rule: Rule, state: RuleState) -> RuleId {
        let id = RuleId(self.next_rule);
        self.next_rule += 1;
        self.rules
            .insert(id, ActiveRule::from_state(now, rule, state));
        id
    }
}

impl ActiveRule {
    fn state(&self, now: Time) -> RuleState {
        let under_way = self.dumps.in_progress as usize;
        let recent = self.dump_starts.len().saturating_sub(under_way);
        let recent = self.dump_starts.iter().take(recent);
        RuleState {
            finished: self.finished,
            had_process: self.had_process,
            dumps: self.dumps.done,
            acted: self.acted.iter().map(|count| count.done).collect(),
            recent: recent.map(|start| start.age(now)).collect(),
            processes: self.processes(),
        }
    }

    fn processes(&self) -> BTreeMap<ProcessKey, Vec<ClauseState>> {
        let clause = |watch: &ClauseWatch| ClauseState {
            acted: watch.acted.saturating_sub(watch.in_flight),
            in_series: watch.series.as_ref().map(|s| (s.condition, s.taken)),
        };
        let watches = self.watches.iter();
        let watches =
            watches.map(|(process, watches)| (*process, watches.iter().map(clause).collect()));
        let restored = self.restored.clone().into_iter();
        restored.chain(watches).collect()
    }

    /// Restores the state of the clauses in a process that has been found again.
    pub(super) fn resume(&mut self, now: Time, process: ProcessKey) {
        let Some(states) = self.restored.remove(&process) else {
            return;
        };
        let watches = self.watches.get_mut(&process).into_iter().flatten();
        let clauses = self.rule.clauses.iter();
        for ((watch, clause), state) in watches.zip(clauses).zip(states) {
            watch.acted = state.acted;
            watch.series = state
                .in_series
                .and_then(|series| RunningSeries::resumed(now, clause, series));
        }
    }

    fn from_state(now: Time, rule: Rule, state: RuleState) -> Self {
        let mut active = Self::new(rule);
        active.finished = state.finished;
        active.had_process = state.had_process;
        active.dumps.done = state.dumps;
        active.files.done = state.dumps;
        for (count, acted) in active.acted.iter_mut().zip(&state.acted) {
            count.done = *acted;
        }
        let ages = state.recent.into_iter();
        active.dump_starts = ages.map(|age| DumpStart::ago(now, age)).collect();
        active.restored = state.processes;
        active
    }
}

impl RunningSeries {
    /// A series that was begun by a condition and has taken so many actions. Returns `None` if the clause
    /// has no series any more, or if the series is complete.
    fn resumed(now: Time, clause: &Clause, (condition, taken): (usize, u32)) -> Option<Self> {
        let series = clause.series.as_ref()?;
        let all = series
            .count
            .saturating_add(u32::from(series.then.is_some()));
        let began_by = clause.when.get(condition)?;
        (taken < all).then(|| Self {
            taken,
            next: Timer::due_at(now + series.every.max(SHORTEST_TIMER)),
            condition,
            trigger: Trigger::Level {
                condition: began_by.clone(),
                values: Vec::new(),
            },
        })
    }
}
