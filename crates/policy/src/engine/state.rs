//! How far a rule has come: what is stored so that the rule can go on after firstchance was started again.

use snapshot::ProcessKey;
use std::{collections::BTreeMap, time::Duration};

/// How far a rule has come: everything that must be remembered when firstchance is started again.
///
/// Times are given as ages, because the clock of the next run begins anew. Dumps in progress are left
/// out: if firstchance ends now, they were not written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleState {
    /// Whether the rule is over.
    pub finished: bool,
    /// Whether the rule has ever watched a process: a rule about one process takes no second one.
    pub had_process: bool,
    /// The number of dumps that it has written.
    pub dumps: u32,
    /// For each clause, how often it has acted in all processes together.
    pub acted: Vec<u32>,
    /// How long ago each dump began that a window still counts, oldest first.
    pub recent: Vec<Duration>,
    /// For each living process that it watches, the state of each clause.
    pub processes: BTreeMap<ProcessKey, Vec<ClauseState>>,
}

/// How far one clause has come with one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClauseState {
    /// How often it has acted.
    pub acted: u32,
    /// If a series is running: the index of the condition that began it, and how many of its actions were
    /// begun.
    pub in_series: Option<(usize, u32)>,
}
