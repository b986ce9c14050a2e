use platform::ErrorKind;

/// How a run ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Dumps that were written whole.
    pub(super) dumps: u32,
    /// By Ctrl-C or a signal.
    pub(super) cancelled: bool,
    /// By `firstchance cancel`.
    pub(super) cancelled_by_pid: bool,
    /// The kind of the last failure.
    pub(super) failure: Option<ErrorKind>,
}
