//! Command lines that a rule starts. Windows gives a program its command line as one text, which it cuts
//! into words itself: behind the program's own name it is passed on as it was written.

use snapshot::EndStatus;
use std::{
    io,
    os::windows::process::CommandExt as _,
    path::Path,
    process::{Command, ExitStatus},
};
use windows_sys::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP;

/// See [`crate::command()`].
pub(crate) fn command(text: &str) -> Option<Command> {
    let (program, arguments) = split(text.trim())?;
    let mut command = Command::new(program);
    command.creation_flags(CREATE_NEW_PROCESS_GROUP);
    if !arguments.is_empty() {
        command.raw_arg(arguments);
    }
    Some(command)
}

/// Fails where a program that is named with its folder is not there.
pub(crate) fn expect_program(program: &Path) -> io::Result<()> {
    match super::search::is_bare(program) {
        true => Ok(()),
        false => super::search::find(program).map(drop),
    }
}

/// See [`crate::end_status`].
pub(crate) fn end_status(status: ExitStatus) -> EndStatus {
    EndStatus::Code(status.code().unwrap_or_default() as u32)
}

/// Splits a command line behind the program, as Windows itself does: it ends at the second quote, or at the
/// first blank (<https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-createprocessw>).
fn split(text: &str) -> Option<(&str, &str)> {
    let (program, arguments) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => text.split_once([' ', '\t']).unwrap_or((text, "")),
    };
    (!program.is_empty()).then(|| (program, arguments.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn n27_the_program_ends_at_its_quote_or_at_a_blank() {
        let expected = Some((r"C:\My Tools\notify.exe", r#"--to "a b" \x"#));
        assert_eq!(
            split(r#""C:\My Tools\notify.exe"  --to "a b" \x"#),
            expected
        );
        assert_eq!(split(r"notify.exe"), Some(("notify.exe", "")));
        assert_eq!(split(r#""C:\My Tools\notify.exe"#), None);
        assert_eq!(split(""), None);
    }
}
