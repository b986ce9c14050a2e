//! Carries out ProcDump's command line: `firstchance procdump …`, or the program started as
//! `procdump`.

mod codes;
mod dialect;
mod linux_errors;

use super::watch::{Job, Start, carry_out, format_of};
use crate::{
    postmortem,
    procdump::{self, Command, Dialect, Invocation, Launch, LogTo, Monitor},
    ui::{
        self, TraceTo, Wording, console,
        exit::{self, Usage},
    },
};
use collector::{Destination, DumpOptions, WindowsOptions};
use dialect::Choice;
use platform::{Error, ErrorKind, Existing, ProcessEntry, Stop};
use policy::{Action, Chance, Clause, Condition, ExceptionFilter, Match, Pattern, Rule};
use snapshot::{DumpFormat, DumpKind, OperatingSystem, ProcessKey};
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
    let choice = dialect::choice();
    let chosen = choice.as_ref().map_or(Dialect::default(), |c| c.dialect);
    let dialect = procdump::dialect_of(words, chosen);
    if procdump::asks_for_nothing(words) {
        console::print(&procdump::help(dialect, false))?;
    }
    let (result, command) = match choice.and_then(|c| Ok((parse(words, c)?, c))) {
        Ok((invocation, choice)) => {
            let command = invocation.command.clone();
            (run_invocation(invocation, choice), Some(command))
        }
        Err(error) => (Err(error), None),
    };
    finish(words, dialect, result, command.as_ref())
}

/// The exit code, once all that ProcDump itself says of an error has been said.
fn finish(
    words: &[String],
    dialect: Dialect,
    result: anyhow::Result<ExitCode>,
    command: Option<&Command>,
) -> anyhow::Result<ExitCode> {
    if let (Err(error), Dialect::Linux) = (&result, dialect) {
        console::print(&linux_errors::line(error, command))?;
    }
    if !procdump::wants_own_exit_codes(words) {
        return result;
    }
    let own = result.unwrap_or_else(|error| {
        super::tell(&error);
        own_code(&error, command)
    });
    Ok(codes::of_procdump(own, dialect))
}

/// The exit code from which ProcDump's own is found. ProcDump for Linux does not tell a folder that there is not from any
/// other fault in the command line; and a switch that firstchance does not have is one as well, for a script.
fn own_code(error: &anyhow::Error, command: Option<&Command>) -> ExitCode {
    match command {
        Some(Command::Monitor(monitor))
            if monitor.dialect == Dialect::Linux && linux_errors::is_of_folder(error, monitor) =>
        {
            exit::code_of_usage()
        }
        _ if is_unsupported(error) => exit::code_of_usage(),
        _ => exit::code_of(error),
    }
}

fn is_unsupported(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<Error>();
    error.is_some_and(|error| error.kind == ErrorKind::Unsupported)
}

