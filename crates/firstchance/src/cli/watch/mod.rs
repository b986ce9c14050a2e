//! `firstchance watch` and `firstchance run`: carry out rules in the foreground, until all are over or somebody
//! cancels. ProcDump's command line and the demo use it, too.

mod args;
mod json;
mod monitors;
mod rights;
mod session;
mod show;
mod summary;

pub(crate) use args::{RunArgs, WatchArgs, format_of, options_to, read_rules};

use crate::ui::Wording;
use collector::{DumpOptions, RunEvent};
use platform::HoldOptions;
use policy::Rule;
use snapshot::ProcessKey;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Rules to carry out, with all options. Every front end makes one of these.
pub(crate) struct Job {
    /// The rules, each with the options for its dumps.
    pub(crate) rules: Vec<(Rule, DumpOptions)>,
    /// The time between two samples of levels such as cpu.
    pub(crate) poll: Duration,
    /// What to start for a rule about `launch:`.
    pub(crate) launch: Option<Start>,
    /// How threads are held at places in the code.
    pub(crate) holds: HoldOptions,
    /// Whether events are printed as JSON, and not as lines for people.
    pub(crate) json: bool,
    /// Whether to wait if no process matches the target yet. Otherwise that is an error.
    pub(crate) wait: bool,
    /// The wording of the lines for people.
    pub(crate) wording: Wording,
    /// Whether a process is watched no further after a dump of it failed. Otherwise the dump is tried again.
    pub(crate) gives_up: bool,
    /// Makes the text that is printed before any process is watched, or when the first one is.
    pub(crate) header: Option<Header>,
}

/// What is started, with its arguments.
pub(crate) enum Start {
    /// A program, which is watched from its first instruction.
    Program(PathBuf, Vec<String>),
    /// A Store application, by its AppUserModelId. It runs when it is watched.
    Store(String, Vec<String>),
}

impl Job {
    /// A job with these rules and the defaults for all options: no program is started, no target is waited
    /// for, and events are shown as lines for people.
    pub(crate) fn new(rules: Vec<(Rule, DumpOptions)>) -> Self {
        Self {
            rules,
            poll: Duration::from_secs(1),
            launch: None,
            holds: HoldOptions::default(),
            json: false,
            wait: false,
            wording: Wording::Sentences,
            gives_up: false,
            header: None,
        }
    }
}

/// Makes the header for a process; before there is one, without it. Returns `None` if there is none.
pub(crate) type Header = Box<dyn Fn(Option<ProcessKey>) -> Option<String>>;

/// Carries out `firstchance watch`. Returns its exit code.
pub(crate) fn watch(args: &WatchArgs) -> anyhow::Result<ExitCode> {
    carry_out(args.job()?)
}

/// Carries out `firstchance run`. Returns its exit code.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    carry_out(args.job()?)
}

/// Carries out the rules until all are over, or somebody cancels. Returns the exit code: 0 if every rule took
/// all its dumps.
pub(crate) fn carry_out(job: Job) -> anyhow::Result<ExitCode> {
    carry_out_observed(job, &mut |_| ())
}

/// Carries out the rules as [`carry_out`] does, and also calls `observe` with every event.
pub(crate) fn carry_out_observed(
    job: Job,
    observe: &mut dyn FnMut(&RunEvent),
) -> anyhow::Result<ExitCode> {
    session::carry_out(job, observe)
}
