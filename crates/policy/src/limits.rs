//! How often a rule may act, and how many dumps it may take.

use crate::Retention;
use std::time::Duration;

/// How often a clause may act. Several dumps for one trigger count once, and so does a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The number of times.
    pub times: u32,
    /// Which actions are counted together.
    pub scope: Scope,
}

impl Limit {
    /// This many times in all processes of the rule together.
    pub fn in_all(times: u32) -> Self {
        Self {
            times,
            scope: Scope::Rule,
        }
    }
}

/// Which actions are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Those in all processes of the rule.
    #[default]
    Rule,
    /// Those in one process; each process has its own count.
    Process,
}

impl Scope {
    /// The words for it behind a number, with a blank before them.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Scope::Rule => "",
            Scope::Process => " per process",
        }
    }
}

/// The limits of a whole rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The number of dumps that the rule may take in all (DebugDiag's "maximum number of userdumps created
    /// by this rule"). `None`: no limit.
    pub max_dumps: Option<u32>,
    /// Limits for any stretch of time, so that a crash loop cannot use up `max_dumps` at once.
    pub windows: Vec<Window>,
    /// For this long after a dump, further crashes with the same signature are only counted: see
    /// [`Repeats`](crate::Repeats). Only rules for the crashes of the whole machine can have it, because
    /// only their crashes have a signature.
    pub repeat_window: Option<Duration>,
    /// The number of dumps of one process that may be written at the same time (ProcDump's `-r N`); at
    /// least 1.
    pub concurrent: u32,
    /// Whether a trigger is skipped if the target would have to stand still until another dump is written
    /// (ProcDump's `-a`). The last moment of a process is never skipped: it is about to end anyway.
    pub avoid_outage: bool,
    /// How much is kept in the folder of the rule.
    pub keep: Retention,
}

impl Limits {
    /// Whether no number of dumps reaches a limit of the rule.
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

/// A limit for any stretch of time: at most `count` dumps within `within`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The number of dumps.
    pub count: u32,
    /// The length of the stretch of time.
    pub within: Duration,
    /// Which dumps are counted together.
    pub scope: Scope,
    /// Whether those of each condition are counted by themselves (ProcDump for Linux: each threshold has a pause of its own).
    pub each_condition: bool,
}

impl Window {
    /// What of the dumps is counted together, as words behind the numbers.
    pub(crate) fn counted(&self) -> String {
        let each = match self.each_condition {
            true => EACH_CONDITION,
            false => "",
        };
        format!("{}{each}", self.scope.words())
    }
}

const EACH_CONDITION: &str = " for each condition";

impl std::str::FromStr for Window {
    type Err = String;

    /// Reads `10m=3`: three dumps in any ten minutes; ` per process`, ` for each condition`, or both, may follow. Fails with a
    /// sentence for the user.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no such limit; `10m=3` is three in any ten minutes");
        let (rest, each_condition) = without(text, EACH_CONDITION);
        let (rest, per_process) = without(rest, Scope::Process.words());
        let (within, count) = rest.split_once('=').ok_or_else(wrong)?;
        let within = crate::parse_duration(within)?;
        let count = count.parse().map_err(|_| wrong())?;
        let scope = match per_process {
            true => Scope::Process,
            false => Scope::Rule,
        };
        Ok(Window {
            count,
            within,
            scope,
            each_condition,
        })
    }
}

fn without<'t>(text: &'t str, end: &str) -> (&'t str, bool) {
    let rest = text.strip_suffix(end);
    (rest.unwrap_or(text), rest.is_some())
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let within = crate::print_duration(self.within);
        write!(f, "{within}={}{}", self.count, self.counted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n45_a_limit_in_time_is_read_as_it_was_printed() {
        for text in [
            "10m=3",
            "2s=1 per process",
            "2s=1 for each condition",
            "2s=1 per process for each condition",
        ] {
            let window: Window = text.parse().expect(text);
            assert_eq!(window.to_string(), text);
        }
    }
}
