//! Waiting system calls.

/// For how long a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "no such calls are known there")
)]
pub(crate) enum Wait {
    /// So many milliseconds, as an argument says; for ever if that is negative.
    Milliseconds(usize),
    /// As long as the `struct timespec` says to which an argument points; for ever if that is null.
    Time(usize),
    /// As long as the socket of the first argument may be received from, or sent to.
    Receive,
    Send,
    /// It is not known.
    Unknown,
}
