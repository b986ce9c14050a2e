//! The terminal that standard error is, and what was typed there.

/// See [`crate::has_terminal`]: whether our process group is in the foreground.
pub(crate) fn has_terminal() -> bool {
    let foreground = rustix::termios::tcgetpgrp(std::io::stderr());
    foreground.is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Returns the number of columns of that terminal; `None` if standard error is no terminal.
pub(crate) fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}

/// Returns nothing: the shell has split the command line.
pub(crate) fn typed_arguments() -> Option<String> {
    None
}
