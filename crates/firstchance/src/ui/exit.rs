//! Exit codes: each has one meaning, for every command.

use platform::{Error, ErrorKind};
use std::process::ExitCode;

/// The list at the end of the help.
pub(crate) const HELP: &str = "\
Exit codes:
  0  everything was done as asked
  1  something else went wrong; the message says what
  2  the command line or a file of rules was not understood
  3  there is no such process, or the name fits several
  4  the system does not permit it, or another debugger holds the process
  5  the process ended too early (of a watch: before all its dumps were taken), or a dump is incomplete
  6  the file could not be written: no such folder, no room, no right; or there is no such file
  7  cancelled by Ctrl-C, SIGTERM or `firstchance cancel`";

/// The exit code for an error of this kind.
pub(crate) fn code(kind: ErrorKind) -> ExitCode {
    ExitCode::from(match kind {
        ErrorKind::Unsupported | ErrorKind::Other => 1,
        ErrorKind::NoSuchProcess => 3,
        ErrorKind::NotPermitted | ErrorKind::Busy => 4,
        ErrorKind::TargetDied
        | ErrorKind::Executed
        | ErrorKind::CloneLost
        | ErrorKind::TimedOut => 5,
        ErrorKind::Disk | ErrorKind::Exists => 6,
        ErrorKind::Cancelled => 7,
    })
}

/// The exit code for a command line that was not understood.
pub(crate) fn code_of_usage() -> ExitCode {
    ExitCode::from(2)
}

/// An error in the command line that only shows after parsing: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The exit code for any error; 1 if it has no code of its own.
pub(crate) fn code_of(error: &anyhow::Error) -> ExitCode {
    if error.downcast_ref::<Usage>().is_some() {
        return code_of_usage();
    }
    error
        .downcast_ref::<Error>()
        .map_or(ExitCode::from(1), |error| code(error.kind))
}
