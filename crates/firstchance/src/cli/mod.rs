//! firstchance's own command line.

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
mod watch;

use crate::{inspect, ui::exit};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The right dump at the right moment, and the target lives on.
#[derive(Debug, Parser)]
#[command(name = "firstchance", version, about, max_term_width = 100)]
#[command(after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a dump of a running process; it lives on
    Dump(dump::Args),
    /// Write dumps of a process when conditions say so
    Watch(Box<watch::WatchArgs>),
    /// Start a program and write dumps of it when conditions say so
    Run(Box<watch::RunArgs>),
    /// ProcDump's own command line
    Procdump(procdump::Args),
    /// End every firstchance that monitors a process; the process goes on
    Cancel(cancel::Args),
    /// List counters that a condition can name, with their values
    Counters(counters::Args),
    /// Print the rule that a command line or a file of rules means
    Explain(explain::Args),
    /// Show what is in a dump
    Inspect(inspect::Args),
    /// Have every crash on this machine leave a dump (as LocalDumps does on Windows)
    Postmortem(postmortem::Args),
    /// List, show, open and delete the dumps in a folder
    Dumps(dumps::Args),
    /// List the processes that can be dumped
    Ps(ps::Args),
    /// Say what works on this machine, and what to do about the rest
    Doctor(doctor::Args),
    /// Watch a small program that misbehaves, and show what is in the dumps that it is good for
    Demo(demo::Args),
    /// Print documents that are made from the program itself
    #[command(hide = true)]
    Generate(generate::Args),
    /// What the kernel calls when a process crashes
    #[command(hide = true)]
    CrashHandler(crate::postmortem::HandlerArgs),
    /// The program that the demo starts
    #[command(hide = true)]
    Misbehave,
}

/// Runs the program; its exit code.
pub(crate) fn main() -> ExitCode {
    let result = if is_called_procdump() {
        procdump::run_words(&std::env::args().skip(1).collect::<Vec<_>>())
    } else {
        run(Cli::parse().command)
    };
    result.unwrap_or_else(|error| {
        eprintln!("firstchance: {error}");
        exit::code_of(&error)
    })
}

/// Whether the program was started under the name `procdump` (a link).
fn is_called_procdump() -> bool {
    let first = std::env::args_os().next().unwrap_or_default();
    crate::procdump::is_name(std::path::Path::new(&first))
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Dump(args) => dump::run(&args),
        Command::Watch(args) => watch::watch(&args),
        Command::Run(args) => watch::run(&args),
        Command::Procdump(args) => procdump::run(&args),
        Command::Cancel(args) => cancel::run(&args),
        Command::Counters(args) => counters::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Ps(args) => ps::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Postmortem(args) => postmortem::run(&args),
        Command::Dumps(args) => dumps::run(&args),
        Command::CrashHandler(args) => crate::postmortem::handle(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Misbehave => demo::misbehave(),
    }
}