fn run_invocation(invocation: Invocation, choice: Choice) -> anyhow::Result<ExitCode> {
    log::debug!("ProcDump's {choice:?} means {invocation:?}");
    let mut warnings = invocation.warnings.clone();
    let name = match &invocation.command {
        Command::Monitor(monitor) => output_of(monitor)?.1,
        _ => None,
    };
    warnings.extend(dialect::hint(&invocation, choice, name.as_deref()));
    for warning in &warnings {
        console::complain(&format!("firstchance: {warning}"));
    }
    if !invocation.not_built_yet.is_empty() {
        let what = invocation.not_built_yet.join("; ");
        return Err(Error::new(ErrorKind::Unsupported, what).into());
    }
    match invocation.command {
        Command::Monitor(monitor) => {
            trace(monitor.log);
            carry_out(job(*monitor)?)
        }
        Command::Cancel(pid) => super::cancel::run(&super::cancel::Args { pid }),
        Command::Help { examples } => {
            console::print(&procdump::help(invocation.dialect, examples))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Install(install) => postmortem::install(&install),
        Command::Uninstall => postmortem::uninstall(),
        Command::PostMortem(call) => postmortem::just_in_time(&call),
    }
}

/// Starts the debug log where `-log` says. That it cannot be had is no reason to take no dumps.
fn trace(log: Option<LogTo>) {
    let to = match log {
        None => return,
        Some(LogTo::Stdout) => TraceTo::Stdout,
        Some(LogTo::Syslog) => TraceTo::SystemLog,
    };
    if let Err(error) = ui::trace(to) {
        console::complain(&format!("firstchance: -log has no effect: {error}"));
    }
}

/// The rule that a command line means, for `explain`. Fails if it means none.
pub(crate) fn rule(words: &[String]) -> anyhow::Result<Rule> {
    match parse(words, dialect::choice()?)?.command {
        Command::Monitor(monitor) => Ok(monitor.rule),
        Command::Install(install) => Ok(install.rule),
        _ => Err(Usage("that command line means no rule".to_owned()).into()),
    }
}

fn parse(words: &[String], choice: Choice) -> anyhow::Result<Invocation> {
    let parsed = procdump::parse(words, choice.dialect, platform::OS);
    parsed.map_err(|error| Usage(error.to_string()).into())
}

fn job(monitor: Monitor) -> anyhow::Result<Job> {
    let (folder, name) = output_of(&monitor)?;
    let windows = monitor.windows.options();
    let options = DumpOptions {
        windows: windows.map_err(|error| Usage(error.to_string()))?,
        ..dump_options(&monitor, &folder, name.as_deref())
    };
    let launch = monitor.launch.as_ref().map(start_of);
    let mut rule = as_the_system_has_it(&monitor);
    // A rule's own folder has firstchance's own names.
    let has_own_names = monitor.dialect == Dialect::Linux;
    rule.folder = rule.folder.filter(|_| !has_own_names);
    rule.folder = rule.folder.map(|_| folder.display().to_string());
    Ok(Job {
        poll: monitor.poll.unwrap_or(Duration::from_secs(1)),
        launch,
        wait: monitor.wait,
        wording: match monitor.dialect {
            Dialect::Windows => Wording::ProcDump,
            Dialect::Linux => Wording::ProcDumpForLinux,
        },
        gives_up: gives_up(&monitor),
        header: header(monitor, folder, name),
        ..Job::new(vec![(rule, options)])
    })
}

/// Whether a dump that failed is the end. Without a trigger it would fail again; ProcDump for Linux ends in any case
/// (`SetQuit` where `WriteCoreDump` fails, src/Monitor.cpp).
fn gives_up(monitor: &Monitor) -> bool {
    let by_time = |c: &Condition| matches!(c, Condition::Now | Condition::Every(_));
    let mut conditions = monitor.rule.clauses.iter().flat_map(|clause| &clause.when);
    monitor.dialect == Dialect::Linux || conditions.all(by_time)
}

fn start_of(launch: &Launch) -> Start {
    let arguments = launch.arguments.clone();
    match launch.is_store {
        true => Start::Store(launch.image.clone(), arguments),
        false => Start::Program(PathBuf::from(&launch.image), arguments),
    }
}

/// The rule with what ProcDump adds to it: breakpoints in the program's own code are exceptions only with `-b`. On
/// Windows, every exception is shown with `-e`, also those that are not dumped: a debugger is told of each anyway.
fn as_the_system_has_it(monitor: &Monitor) -> Rule {
    let mut rule = monitor.rule.clone();
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
    let shown = shown.filter(|_| platform::OS == OperatingSystem::Windows);
    let shown = shown.map(|shown| Clause::new(shown, Action::None));
    rule.clauses.extend(shown);
    rule
}

/// How breakpoints in the program's own code are recognised: on Windows by their codes (of 64 and 32 bits), on Linux by
/// their signal.
fn breakpoints() -> Vec<Match> {
    match platform::OS {
        OperatingSystem::Windows => ["80000003.", "4000001F."]
            .map(|code| Match::Text(Pattern::new(code)))
            .into(),
        OperatingSystem::Linux | OperatingSystem::Foreign(_) => snapshot::signal_number("SIGTRAP")
            .map(|number| Match::Code(number as u32))
            .into_iter()
            .collect(),
    }
}

/// The filter without breakpoints in the program's own code. One that nobody handles is the end of the program, as any
/// other exception is.
fn without_breakpoints(filter: &ExceptionFilter) -> Vec<Condition> {
    let of = |chance| ExceptionFilter {
        chance,
        ..filter.clone()
    };
    let mut first = of(Chance::First);
    first.exclude.extend(breakpoints());
    let parts = match filter.chance {
        Chance::First => vec![first],
        Chance::Unhandled => vec![of(Chance::Unhandled)],
        Chance::Any => vec![first, of(Chance::Unhandled)],
    };
    parts.into_iter().map(Condition::Exception).collect()
}

/// The header that ProcDump prints when it begins to watch; it prints none for a dump at once. Before there is a process,
/// it has one only if that names none.
fn header(monitor: Monitor, folder: PathBuf, name: Option<String>) -> Option<super::watch::Header> {
    if monitor.is_manual() {
        return None;
    }
    Some(Box::new(move |key: Option<ProcessKey>| {
        let entry = match key {
            Some(key) => platform::this_machine().entry(key.pid).ok()?,
            None if procdump::is_of_several(&monitor) => ProcessEntry::default(),
            None => return None,
        };
        let called = snapshot::command_name(&entry.command_line);
        let name_of_dialect = called.filter(|_| monitor.dialect == Dialect::Linux);
        let lines = procdump::header(
            &monitor,
            &console::plain(name_of_dialect.unwrap_or(&entry.name)),
            entry.key.pid,
            &console::plain(&entry.image),
            &folder.display().to_string(),
            name.as_deref(),
        );
        Some(match monitor.dialect {
            Dialect::Windows => lines,
            Dialect::Linux => format!("{}\n{lines}", Wording::ProcDumpForLinux.how_to_end()),
        })
    }))
}

/// Splits ProcDump's `Dump_File | Dump_Folder` into a folder, with its full path, and a file name. It is a folder if it
/// exists as one or ends in a separator, else a file in a folder that must exist. After `-x` it is always a folder.
fn output_of(monitor: &Monitor) -> anyhow::Result<(PathBuf, Option<String>)> {
    let full = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Some(output) = &monitor.output else {
        return Ok((full(Path::new(".")), None));
    };
    let path = Path::new(output);
    let is_folder = path.is_dir() || monitor.launch.is_some();
    if is_folder || output.ends_with(['/', MAIN_SEPARATOR]) {
        return Ok((full(path), None));
    }
    collector::expect_file_name(path).map_err(|error| Usage(error.to_string()))?;
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let folder = full(parent.unwrap_or(Path::new(".")));
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    Ok((folder, name))
}

/// What becomes of a file that has the name of a new dump. ProcDump for Linux's own names differ only by the second, in
/// which it takes one dump; ours takes several, and must not replace one by the next.
fn existing(monitor: &Monitor, name: Option<&str>) -> Existing {
    match (monitor.overwrite, monitor.dialect, name) {
        (_, Dialect::Linux, None) | (false, Dialect::Windows, _) => Existing::NextName,
        (false, Dialect::Linux, Some(_)) => Existing::Refuse,
        (true, _, _) => Existing::Replace,
    }
}

fn has_ending(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let endings = [DumpFormat::Core, DumpFormat::Minidump].map(DumpFormat::extension);
    endings
        .iter()
        .any(|ending| name.ends_with(&format!(".{ending}")))
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
    let of_name = super::dump::default_format(
        kind,
        destination_given.as_ref().unwrap_or(&Destination::Stdout),
    );
    // ProcDump for Linux writes cores, whatever they are called.
    let always = match monitor.dialect {
        Dialect::Linux => Some(DumpFormat::Core),
        // A name without an ending gets that of each kind.
        Dialect::Windows => name.filter(|name| has_ending(name)).map(|_| of_name),
    };
    let format = always.unwrap_or(of_name);
    let several = monitor.rule.is_about_several();
    let template = procdump::template(name, several, monitor.dialect, format.extension());
    DumpOptions {
        destination: Destination::File(folder.join(template)),
        existing: existing(monitor, name),
        comment: monitor.comment.clone(),
        timeout: monitor.timeout,
        max_pause: None,
        stop: match monitor.clones {
            Some(_) => Stop::Clone,
            None => Stop::Threads,
        },
        format: format_of(always),
        kill_after: monitor.kill_after,
        // In ProcDump for Linux, each process has a monitor of its own.
        numbers_each_process: monitor.dialect == Dialect::Linux,
        command_line: Some(ui::procdump_line()),
        windows: WindowsOptions::default(),
    }
}
