use crate::{Action, Condition, Limit, Limits, Target};
use std::time::Duration;

/// Everything a user can ask: on TARGET, when CONDITION, do ACTION, at most LIMIT times.
///
/// What it prints as is one line, the sentence that `explain` shows and the log and the dumps
/// quote; it can be parsed again, to the same value.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// How its user calls it; may be empty.
    pub name: String,
    /// Which processes it is about.
    pub target: Target,
    /// Whether it follows that target.
    pub follow: Follow,
    /// Whether children of those processes are meant too.
    pub children: bool,
    /// What is done when; at least one.
    pub clauses: Vec<Clause>,
    /// Where its dumps go; `None`: where the program puts them.
    pub folder: Option<String>,
    /// The limits of the whole rule.
    pub limits: Limits,
}

impl Rule {
    /// A rule for the one process there is, without limits.
    pub fn new(target: Target, clauses: Vec<Clause>) -> Self {
        Self {
            name: String::new(),
            target,
            follow: Follow::One,
            children: false,
            clauses,
            folder: None,
            limits: Limits::default(),
        }
    }
}

/// Which of the matching processes are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Follow {
    /// The one there is, or the next to come where none is; the rule ends with it (ProcDump).
    #[default]
    One,
    /// The next one that starts; the rule ends with it.
    Next,
    /// Every one, now and later: a restart is attached again (DebugDiag).
    Each,
}

/// One "when, do" of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// One of these; at least one.
    pub when: Vec<Condition>,
    /// What is done.
    pub action: Action,
    /// The action again and again, once it has begun.
    pub series: Option<Series>,
    /// How often; `None`: as often as the rule lets it.
    pub limit: Option<Limit>,
}

impl Clause {
    /// A clause without a limit.
    pub fn new(when: Vec<Condition>, action: Action) -> Self {
        Self {
            when,
            action,
            series: None,
            limit: None,
        }
    }
}

/// A row of actions that one trigger sets off (DebugDiag's userdump series: 10 minis, then 1 full).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// How many times the clause's action; at least 1.
    pub count: u32,
    /// How long after one is written the next begins.
    pub every: Duration,
    /// What comes last, so long after.
    pub then: Option<Action>,
}
