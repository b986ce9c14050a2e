//! Going from one block to the next.
//!
//! Before each block stands its size (malloc/malloc.c, `struct malloc_chunk`), whose lowest bit says whether the block before
//! it is in use; its three lowest bits are flags.

use super::window::Window;
use snapshot::{Memory, Range};

/// The bits of a size that are flags.
const FLAGS: u64 = 7;
const PREVIOUS_IN_USE: u64 = 1;
/// The smallest block, in bytes.
const SMALLEST: u64 = 32;
/// At the end of a part that is not the last of its arena stand blocks of no content, so many bytes at most.
const FENCE: u64 = 64;

/// A block.
pub(super) struct Chunk {
    /// Its size, with what the allocator keeps before it, in bytes.
    pub(super) size: u64,
    /// Whether it can be had again.
    pub(super) is_free: bool,
    /// Whether it is what lies behind the last block.
    pub(super) is_top: bool,
    /// The size before it, and the first 32 bytes of its content.
    head: [u8; 48],
}

impl Chunk {
    /// What its content begins with.
    pub(super) fn begin(&self) -> &[u8] {
        &self.head[16..]
    }

    /// The word that a thread's list of free blocks has as second.
    pub(super) fn key(&self) -> u64 {
        word(&self.head, 24)
    }
}

/// Calls `each` with the blocks of a part. Returns where that could not be followed; `None` if it was to the end. `left` is how
/// many blocks may still be looked at.
pub(super) fn walk(
    memory: &dyn Memory,
    part: Range,
    left: &mut u64,
    mut each: impl FnMut(&Chunk),
) -> Option<u64> {
    let mut window = Window::new(memory);
    let mut at = part.start;
    let mut before: Option<Chunk> = None;
    loop {
        // The last block may be shorter than what is looked at.
        let head = window.get(at);
        let Some(head) = head.or_else(|| window.get(at).map(|short| padded(&short))) else {
            return Some(at);
        };
        *left = left.saturating_sub(1);
        if *left == 0 {
            return Some(at);
        }
        let size = word(&head, 8);
        if let Some(mut chunk) = before.take() {
            chunk.is_free = size & PREVIOUS_IN_USE == 0;
            each(&chunk);
        }
        let size = size & !FLAGS;
        let rest = part.end - at;
        if size < SMALLEST || size > rest || !size.is_multiple_of(16) {
            return (rest > FENCE).then_some(at);
        }
        let chunk = Chunk {
            size,
            is_free: false,
            is_top: size == rest,
            head,
        };
        if chunk.is_top {
            each(&chunk);
            return None;
        }
        before = Some(chunk);
        at += size;
    }
}

pub(super) fn word(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    word.map_or(0, |word| u64::from_le_bytes(*word))
}

fn padded(short: &[u8; 16]) -> [u8; 48] {
    let mut head = [0; 48];
    head[..16].copy_from_slice(short);
    head
}
