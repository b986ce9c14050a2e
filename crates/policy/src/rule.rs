//! Rules: what a user can ask for.

use crate::{Action, Condition, Limit, Limits, Target};
use snapshot::Compression;
use std::time::Duration;

/// Everything that a user can ask for: on TARGET, when CONDITION, do ACTION, at most LIMIT times.
///
/// It prints as one line, the sentence that `firstchance explain` shows and that dumps quote. The sentence
/// can be parsed again to the same value.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The user's name for the rule; may be empty.
    pub name: String,
    /// The processes that the rule is about.
    pub target: Target,
    /// How many of these processes are meant, and whether later ones are.
    pub follow: Follow,
    /// Whether the children of these processes are meant too.
    pub children: bool,
    /// What is done, and when; at least one clause.
    pub clauses: Vec<Clause>,
    /// The folder for the dumps. `None`: where the command line or the settings say.
    pub folder: Option<String>,
    /// Whether the dumps are compressed while they are written. `None`: as the command line or the settings say.
    pub compress: Option<Compression>,
    /// The limits of the whole rule.
    pub limits: Limits,
}

impl Rule {
    /// A rule about one process, without limits.
    pub fn new(target: Target, clauses: Vec<Clause>) -> Self {
        Self {
            name: String::new(),
            target,
            follow: Follow::One,
            children: false,
            clauses,
            folder: None,
            compress: None,
            limits: Limits::default(),
        }
    }

    /// Whether several processes may be watched at once.
    pub fn is_about_several(&self) -> bool {
        self.follow.is_several() || self.children
    }

    /// Everything that the rule does, the last actions of series included.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.clauses.iter().flat_map(|clause| {
            let last = clause
                .series
                .as_ref()
                .and_then(|series| series.then.as_ref());
            std::iter::once(&clause.action).chain(last)
        })
    }
}

/// Which of the processes that match the target are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Follow {
    /// The one that is running, or the next one if none is. The rule ends with it (as in ProcDump).
    #[default]
    One,
    /// The next one that starts. The rule ends with it.
    Next,
    /// Every one, now and later: a restarted program is watched again (as in DebugDiag).
    Each,
    /// Every one, now and later, until those that are watched have done what the rule asks for. A rule about a
    /// process group ends with the group, and has done it only if each process has; any other waits for the next process (as ProcDump for Linux does).
    All,
}

impl Follow {
    /// Whether several processes may be watched at once.
    pub fn is_several(self) -> bool {
        matches!(self, Follow::Each | Follow::All)
    }
}

/// One "when …, do …" of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// The conditions, at least one, of which one has to be met.
    pub when: Vec<Condition>,
    /// What is done then.
    pub action: Action,
    /// If there is one, the action is repeated after it was done once.
    pub series: Option<Series>,
    /// How often the clause may act. `None`: as often as the limits of the rule allow.
    pub limit: Option<Limit>,
}

impl Clause {
    /// A clause without a series and without a limit.
    pub fn new(when: Vec<Condition>, action: Action) -> Self {
        Self {
            when,
            action,
            series: None,
            limit: None,
        }
    }
}

/// Several actions, at intervals, for one trigger (DebugDiag's userdump series: 10 mini dumps,
/// then a full one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// How often the action of the clause is done; at least 1.
    pub count: u32,
    /// The time from the end of one action to the beginning of the next.
    pub every: Duration,
    /// Another action that is done last.
    pub then: Option<Action>,
}
