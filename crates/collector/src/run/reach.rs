//! Which processes a rule may be about.

use policy::{Chance, Condition, ExceptionFilter, Rule, Target};

/// Which processes have to be looked at for a rule.
pub(super) struct Reach {
    /// Whether any process may be meant that there is now.
    pub(super) all: bool,
    /// The one that is.
    pub(super) pid: Option<u32>,
    /// Whether a process that starts later may be meant.
    pub(super) starts: bool,
    /// Whether one of those may be meant when it crashes.
    pub(super) crashes: bool,
    /// Whether it may be meant by what it throws before, of which nothing is known when it has ended.
    pub(super) throws: bool,
}

/// A rule about a pid looks at that process alone: to look at all of them took seconds where some
/// had many mappings.
pub(super) fn reach(rule: &Rule) -> Reach {
    let pid = match rule.target {
        Target::Pid(pid) => Some(pid),
        _ => None,
    };
    let is_launched = matches!(rule.target, Target::Launch(_));
    let is_one = pid.is_some() || is_launched;
    let starts = !is_one || rule.children;
    Reach {
        all: !is_one || rule.children && !is_launched,
        pid,
        starts,
        crashes: starts && wants(rule, ExceptionFilter::means_unhandled),
        throws: starts && wants(rule, |filter| filter.chance != Chance::Unhandled),
    }
}

/// Whether a condition of the rule is about such exceptions.
fn wants(rule: &Rule, such: impl Fn(&ExceptionFilter) -> bool) -> bool {
    let mut conditions = rule.clauses.iter().flat_map(|clause| &clause.when);
    conditions.any(|condition| matches!(condition, Condition::Exception(filter) if such(filter)))
}
