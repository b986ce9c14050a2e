use crate::Retention;
use std::time::Duration;

/// How often a clause may act. A set of dumps counts once, and so does a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many times.
    pub times: u32,
    /// Counted over what.
    pub scope: Scope,
}

/// What is counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All processes that the rule follows.
    #[default]
    Rule,
    /// Each process for itself.
    Process,
}

/// The limits of a whole rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Dumps in all (DebugDiag's "maximum number of userdumps created by this rule").
    pub max_dumps: Option<u32>,
    /// Dumps in any stretch of time: a crash loop cannot use up all the rest at once.
    pub windows: Vec<Window>,
    /// A crash whose signature a dump already has is only counted for so long after that dump: see
    /// [`Repeats`](crate::Repeats). Rules about the crashes of a machine alone have it, as only they
    /// learn a crash's signature.
    pub repeat_window: Option<Duration>,
    /// Dumps of one process that may be written at the same time (ProcDump's `-r N`); at least 1.
    pub concurrent: u32,
    /// Skip a trigger rather than make the target wait for a dump that is still being written
    /// (ProcDump's `-a`). The last moment of a process is never skipped: nothing is left to wait.
    pub avoid_outage: bool,
    /// What is kept in the rule's folder.
    pub keep: Retention,
}

impl Limits {
    /// Whether no limit of it ever keeps a dump from being taken.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.max_dumps.is_none() && self.windows.is_empty()
    }
}

impl Default for Limits {
    /// No limits, one dump of a process at a time.
    fn default() -> Self {
        Self {
            max_dumps: None,
            windows: Vec::new(),
            repeat_window: None,
            concurrent: 1,
            avoid_outage: false,
            keep: Retention::default(),
        }
    }
}

/// So many dumps in any stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Dumps.
    pub count: u32,
    /// In so long.
    pub within: Duration,
}

impl std::str::FromStr for Window {
    type Err = String;

    /// Reads `10m=3`: three in any ten minutes.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no such limit; `10m=3` is three in any ten minutes");
        let (within, count) = text.split_once('=').ok_or_else(wrong)?;
        let within = crate::parse_duration(within)?;
        let count = count.parse().map_err(|_| wrong())?;
        Ok(Window { count, within })
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", crate::print_duration(self.within), self.count)
    }
}
