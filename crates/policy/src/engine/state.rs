//! How far a rule has come, for a program that is started again.

use super::{
    RuleId, RuleSet,
    rules::{ActiveRule, Start},
    watch::{Running, SHORTEST, Timer, Watch},
};
use crate::{Clause, Rule, Trigger};
use snapshot::{ProcessKey, Time};
use std::{collections::BTreeMap, time::Duration};

/// How far a rule has come: everything that a restart of the program must not forget.
///
/// Times are ages, as the clock of the next run begins anew. Dumps that are under way are not in
/// it: whoever was killed has not written them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleState {
    /// Whether the rule is over.
    pub finished: bool,
    /// Whether it ever had a process: a rule about one process takes no second one.
    pub had_process: bool,
    /// Dumps that it has written.
    pub dumps: u32,
    /// For each clause, how often it has acted in all processes together.
    pub acted: Vec<u32>,
    /// How long ago each dump began that a window still counts, oldest first.
    pub recent: Vec<Duration>,
    /// How far it has come with each process that lives.
    pub processes: BTreeMap<ProcessKey, Vec<ClauseState>>,
}

/// How far one clause has come with one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClauseState {
    /// How often it has acted.
    pub acted: u32,
    /// Of a series on its way, which condition began it, from 0, and how many of its actions were
    /// done.
    pub in_series: Option<(usize, u32)>,
}

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
