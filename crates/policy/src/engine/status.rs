//! The live status: the value of each condition, and how long it has held.

use super::{RuleId, RuleSet, active_rule::ActiveRule, clause_watch::ConditionState};
use crate::{Condition, Level};
use snapshot::{ProcessKey, Time};
use std::time::Duration;

/// The state of one condition in one process, for a line of live status.
#[derive(Clone, Debug, PartialEq)]
pub struct ClauseStatus {
    /// The rule that the condition belongs to.
    pub rule: RuleId,
    /// The index of the clause in its rule.
    pub clause: usize,
    /// The process that it is about.
    pub process: ProcessKey,
    /// The condition itself.
    pub condition: Condition,
    /// The last values of its levels, as people read them; empty for a condition that has none.
    pub value: String,
    /// How long the levels have held without a break; zero for a condition that has none.
    pub held: Duration,
    /// The number of dumps that the rule has written.
    pub dumps: u32,
}

impl RuleSet {
    /// The state of every condition, in the order of the rules, processes and clauses.
    pub fn status(&self, now: Time) -> Vec<ClauseStatus> {
        let rules = self.rules.iter();
        rules
            .flat_map(|(id, active)| active.status(*id, now))
            .collect()
    }
}

impl ActiveRule {
    fn status(&self, rule: RuleId, now: Time) -> Vec<ClauseStatus> {
        let mut lines = Vec::new();
        for (process, watches) in &self.watches {
            for (clause, watch) in watches.iter().enumerate() {
                let when = &self.rule.clauses[clause].when;
                for (state, condition) in watch.states.iter().zip(when) {
                    let (value, held) = state_of(state, condition, now);
                    lines.push(ClauseStatus {
                        rule,
                        clause,
                        process: *process,
                        condition: condition.clone(),
                        value,
                        held,
                        dumps: self.dumps.done,
                    });
                }
            }
        }
        lines
    }
}

/// The value that is shown of a condition, and how long it has held.
fn state_of(state: &ConditionState, condition: &Condition, now: Time) -> (String, Duration) {
    let (ConditionState::Level(level), Condition::Holds { all, .. }) = (state, condition) else {
        return (String::new(), Duration::ZERO);
    };
    let show = |(level, value): (&Level, &f64)| match value.is_nan() {
        true => "unknown".to_owned(),
        false => level.show(*value),
    };
    let values: Vec<_> = all.iter().zip(&level.values).map(show).collect();
    let held = level.since.map_or(Duration::ZERO, |since| now.since(since));
    (values.join(", "), held)
}
