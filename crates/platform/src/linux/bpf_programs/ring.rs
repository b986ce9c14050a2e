//! The ring that programs write their reports into (`BPF_MAP_TYPE_RINGBUF`;
//! Documentation/bpf/ringbuf.rst): a page with how far we have read, a page with how far is
//! written, then the data, mapped twice in a row so that a report never breaks.

use crate::linux::sys::bpf::{self, SharedWords};
use std::{
    io,
    os::fd::OwnedFd,
    sync::atomic::{AtomicU64, Ordering},
};

/// Bytes of reports that fit: a thousand; a power of two.
const SIZE: u32 = 1 << 18;

/// In the first half of a report's head: still being written; thrown away.
const BUSY: u64 = 1 << 31;
const DISCARDED: u64 = 1 << 30;

pub(super) struct Ring {
    /// What programs write to.
    pub(super) map: OwnedFd,
    read: SharedWords,
    rest: SharedWords,
    page: usize,
}

impl Ring {
    pub(super) fn new() -> io::Result<Self> {
        let map = bpf::create_map(bpf::RING, 0, 0, SIZE, 0)?;
        let page = rustix::param::page_size();
        Ok(Self {
            read: SharedWords::new(&map, page, 0, true)?,
            rest: SharedWords::new(&map, page + 2 * SIZE as usize, page as u64, false)?,
            map,
            page,
        })
    }

    /// The next report, if there is one.
    pub(super) fn next(&self) -> Option<Vec<u8>> {
        loop {
            let at = self.read.words()[0].load(Ordering::Acquire);
            if at >= self.rest.words()[0].load(Ordering::Acquire) {
                return None;
            }
            let data = &self.rest.words()[self.page / 8..];
            let start = (at as usize & (SIZE as usize - 1)) / 8;
            let head = data[start].load(Ordering::Acquire);
            if head & BUSY != 0 {
                return None;
            }
            let len = (head & 0x3fff_ffff) as usize;
            let report = (head & DISCARDED == 0).then(|| bytes(&data[start + 1..], len));
            let end = at + 8 + len.next_multiple_of(8) as u64;
            self.read.words()[0].store(end, Ordering::Release);
            if report.is_some() {
                return report;
            }
        }
    }
}

/// A word of a report.
pub(super) fn word(report: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*report.get(at..)?.first_chunk()?))
}

fn bytes(words: &[AtomicU64], len: usize) -> Vec<u8> {
    let words = words.iter().take(len.div_ceil(8));
    let bytes = words.flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
    bytes.take(len).collect()
}
