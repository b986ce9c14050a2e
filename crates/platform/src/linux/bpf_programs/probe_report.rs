//! What the programs tell, in words of the machine.

use super::ring;
use crate::linux::arch;
use snapshot::Registers;

/// Offsets of the fields; when it happened, in nanoseconds of CLOCK_MONOTONIC.
pub(super) const TIME: usize = 0;
/// The number of the hold.
pub(super) const SEQUENCE: usize = 8;
/// Process and thread.
pub(super) const THREAD: usize = 16;
/// The place's number.
pub(super) const PLACE: usize = 24;
/// What tells the kind of what is thrown, 0 where nothing does.
pub(super) const KIND: usize = 32;
/// User registers, as a uprobe's program is given them.
pub(super) const REGISTERS: usize = 40;
pub(super) const BYTES: usize = REGISTERS + arch::PROBE_WORDS * 8;

/// A thread came to a place, and is held there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) thread: i32,
    pub(crate) place: u32,
    pub(crate) kind: Option<u64>,
    pub(crate) hold: HoldId,
    pub(crate) registers: Registers,
}

/// A held thread; it goes on by itself after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HoldId(pub(super) u64);

impl HoldId {
    /// It stands for another reason.
    pub(crate) const NONE: HoldId = HoldId(0);
}

pub(super) fn decode(bytes: &[u8]) -> Option<Report> {
    let word = |at| ring::word(bytes, at);
    Some(Report {
        thread: word(THREAD)? as u32 as i32,
        place: word(PLACE)? as u32,
        kind: Some(word(KIND)?).filter(|kind| *kind != 0),
        hold: HoldId(word(SEQUENCE)?),
        registers: arch::from_probe(bytes.get(REGISTERS..)?)?,
    })
}
