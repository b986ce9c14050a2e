//! Telling how far a rule has come, and going on from there.

use super::{
    RuleId, RuleSet,
    rules::{ActiveRule, Start},
    state::{ClauseState, RuleState},
    watch::{Running, SHORTEST, Timer, Watch},
};
use crate::{Clause, Rule, Trigger};
use snapshot::{ProcessKey, Time};
use std::collections::BTreeMap;

impl RuleSet {
    /// How far a rule has come; `None` where there is no such rule.
    pub fn state(&self, now: Time, rule: RuleId) -> Option<RuleState> {
        self.rules.get(&rule).map(|active| active.state(now))
    }

    /// Puts a rule to work that had come so far when the program ended; then as
    /// [`RuleSet::add`]. A process that it knew goes on where it was, as soon as it is found
    /// again.
    pub fn restore(&mut self, now: Time, rule: Rule, state: RuleState) -> RuleId {
        let id = RuleId(self.next_rule);
        self.next_rule += 1;
        self.rules
            .insert(id, ActiveRule::restored(now, rule, state));
        id
    }
}

impl ActiveRule {
    fn state(&self, now: Time) -> RuleState {
        let under_way = self.dumps.begun as usize;
        let recent = self.starts.len().saturating_sub(under_way);
        let recent = self.starts.iter().take(recent);
        RuleState {
            finished: self.finished,
            had_process: self.had_process,
            dumps: self.dumps.done,
            acted: self.fired.iter().map(|count| count.done).collect(),
            recent: recent.map(|start| start.age(now)).collect(),
            processes: self.processes(),
        }
    }

    fn processes(&self) -> BTreeMap<ProcessKey, Vec<ClauseState>> {
        let clause = |watch: &Watch| ClauseState {
            acted: watch.fired.saturating_sub(watch.in_flight),
            in_series: watch.series.as_ref().map(|s| (s.condition, s.taken)),
        };
        let watches = self.watches.iter();
        let watches =
            watches.map(|(process, watches)| (*process, watches.iter().map(clause).collect()));
        let known = self.known.clone().into_iter();
        known.chain(watches).collect()
    }

    /// A clause of a process that is found again goes on where it was.
    pub(super) fn resume(&mut self, now: Time, process: ProcessKey) {
        let Some(known) = self.known.remove(&process) else {
            return;
        };
        let watches = self.watches.get_mut(&process).into_iter().flatten();
        let clauses = self.rule.clauses.iter();
        for ((watch, clause), state) in watches.zip(clauses).zip(known) {
            watch.fired = state.acted;
            watch.series = state
                .in_series
                .and_then(|series| Running::again(now, clause, series));
        }
    }

    fn restored(now: Time, rule: Rule, state: RuleState) -> Self {
        let mut active = Self::new(rule);
        active.finished = state.finished;
        active.had_process = state.had_process;
        active.dumps.done = state.dumps;
        for (count, acted) in active.fired.iter_mut().zip(&state.acted) {
            count.done = *acted;
        }
        let ages = state.recent.into_iter();
        active.starts = ages.map(|age| Start::ago(now, age)).collect();
        active.known = state.processes;
        active
    }
}

impl Running {
    /// A series that has come so far; `None` where the clause has none any more, or it is at its
    /// end.
    fn again(now: Time, clause: &Clause, (condition, taken): (usize, u32)) -> Option<Self> {
        let series = clause.series.as_ref()?;
        let all = series
            .count
            .saturating_add(u32::from(series.then.is_some()));
        let begun_by = clause.when.get(condition)?;
        (taken < all).then(|| Self {
            taken,
            next: Timer::at(now + series.every.max(SHORTEST)),
            condition,
            trigger: Trigger::Level {
                condition: begun_by.clone(),
                values: Vec::new(),
            },
        })
    }
}
