//! Command lines that a rule starts, cut into words as a shell does it.

use snapshot::EndStatus;
use std::{
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
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

/// See [`crate::end_status`].
pub(crate) fn end_status(status: ExitStatus) -> EndStatus {
    super::end_status::decode(status.into_raw())
}
