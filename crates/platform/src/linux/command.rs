//! Command lines that a rule starts, cut into words as a shell does it.

use snapshot::EndStatus;
use std::{
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Command, ExitStatus},
};

/// See [`crate::command()`].
pub(crate) fn command(text: &str) -> Option<Command> {
    let words = shlex::split(text)?;
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    super::sys::launch::with_inherited_signals(&mut command);
    Some(command)
}

/// Fails where a program is not there, or may not be executed.
pub(crate) fn expect_program(program: &Path) -> io::Result<()> {
    super::sys::launch::expect_executable(program)
}

/// See [`crate::end_status`].
pub(crate) fn end_status(status: ExitStatus) -> EndStatus {
    super::end_status::decode(status.into_raw())
}
