//! Programs that rules start.

use crate::{Error, ErrorKind, Result};
use snapshot::EndStatus;
use std::{
    path::Path,
    process::{Command, ExitStatus},
};

/// Returns the command that a text means. On Linux it is cut into words as by a shell, with quotes and
/// backslashes, but without its variables, patterns and pipes. On Windows the program ends at its second
/// quote or at the first blank, and all the rest is its arguments as they stand. The command runs in a
/// process group of its own: Ctrl-C is not meant for it.
///
/// # Errors
/// If a quote is not closed, or there is no program.
pub fn command(text: &str) -> Result<Command> {
    let wrong = || {
        let what = format!("`{text}` is no command line: it is empty, or a quote is not closed");
        Error::new(ErrorKind::Other, what)
    };
    crate::os::command::command(text).ok_or_else(wrong)
}

/// Checks that a text is a command line, and that its program is there and may be executed.
///
/// # Errors
/// As [`command`], or if there is no such program. On Windows a program without a folder is not looked for: the system
/// searches for it in places of its own when it is started.
pub fn expect_command(text: &str) -> Result<()> {
    let command = command(text)?;
    let program = Path::new(command.get_program());
    let cannot = |error| {
        let program = program.display();
        let what = format!("`run {text}` cannot be done: {program} cannot be started: {error}");
        Error::new(ErrorKind::Other, what)
    };
    crate::os::command::expect_program(program).map_err(cannot)
}

/// Returns how a program of ours has ended.
pub fn end_status(status: ExitStatus) -> EndStatus {
    crate::os::command::end_status(status)
}
