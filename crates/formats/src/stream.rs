//! A core that the kernel writes to a pipe: how large its parts are, and the record that
//! firstchance adds at the end.

use crate::bytes::{Put, Take};
use crate::elf::{HEAD_SIZE, Head, segments};
use object::elf;

/// The last bytes of a core with a record at its end. They tell where it begins.
const TRAILER: &[u8; 16] = b"FIRSTCHANCE-TAIL";

/// The extent of the parts of a core, by its first bytes; offsets in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where the notes begin. All headers are before them.
    pub notes: u64,
    /// Where the notes end. Behind them is only memory.
    pub head: u64,
    /// Where the last segment ends; `None` if there are so many that only the end of the file
    /// tells.
    pub end: Option<u64>,
}

/// How many bytes of a core [`extent`] needs at first.
pub const FIRST_LOOK: usize = HEAD_SIZE + 64;

/// The extent of a core's parts by its first bytes. The end is known if all program headers are
/// among them. `None` if this is not a core, or its first segment is not that of the notes.
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

/// The bytes to append to a core so that it has a record. Only [`crate::read()`] reads them; other
/// readers ignore what is behind the last segment.
pub fn trailer(record: &[u8]) -> Vec<u8> {
    let mut out = record.to_vec();
    out.u32(record.len() as u32);
    out.put(TRAILER);
    out
}

/// The record at the end of a core, with its padding; `None` if there is none.
pub(crate) fn record_behind(bytes: &[u8]) -> Option<&[u8]> {
    let before = bytes.strip_suffix(TRAILER)?;
    let (before, size) = before.split_last_chunk::<4>()?;
    let size = Take(size).u32()? as usize;
    before.get(before.len().checked_sub(size)?..)
}
