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
}
