//! `firstchance watch` and `firstchance run`: carry out rules in the foreground.

mod args;
mod ended;
mod json;
mod session;
mod show;

pub(crate) use args::{RunArgs, WatchArgs, format_of, options_to, read_rules};

use collector::{DumpOptions, RunEvent};
use policy::Rule;
use snapshot::ProcessKey;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Rules to be carried out, and how: every front end makes one of these.
pub(crate) struct Job {
    /// The rules, each with how its dumps are written.
    pub(crate) rules: Vec<(Rule, DumpOptions)>,
    /// How often levels are sampled.
    pub(crate) poll: Duration,
    /// A program to be started for a rule about `launch:`, with its arguments.
    pub(crate) launch: Option<(PathBuf, Vec<String>)>,
    /// Whether hardware breakpoints may be used in place of probes: see [`platform::Arming`].
    pub(crate) unsafe_breakpoints: bool,
    /// Print events as JSON instead of lines.
    pub(crate) json: bool,
    /// Wait for a target that has no process yet, instead of failing.
    pub(crate) wait: bool,
    /// In what wording events are shown.
    pub(crate) voice: Voice,
    /// Makes what is printed when the first process is watched.
    pub(crate) header: Option<Header>,
}

impl Job {
    /// These rules with every option at its default: nothing is started or waited for, and what
    /// happens is shown in sentences.
    pub(crate) fn new(rules: Vec<(Rule, DumpOptions)>) -> Self {
        Self {
            rules,
            poll: Duration::from_secs(1),
            launch: None,
            unsafe_breakpoints: false,
            json: false,
            wait: false,
            voice: Voice::Sentences,
            header: None,
        }
    }
}

/// In what wording events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// firstchance's own, after the rules as sentences.
    Sentences,
    /// firstchance's own, for a caller that has shown the rules already.
    Plain,
    /// ProcDump's, as scripts look for its lines.
    ProcDump,
}

/// Makes the header for a process; `None` for no header.
pub(crate) type Header = Box<dyn Fn(ProcessKey) -> Option<String>>;

/// Runs `watch`.
pub(crate) fn watch(args: &WatchArgs) -> anyhow::Result<ExitCode> {
    carry_out(args.job()?)
}

/// Runs `run`.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    carry_out(args.job()?)
}

/// Carries out the rules until all are finished, or somebody cancels. Returns the exit code: 0 if
/// every rule took all its dumps.
pub(crate) fn carry_out(job: Job) -> anyhow::Result<ExitCode> {
    carry_out_seeing(job, &mut |_| ())
}

/// Carries out the rules as [`carry_out`] does, and also calls `see` with everything that happens.
pub(crate) fn carry_out_seeing(
    job: Job,
    see: &mut dyn FnMut(&RunEvent),
) -> anyhow::Result<ExitCode> {
    session::carry_out(job, see)
}
