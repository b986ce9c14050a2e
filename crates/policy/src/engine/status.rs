use super::{RuleId, RuleSet, rules::ActiveRule, watch::State};
use crate::{Condition, Level};
use snapshot::{ProcessKey, Time};
use std::time::Duration;

/// How one condition stands with one process, for a line of live status.
#[derive(Clone, Debug, PartialEq)]
pub struct ClauseStatus {
    /// The rule.
    pub rule: RuleId,
    /// Which of its clauses, from 0.
    pub clause: usize,
    /// The process.
    pub process: ProcessKey,
    /// The condition.
    pub condition: Condition,
    /// The last values of a level, as people read them; empty where nothing is measured.
    pub value: String,
    /// How long it has held without a break.
    pub held: Duration,
    /// Dumps of the rule written so far.
    pub dumps: u32,
}

impl RuleSet {
    /// How every condition stands, in the order of the rules, processes and clauses.
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
                    let (value, held) = stand(state, condition, now);
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

fn stand(state: &State, condition: &Condition, now: Time) -> (String, Duration) {
    let (State::Level(level), Condition::Holds { all, .. }) = (state, condition) else {
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
