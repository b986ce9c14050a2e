//! How far a rule has come, for a program that is started again.

use snapshot::ProcessKey;
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
