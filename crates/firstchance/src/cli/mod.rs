//! firstchance's own command line: the commands, and one file for each.

mod cancel;
mod counters;
mod demo;
mod doctor;
mod dump;
mod dumps;
mod explain;
mod generate;
mod pool;
mod postmortem;
mod procdump;
mod ps;
mod target;
mod unpack;
mod watch;

use crate::{
    inspect,
    ui::{LogArgs, console, exit},
};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The right dump at the right moment, and the target lives on.
#[derive(Debug, Parser)]
#[command(name = "firstchance", version, about, max_term_width = 100)]
#[command(after_help = exit::HELP)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a dump of a running process, which continues
    Dump(dump::Args),
    /// Write dumps of a process when conditions are met
    Watch(Box<watch::WatchArgs>),
    /// Start a program and write dumps of it when conditions are met
    Run(Box<watch::RunArgs>),
    /// Take the command line of ProcDump
    Procdump(procdump::Args),
    /// End every firstchance that monitors a process, which continues
    Cancel(cancel::Args),
    /// List the counters that a condition can name, with their values
    Counters(counters::Args),
    /// Print the rules that a command line, a file of rules or the postmortem settings mean
    Explain(explain::Args),
    /// Show what is in a dump
    Inspect(inspect::Args),
    /// Write the plain dump of one that is compressed
    Unpack(unpack::Args),
    /// Write a dump of every crash on this machine (as LocalDumps does on Windows)
    Postmortem(postmortem::Args),
    /// List, show, delete, open and pack stored dumps
    Dumps(dumps::Args),
    /// List the processes; RUNTIME is ? for those that this user may not dump
    Ps(ps::Args),
    /// Check what works on this machine, and what to do about the rest
    Doctor(doctor::Args),
    /// Watch a small program that misbehaves, and show its dumps
    Demo(demo::Args),
    /// Print man pages or shell completions
    #[command(hide = true)]
    Generate(generate::Args),
    /// The command that the kernel starts when a process crashes
    #[command(hide = true)]
    CrashHandler(crate::postmortem::HandlerArgs),
    /// The program that the crash handler starts
    #[command(hide = true)]
    CrashWorker(crate::postmortem::HandlerArgs),
    /// The program that the demo starts
    #[command(hide = true)]
    Misbehave,
}

/// Runs the command line of this process and returns the exit code.
pub(crate) fn main() -> ExitCode {
    let result = match procdump_words() {
        Some(words) => procdump::run_words(&words),
        None => {
            let cli = Cli::parse();
            cli.log.start().and_then(|()| run(cli.command))
        }
    };
    result.unwrap_or_else(|error| {
        tell(&error);
        exit::code_of(&error)
    })
}

/// Tells why a command failed.
fn tell(error: &anyhow::Error) {
    log::debug!("failed: {error:#}");
    console::complain(&format!("firstchance: {error}"));
}

/// The words of a command line that is ProcDump's: after the word `procdump`, or all of them if the
/// program was started under that name, through a link. They are not parsed here, as ProcDump has
/// switches with the names of ours, such as `-v`.
fn procdump_words() -> Option<Vec<String>> {
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_default();
    let is_link = crate::procdump::is_name(std::path::Path::new(&program));
    let is_command = words.next().is_some_and(|word| word == "procdump");
    let skipped = match () {
        () if is_link => 1,
        () if is_command => 2,
        () => return None,
    };
    Some(std::env::args().skip(skipped).collect())
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    log::debug!("{command:?}");
    match command {
        Command::Dump(args) => dump::run(&args),
        Command::Watch(args) => watch::watch(&args),
        Command::Run(args) => watch::run(&args),
        Command::Procdump(args) => procdump::run(&args),
        Command::Cancel(args) => cancel::run(&args),
        Command::Counters(args) => counters::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Unpack(args) => unpack::run(&args),
        Command::Ps(args) => ps::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Postmortem(args) => postmortem::run(&args),
        Command::Dumps(args) => dumps::run(&args),
        Command::CrashHandler(args) => crate::postmortem::handle(&args),
        Command::CrashWorker(args) => crate::postmortem::work(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Misbehave => demo::misbehave(),
    }
}
