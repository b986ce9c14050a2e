//! ProcDump's command line: `firstchance procdump …`, and the program started as `procdump`.

use super::{
    console,
    exit::Usage,
    watch::{Job, Voice, carry_out, format_of},
};
use crate::{
    postmortem,
    procdump::{self, Command, Dialect, Invocation, Monitor},
};
use collector::{Destination, DumpOptions};
use platform::{Error, ErrorKind, Stop};
use policy::{Action, Clause, Condition, Match, Pattern, Rule};
use snapshot::{DumpKind, OperatingSystem, ProcessKey};
use std::{
    path::{MAIN_SEPARATOR, Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// What the command was given, word by word.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// ProcDump's own switches and target
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "PROCDUMP ARGUMENTS"
    )]
    words: Vec<String>,
}

/// Runs ProcDump's command line.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    run_words(&args.words)
}

/// The same, from the words.
pub(crate) fn run_words(words: &[String]) -> anyhow::Result<ExitCode> {
    let invocation = parse(words)?;
    for warning in &invocation.warnings {
        eprintln!("firstchance: {warning}");
    }
    if !invocation.not_built_yet.is_empty() {
        let what = invocation.not_built_yet.join("; ");
        return Err(Error::new(ErrorKind::Unsupported, what).into());
    }
    match invocation.command {
        Command::Monitor(monitor) => carry_out(job(*monitor)?),
        Command::Cancel(pid) => super::cancel::run(&super::cancel::Args { pid }),
        Command::Help { examples } => {
            console::print(&procdump::help(dialect(), examples))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Install(install) => postmortem::install(&install),
        Command::Uninstall => postmortem::uninstall(),
        Command::PostMortem(call) => postmortem::just_in_time(&call),
    }
}

/// The rule that a command line means, for `explain`.
pub(crate) fn rule(words: &[String]) -> anyhow::Result<Rule> {
    match parse(words)?.command {
        Command::Monitor(monitor) => Ok(monitor.rule),
        Command::Install(install) => Ok(install.rule),
        _ => Err(Usage("that command line means no rule".to_owned()).into()),
    }
}

fn parse(words: &[String]) -> anyhow::Result<Invocation> {
    let parsed = procdump::parse(words, dialect(), platform::OS);
    parsed.map_err(|error| Usage(error.to_string()).into())
}

fn dialect() -> Dialect {
    match std::env::var("PROCDUMP_DIALECT") {
        Ok(name) if name.eq_ignore_ascii_case("linux") => Dialect::Linux,
        _ => Dialect::Windows,
    }
}

fn job(monitor: Monitor) -> anyhow::Result<Job> {
    let (folder, name) = place(&monitor)?;
    let options = dump_options(&monitor, &folder, name.as_deref());
    let launch = monitor.launch.as_ref();
    let launch = launch.map(|launch| (PathBuf::from(&launch.image), launch.arguments.clone()));
    Ok(Job {
        rules: vec![(as_the_system_has_it(&monitor), options)],
        poll: monitor.poll.unwrap_or(Duration::from_secs(1)),
        launch,
        unsafe_breakpoints: false,
        json: false,
        wait: monitor.wait,
        voice: Voice::ProcDump,
        header: header(monitor, folder, name),
    })
}

/// On Windows a program's own breakpoints, of 64 and of 32 bits, are exceptions with `-b` only, and
/// with `-e` every exception is shown, whatever is dumped: a debugger is told of each anyway.
fn as_the_system_has_it(monitor: &Monitor) -> Rule {
    let mut rule = monitor.rule.clone();
    if platform::OS == OperatingSystem::Linux {
        return rule;
    }
    let conditions = rule.clauses.iter_mut().flat_map(|clause| &mut clause.when);
    let mut shown = None;
    for condition in conditions {
        if let Condition::Exception(filter) = condition {
            if !monitor.breakpoints {
                let codes = ["80000003.", "4000001F."].map(Pattern::new);
                filter.exclude.extend(codes.map(Match::Text));
            }
            shown = Some(Condition::Exception(filter.showing_all()));
        }
    }
    let shown = shown.map(|shown| Clause::new(vec![shown], Action::None));
    rule.clauses.extend(shown);
    rule
}

/// The block of lines that ProcDump shows when it begins to watch.
fn header(monitor: Monitor, folder: PathBuf, name: Option<String>) -> Option<super::watch::Header> {
    if monitor.is_manual() {
        return None;
    }
    Some(Box::new(move |key: ProcessKey| {
        let entry = platform::this_machine().entry(key.pid).ok()?;
        let image = console::plain(&entry.image);
        let folder = std::path::absolute(&folder).unwrap_or_else(|_| folder.clone());
        let folder = folder.display().to_string();
        let process = console::plain(&entry.name);
        Some(procdump::header(
            &monitor,
            &process,
            key.pid,
            &image,
            &folder,
            name.as_deref(),
        ))
    }))
}

/// `Dump_File | Dump_Folder`: a folder that exists, or that ends in a separator; else a file in a
/// folder that must exist.
fn place(monitor: &Monitor) -> anyhow::Result<(PathBuf, Option<String>)> {
    let Some(place) = &monitor.place else {
        return Ok((PathBuf::from("."), None));
    };
    let path = Path::new(place);
    if path.is_dir() || place.ends_with(['/', MAIN_SEPARATOR]) {
        return Ok((path.to_owned(), None));
    }
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Usage(format!("{place} is no name for a dump")))?;
    Ok((
        parent.map_or(PathBuf::from("."), Path::to_owned),
        Some(name.to_owned()),
    ))
}

fn dump_options(monitor: &Monitor, folder: &Path, name: Option<&str>) -> DumpOptions {
    let destination_given = name.map(|name| Destination::File(folder.join(name)));
    let largest = monitor
        .rule
        .clauses
        .iter()
        .flat_map(|clause| clause.action.kinds())
        .max();
    let kind = largest.copied().unwrap_or(DumpKind::Mini);
    let format = super::dump::default_format(
        kind,
        destination_given.as_ref().unwrap_or(&Destination::Stdout),
    );
    let template = procdump::template(name, monitor.dialect, format.extension());
    DumpOptions {
        destination: Destination::File(folder.join(template)),
        overwrite: monitor.overwrite,
        comment: monitor.comment.clone(),
        timeout: monitor.timeout,
        stop: Stop::Threads,
        format: format_of(name.is_some().then_some(format)),
        kill_after: monitor.kill_after,
    }
}
