//! Carries out ProcDump's command line: `firstchance procdump …`, or the program started as
//! `procdump`.

use super::watch::{Job, Wording, carry_out, format_of};
use crate::{
    postmortem,
    procdump::{self, Command, Dialect, Invocation, Monitor},
    ui::{console, exit::Usage},
};
use collector::{Destination, DumpOptions};
use platform::{Error, ErrorKind, Stop};
use policy::{Action, Chance, Clause, Condition, ExceptionFilter, Match, Pattern, Rule};
use snapshot::{DumpKind, OperatingSystem, ProcessKey};
use std::{
    path::{MAIN_SEPARATOR, Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// The words after `procdump`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Switches and target of ProcDump
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

/// Runs ProcDump's command line, given as words without the program's name.
pub(crate) fn run_words(words: &[String]) -> anyhow::Result<ExitCode> {
    let invocation = parse(words)?;
    log::debug!("ProcDump's {:?} means {invocation:?}", dialect());
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

/// The rule that a command line means, for `explain`. Fails if it means none.
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
    let (folder, name) = output_of(&monitor)?;
    let options = dump_options(&monitor, &folder, name.as_deref());
    let launch = monitor.launch.as_ref();
    let launch = launch.map(|launch| (PathBuf::from(&launch.image), launch.arguments.clone()));
    let rule = as_the_system_has_it(&monitor);
    Ok(Job {
        poll: monitor.poll.unwrap_or(Duration::from_secs(1)),
        launch,
        wait: monitor.wait,
        wording: Wording::ProcDump,
        header: header(monitor, folder, name),
        ..Job::new(vec![(rule, options)])
    })
}

/// The rule with what ProcDump for Windows adds to it: breakpoints in the program's own code are
/// exceptions only with `-b`, and with `-e` every exception is shown, also those that are not dumped. A
/// debugger is told of each anyway.
fn as_the_system_has_it(monitor: &Monitor) -> Rule {
    let mut rule = monitor.rule.clone();
    if platform::OS == OperatingSystem::Linux {
        return rule;
    }
    let parts = |filter: &ExceptionFilter| match monitor.breakpoints {
        true => vec![Condition::Exception(filter.clone())],
        false => without_breakpoints(filter),
    };
    let mut shown = None;
    for clause in &mut rule.clauses {
        let each = clause.when.iter().flat_map(|condition| match condition {
            Condition::Exception(filter) => {
                shown = Some(parts(&filter.showing_all()));
                parts(filter)
            }
            other => vec![other.clone()],
        });
        clause.when = each.collect();
    }
    let shown = shown.map(|shown| Clause::new(shown, Action::None));
    rule.clauses.extend(shown);
    rule
}

/// The filter without breakpoints in the program's own code (of 64 and 32 bits). One that nobody
/// handles is the end of the program, as any other exception is.
fn without_breakpoints(filter: &ExceptionFilter) -> Vec<Condition> {
    let codes = ["80000003.", "4000001F."].map(Pattern::new);
    let of = |chance| ExceptionFilter {
        chance,
        ..filter.clone()
    };
    let mut first = of(Chance::First);
    first.exclude.extend(codes.map(Match::Text));
    let parts = match filter.chance {
        Chance::First => vec![first],
        Chance::Unhandled => vec![of(Chance::Unhandled)],
        Chance::Any => vec![first, of(Chance::Unhandled)],
    };
    parts.into_iter().map(Condition::Exception).collect()
}

/// The header that ProcDump prints when it begins to watch; it prints none for a dump at once.
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

/// Splits ProcDump's `Dump_File | Dump_Folder` into a folder and a file name. It is a folder if it
/// exists as one or ends in a separator, else a file in a folder that must exist.
fn output_of(monitor: &Monitor) -> anyhow::Result<(PathBuf, Option<String>)> {
    let Some(output) = &monitor.output else {
        return Ok((PathBuf::from("."), None));
    };
    let path = Path::new(output);
    if path.is_dir() || output.ends_with(['/', MAIN_SEPARATOR]) {
        return Ok((path.to_owned(), None));
    }
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Usage(format!("{output} is no name for a dump")))?;
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
        stop: match monitor.clones {
            Some(_) => Stop::Clone,
            None => Stop::Threads,
        },
        format: format_of(name.is_some().then_some(format)),
        kill_after: monitor.kill_after,
        command_line: Some(crate::ui::command_line()),
    }
}
