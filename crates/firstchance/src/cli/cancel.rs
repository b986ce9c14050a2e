//! `firstchance cancel`: ends the monitors of a process.

use crate::ui::{console, values};
use platform::{Error, ErrorKind};
use std::process::ExitCode;

/// Options of `cancel`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The process that is monitored, by its pid
    #[arg(value_parser = values::pid)]
    pub(crate) pid: u32,
}

/// Asks every firstchance that monitors the process to end. Fails if there is none.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let pid = args.pid;
    match platform::cancel_monitors(pid)? {
        0 => {
            let what = format!("no firstchance of yours monitors process {pid}");
            Err(Error::new(ErrorKind::NoSuchProcess, what).into())
        }
        count => {
            let monitors = if count == 1 {
                "monitor ends"
            } else {
                "monitors end"
            };
            console::print(&format!(
                "{count} {monitors}; process {pid} was not touched."
            ))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
