//! The record at the head of a dump, without reading the rest: a list of dumps asks for it only.

use crate::elf::{Head, notes, segments};
use crate::{core, dump::record_text, minidump, stream};
use object::elf;

/// The record of a dump of ours, from its head; the one behind it in a core that the kernel wrote.
pub fn record(bytes: &[u8]) -> Option<Vec<u8>> {
    match bytes.first_chunk()? {
        b"\x7fELF" => in_core(bytes).or_else(|| stream::record_behind(bytes).map(<[u8]>::to_vec)),
        b"MDMP" => minidump::record_at_head(bytes),
        _ => None,
    }
}

fn in_core(bytes: &[u8]) -> Option<Vec<u8>> {
    let head = Head::of(bytes)?;
    let start = usize::try_from(head.segments_at).ok()?;
    let table = segments(head.width, bytes.get(start..)?, 1);
    let segment = table.first().filter(|s| s.kind == elf::PT_NOTE.0)?;
    let contents = bytes.get(usize::try_from(segment.offset).ok()?..)?;
    let size = usize::try_from(segment.file_size).ok()?.min(contents.len());
    let mut notes = notes(&contents[..size], segment.align);
    let ours = notes.find(|note| core::is_record(note))?;
    record_text(ours.descriptor)
}
