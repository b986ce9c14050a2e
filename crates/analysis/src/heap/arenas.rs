//! Where the blocks are: the arena that grows with brk(2), those that threads have, and mappings of their own.
//!
//! An arena of a thread is made of parts at multiples of 64 MiB (`HEAP_MAX_SIZE` in malloc/arena.c). Each begins with a
//! `heap_info`, whose first word points to the state of the arena; that lies in the first part.

use super::chunks::word;
use snapshot::{Memory, Range, Region, RegionKind, Snapshot};

/// Parts begin at multiples of this, in bytes.
const PART: u64 = 64 << 20;
/// The sizes of `heap_info`: since 2.35 it has one word more, with padding.
const INFO: [u64; 2] = [0x20, 0x30];
/// The size of `struct malloc_state` since 2.26, up to the next multiple of 16 behind which a block may begin.
const STATE: u64 = 0x8a0;
/// Where `top` is in `struct malloc_state`, and the lists of small free blocks.
pub(super) const TOP: u64 = 0x60;
/// The smallest and the largest size of `tcache_perthread_struct`, as a block.
pub(super) const LISTS: std::ops::RangeInclusive<u64> = 0x250..=0x400;
/// The flag of a block with a mapping of its own.
const MAPPED: u64 = 2;

/// A part of an arena.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Where the arena begins.
    pub(super) arena: u64,
    /// Where its state is, if it is one of a thread.
    pub(super) state: Option<u64>,
    /// Its blocks, with what lies behind the last.
    pub(super) blocks: Range,
}

/// Finds the parts of all arenas, that of brk(2) first.
pub(super) fn find(snapshot: &Snapshot, memory: &dyn Memory) -> Vec<Part> {
    let main = main(snapshot).or_else(|| unnamed(snapshot, memory));
    let of_threads = anonymous(snapshot).filter_map(|region| of_thread(memory, region));
    main.into_iter().chain(of_threads).collect()
}

/// The regions of brk(2) are one behind the other.
fn main(snapshot: &Snapshot) -> Option<Part> {
    let heap = |region: &&Region| region.kind == RegionKind::Heap;
    let mut heaps = snapshot
        .regions
        .iter()
        .filter(heap)
        .map(|region| region.range);
    let mut blocks = heaps.next()?;
    for next in heaps {
        if next.start != blocks.end {
            break;
        }
        blocks.end = next.end;
    }
    Some(Part {
        arena: blocks.start,
        state: None,
        blocks,
    })
}

/// The kernel's cores and gdb's do not name the region of brk(2): it is the first that begins with the lists of the first thread.
fn unnamed(snapshot: &Snapshot, memory: &dyn Memory) -> Option<Part> {
    let begins = |region: &&Region| {
        let mut head = [0; 16];
        let is_read = memory.read_all(region.range.start, &mut head);
        let (before, size) = (word(&head, 0), word(&head, 8));
        is_read && before == 0 && size & 7 == 1 && LISTS.contains(&(size & !7))
    };
    let is_part = |region: &&Region| region.range.start.is_multiple_of(PART);
    let mut regions = anonymous(snapshot).filter(|region| !is_part(region));
    let blocks = regions.find(begins)?.range;
    Some(Part {
        arena: blocks.start,
        state: None,
        blocks,
    })
}

fn anonymous(snapshot: &Snapshot) -> impl Iterator<Item = &Region> {
    let is_plain = |region: &&Region| {
        region.kind == RegionKind::Private && !region.shared && region.protection.write
    };
    snapshot.regions.iter().filter(is_plain)
}

fn of_thread(memory: &dyn Memory, region: &Region) -> Option<Part> {
    let start = region.range.start;
    if !start.is_multiple_of(PART) {
        return None;
    }
    let mut info = [0; 24];
    memory.read_all(start, &mut info).then_some(())?;
    let (state, size) = (word(&info, 0), word(&info, 16));
    let header = INFO
        .into_iter()
        .find(|size| (state & !(PART - 1)) + size == state)?;
    let is_first = state == start + header;
    let first = if is_first {
        state + STATE
    } else {
        start + header
    };
    let end = start
        .checked_add(size)
        .filter(|end| *end <= region.range.end)?;
    Some(Part {
        arena: state - header,
        state: Some(state),
        blocks: Range::new(first, end),
    })
    .filter(|part| !part.blocks.is_empty())
}

/// The blocks that have mappings of their own: the size of each, and what it begins with.
pub(super) fn mapped<'s>(
    snapshot: &'s Snapshot,
    memory: &'s dyn Memory,
) -> impl Iterator<Item = (u64, [u8; 32])> + 's {
    anonymous(snapshot).flat_map(move |region| of_region(memory, region.range))
}

/// The kernel joins mappings that lie one behind the other.
fn of_region(memory: &dyn Memory, region: Range) -> Vec<(u64, [u8; 32])> {
    let mut found = Vec::new();
    let mut at = region.start;
    while at < region.end {
        let mut head = [0; 48];
        let size = match memory.read_all(at, &mut head) {
            true => word(&head, 8),
            false => break,
        };
        let bytes = size & !7;
        let is_one = size & 7 == MAPPED && word(&head, 0) < 4096 && bytes.is_multiple_of(4096);
        if !is_one || bytes == 0 || bytes > region.end - at {
            break;
        }
        let mut begin = [0; 32];
        begin.copy_from_slice(&head[16..]);
        found.push((bytes, begin));
        at += bytes;
    }
    found
}
