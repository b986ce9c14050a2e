//! A core as the kernel streams it: what its first bytes tell, and a record behind its last.

use crate::bytes::{Put, Take};
use crate::elf::{HEAD_SIZE, Head, segments};
use object::elf;

/// The last bytes of a core that has a record behind what its headers describe.
const TRAILER: &[u8; 16] = b"FIRSTCHANCE-TAIL";

/// How far the parts of a core reach, as far as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where the notes begin: before them stand all headers.
    pub notes: u64,
    /// Where the notes end: up to here stands everything but the memory.
    pub head: u64,
    /// Where the last segment ends; `None` where there are so many that the end of the file tells.
    pub end: Option<u64>,
}

/// How many bytes of a core [`extent`] wants to see, to begin with.
pub const FIRST_LOOK: usize = HEAD_SIZE + 64;

/// Reads where the parts of a core lie from its first bytes; the end is known once all program
/// headers are among them. `None` for what is no core, or has no notes first.
pub fn extent(bytes: &[u8]) -> Option<Extent> {
    let head = Head::of(bytes)?;
    let start = usize::try_from(head.segments_at).ok()?;
    let count = usize::from(head.segment_count);
    let table = segments(head.width, bytes.get(start..)?, count);
    let notes = table.first().filter(|s| s.kind == elf::PT_NOTE.0)?;
    let is_core = head.kind == elf::ET_CORE;
    let whole = table.len() == count && head.segment_count != elf::PN_XNUM;
    let ends = table.iter().map(|s| s.offset.saturating_add(s.file_size));
    is_core.then_some(Extent {
        notes: notes.offset,
        head: notes.offset.saturating_add(notes.file_size),
        end: ends.max().filter(|_| whole),
    })
}

/// The bytes that put a record behind a core: nobody else reads them, [`crate::read`] does.
pub fn trailer(record: &[u8]) -> Vec<u8> {
    let mut out = record.to_vec();
    out.u32(record.len() as u32);
    out.put(TRAILER);
    out
}

/// The record behind a core.
pub(crate) fn record_behind(bytes: &[u8]) -> Option<&[u8]> {
    let before = bytes.strip_suffix(TRAILER)?;
    let (before, size) = before.split_last_chunk::<4>()?;
    let size = Take(size).u32()? as usize;
    before.get(before.len().checked_sub(size)?..)
}
