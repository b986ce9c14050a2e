//! What a run of `watch` or `run` came to: the last line and the exit code are made of it.

use platform::ErrorKind;

/// What a run came to.
#[derive(Debug, Default)]
pub(super) struct RunSummary {
    /// The number of dumps that were written completely.
    pub(super) dumps: u32,
    /// Whether it was ended by Ctrl-C or a signal.
    pub(super) cancelled: bool,
    /// Whether it was ended by `firstchance cancel`.
    pub(super) cancelled_by_pid: bool,
    /// The kind of the last failure, if anything failed.
    pub(super) failure: Option<ErrorKind>,
    /// The kind of the last failure for which a process was given up.
    pub(super) gave_up: Option<ErrorKind>,
}

impl std::fmt::Display for RunSummary {
    /// `2 dumps complete, and cancelled; the last failure: the file could not be written`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} complete",
            policy::print_count(self.dumps.into(), "dump")
        )?;
        if self.cancelled || self.cancelled_by_pid {
            f.write_str(", and cancelled")?;
        }
        match self.failure {
            Some(kind) => write!(f, "; the last failure: {kind}"),
            None => Ok(()),
        }
    }
}
