//! firstchance's own command line.

pub(crate) mod console;
mod demo;
mod doctor;
mod dump;
mod exit;
mod ps;
mod target;
mod values;

use crate::inspect;
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
    /// Show what is in a dump
    Inspect(inspect::Args),
    /// List the processes that can be dumped
    Ps(ps::Args),
    /// Say what works on this machine, and what to do about the rest
    Doctor(doctor::Args),
    /// Start a small program that misbehaves, dump it, and show what is in the dump
    Demo(demo::Args),
    /// The program that the demo starts
    #[command(hide = true)]
    Misbehave,
}

/// Runs the program; its exit code.
pub(crate) fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Dump(args) => dump::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Ps(args) => ps::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Misbehave => demo::misbehave(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("firstchance: {error}");
        exit::code_of(&error)
    })
}
