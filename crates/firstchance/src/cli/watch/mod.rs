//! `firstchance watch` and `firstchance run`: rules at work in the foreground.

mod args;
mod json;
mod session;
mod show;

pub(crate) use args::{RunArgs, WatchArgs, format_of, options_to, read_rules};

use collector::{DumpOptions, RunEvent};
use policy::Rule;
use snapshot::ProcessKey;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Rules to be carried out, from whatever front end.
pub(crate) struct Job {
    /// The rules, each with how its dumps are written.
    pub(crate) rules: Vec<(Rule, DumpOptions)>,
    /// How often levels are sampled.
    pub(crate) poll: Duration,
    /// A program to be started, with its arguments.
    pub(crate) launch: Option<(PathBuf, Vec<String>)>,
    /// Whether breakpoints may stand in for probes: see [`platform::Arming`].
    pub(crate) unsafe_breakpoints: bool,
    /// Events as JSON instead of lines.
    pub(crate) json: bool,
    /// Wait for the targets where there are none yet.
    pub(crate) wait: bool,
    /// In whose words what happens is told.
    pub(crate) voice: Voice,
    /// What is shown when the first process is watched.
    pub(crate) header: Option<Header>,
}

/// In whose words what happens is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Ours, and the rules first, as sentences.
    Sentences,
    /// Ours, where the rules were shown already.
    Plain,
    /// ProcDump's: scripts look for its lines.
    ProcDump,
}

/// Makes the lines that are shown when a process is watched.
pub(crate) type Header = Box<dyn Fn(ProcessKey) -> Option<String>>;

/// Runs `watch`.
pub(crate) fn watch(args: &WatchArgs) -> anyhow::Result<ExitCode> {
    carry_out(args.job()?)
}

/// Runs `run`.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    carry_out(args.job()?)
}

/// Carries the rules out until all are over; the exit code tells how.
pub(crate) fn carry_out(job: Job) -> anyhow::Result<ExitCode> {
    carry_out_seeing(job, &mut |_| ())
}

/// The same, and tells what happens beside showing it.
pub(crate) fn carry_out_seeing(
    job: Job,
    see: &mut dyn FnMut(&RunEvent),
) -> anyhow::Result<ExitCode> {
    session::carry_out(job, see)
}
