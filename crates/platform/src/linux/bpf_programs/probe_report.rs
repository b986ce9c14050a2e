//! The report of a uprobe's program: offsets of its fields, each a word of 64 bits, and its decoded
//! form.

use super::ring;
use crate::linux::{arch, sys::clock};
use snapshot::Registers;
use std::time::Instant;

/// When it happened, in nanoseconds of CLOCK_MONOTONIC.
pub(super) const TIME: usize = 0;
/// The number of the hold.
pub(super) const SEQUENCE: usize = 8;
/// Process id in the upper half, thread id in the lower.
pub(super) const THREAD: usize = 16;
/// The number of the place.
pub(super) const PLACE: usize = 24;
/// The number of the exception's type; 0 if there is none.
pub(super) const KIND: usize = 32;
/// The registers of the thread in user mode (`struct pt_regs`).
pub(super) const REGISTERS: usize = 40;
/// The size of a report in bytes.
pub(super) const BYTES: usize = REGISTERS + arch::PROBE_WORDS * 8;

/// A thread that came to a place, and is held there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    /// The thread id.
    pub(crate) thread: i32,
    /// The number of the place.
    pub(crate) place: u32,
    /// The number of the exception's type, if something is thrown there.
    pub(crate) kind: Option<u64>,
    /// The hold of the thread.
    pub(crate) hold: HoldId,
    /// When it came there.
    pub(crate) came: Instant,
    /// The registers of the thread at the place.
    pub(crate) registers: Registers,
}

/// Identifies a held thread, by the number of its hold. The thread goes on by itself after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HoldId(pub(super) u64);

impl HoldId {
    /// No hold: the thread stands for another reason.
    pub(crate) const NONE: HoldId = HoldId(0);
}

/// Decodes a report; `None` if it is too short.
pub(super) fn decode(bytes: &[u8]) -> Option<Report> {
    let word = |at| ring::word(bytes, at);
    Some(Report {
        thread: word(THREAD)? as u32 as i32,
        place: word(PLACE)? as u32,
        kind: Some(word(KIND)?).filter(|kind| *kind != 0),
        hold: HoldId(word(SEQUENCE)?),
        came: clock::instant(word(TIME)?),
        registers: arch::from_probe(bytes.get(REGISTERS..)?)?,
    })
}
