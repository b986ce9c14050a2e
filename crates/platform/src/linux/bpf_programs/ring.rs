//! The ring into which programs write their reports (`BPF_MAP_TYPE_RINGBUF`;
//! Documentation/bpf/ringbuf.rst).
//!
//! It is mapped as a page with the position up to which we have read, a page with the position up
//! to which is written, and the data. The kernel offers the data twice in a row, so that no report wraps around; we map it
//! once, as each page that is mapped counts as memory of ours.

use crate::linux::sys::bpf::{self, ReadWords, SharedWords};
use std::{io, os::fd::OwnedFd, sync::atomic::Ordering};

/// The size of the data in bytes; a power of two. The first is enough for a thousand reports.
pub(super) const LARGE: u32 = 1 << 18;
pub(super) const SMALL: u32 = 1 << 15;

/// Flags in the head of a report: it is still being written, or it was thrown away.
const BUSY: u64 = 1 << 31;
const DISCARDED: u64 = 1 << 30;

/// A ring, and how far it has been read.
pub(super) struct Ring {
    /// The map that programs write to.
    pub(super) map: OwnedFd,
    read: SharedWords,
    rest: ReadWords,
    page: usize,
    size: usize,
}

impl Ring {
    /// A ring of this size that nobody else reads.
    pub(super) fn new(size: u32) -> io::Result<Self> {
        Self::of(Self::new_map(size)?, size)
    }

    /// Makes the map of a ring that somebody else reads.
    pub(super) fn new_map(size: u32) -> io::Result<OwnedFd> {
        bpf::create_map(bpf::RING, 0, 0, size, 0)
    }

    /// The ring of a map that was made with this size, and that nobody else reads.
    pub(super) fn of(map: OwnedFd, size: u32) -> io::Result<Self> {
        let (page, size) = (rustix::param::page_size(), size as usize);
        Ok(Self {
            read: SharedWords::new(&map, 0, page)?,
            rest: ReadWords::new(&map, page + size, page as u64)?,
            map,
            page,
            size,
        })
    }

    /// Returns whether all reports have been taken out.
    pub(super) fn is_empty(&self) -> bool {
        self.read.words()[0].load(Ordering::Acquire) >= self.rest.load(0)
    }

    /// Takes the next report out of the ring, if there is one.
    pub(super) fn next(&self) -> Option<Vec<u8>> {
        loop {
            let at = self.read.words()[0].load(Ordering::Acquire);
            if at >= self.rest.load(0) {
                return None;
            }
            let head = self.word_at(at);
            if head & BUSY != 0 {
                return None;
            }
            let len = (head & 0x3fff_ffff) as usize;
            let report = (head & DISCARDED == 0).then(|| self.bytes(at + 8, len));
            let end = at + 8 + len.next_multiple_of(8) as u64;
            self.read.words()[0].store(end, Ordering::Release);
            if report.is_some() {
                return report;
            }
        }
    }

    /// Copies `len` bytes from a position on.
    fn bytes(&self, from: u64, len: usize) -> Vec<u8> {
        let words = (from..from + len as u64).step_by(8);
        let bytes = words.flat_map(|at| self.word_at(at).to_ne_bytes());
        bytes.take(len).collect()
    }

    /// Reads the word at a position, which is a multiple of 8.
    fn word_at(&self, at: u64) -> u64 {
        self.rest
            .load((self.page + (at as usize & (self.size - 1))) / 8)
    }
}

/// Returns the 64-bit word at an offset of a report.
pub(super) fn word(report: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*report.get(at..)?.first_chunk()?))
}

/// Returns the text up to the first NUL of a field of a report.
pub(super) fn text(field: &[u8]) -> String {
    let text = field.split(|byte| *byte == 0).next();
    String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
}
