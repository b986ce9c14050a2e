//! `firstchance watch` and `firstchance run`: carry out rules in the foreground.

mod args;
mod json;
mod show;

pub(crate) use args::{RunArgs, WatchArgs, format_of, manner_to, read_rules};

use super::target;
use crate::ui::{console, exit};
use collector::{Ended, Happening, Manner, Plan};
use platform::Monitor;
use policy::{Follow, Rule, Settings, Target};
use show::Show;
use snapshot::ProcessKey;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Rules to be carried out, and how: every front end makes one of these.
pub(crate) struct Job {
    /// The rules, each with how its dumps are written.
    pub(crate) rules: Vec<(Rule, Manner)>,
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
    pub(crate) fn new(rules: Vec<(Rule, Manner)>) -> Self {
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
    mut job: Job,
    see: &mut dyn FnMut(&Happening),
) -> anyhow::Result<ExitCode> {
    let mut host = platform::this_machine();
    for (rule, manner) in &mut job.rules {
        args::refuse_unbuilt(rule)?;
        settle_target(&*host, rule, job.wait)?;
        log::debug!("rule: {rule}; its dumps: {manner:?}");
    }
    let cleared = collector::prepare(&job.rules)?;
    log::debug!("left behind by runs that were killed, deleted: {cleared:?}");
    let launch = job.launch.as_ref();
    let launched = launch
        .map(|(path, args)| host.launch(path, args))
        .transpose()?;
    let mut monitor = Monitor::open()?;
    let mut show = Show::new(&mut job);
    cleared.iter().for_each(|path| show.cleared(path));
    let plan = Plan {
        rules: job.rules,
        settings: Settings {
            poll: job.poll,
            ..Settings::new(platform::system().cpus)
        },
        status: show.status_every(job.poll),
        launched,
        machine: platform::this_machine,
        unsafe_breakpoints: job.unsafe_breakpoints,
        cancelled: &mut |changed| {
            if let Some(watched) = changed {
                monitor.follow(watched.iter().map(|key| key.pid));
            }
            monitor.is_asked_to_stop()
        },
    };
    let ended = collector::run(&mut *host, plan, &mut |happening: Happening| {
        show.show(&happening);
        see(&happening);
    })?;
    log::debug!("all rules are over: {ended:?}");
    show.end(&ended);
    Ok(code(&ended, show.all_reached()))
}

/// Fails unless a rule that follows one process means exactly one now, or none and it may wait.
fn settle_target(host: &dyn platform::Host, rule: &mut Rule, wait: bool) -> anyhow::Result<()> {
    target::or_service(host, &mut rule.target)?;
    if rule.follow != Follow::One || matches!(rule.target, Target::Launch(_)) {
        return Ok(());
    }
    if wait && !target::is_there(host, &rule.target)? {
        let target = console::plain(&rule.target.to_string());
        return Ok(console::print(&format!(
            "Waiting for process named {target}..."
        ))?);
    }
    target::one_of(host, &rule.target)?;
    Ok(())
}

fn code(ended: &Ended, all_reached: bool) -> ExitCode {
    let cancelled = ended.cancelled || ended.cancelled_by_pid;
    match &ended.failure {
        _ if cancelled => exit::code(platform::ErrorKind::Cancelled),
        _ if all_reached => ExitCode::SUCCESS,
        Some(error) => exit::code(error.kind),
        None => exit::code(platform::ErrorKind::TargetDied),
    }
}
