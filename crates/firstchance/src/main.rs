//! firstchance: the right dump at the right moment, and the target lives on.

mod cli;
mod export;
mod inspect;
mod postmortem;
mod procdump;
mod rules;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    platform::init();
    cli::main()
}
