//! firstchance: the right dump at the right moment, and the target lives on.

mod cli;
mod export;
mod inspect;
mod postmortem;
mod procdump;
mod rules;
mod ui;

use std::{ops::ControlFlow, process::ExitCode};

fn main() -> ExitCode {
    match platform::init() {
        ControlFlow::Continue(()) => cli::main(),
        ControlFlow::Break(()) => ExitCode::SUCCESS,
    }
}
