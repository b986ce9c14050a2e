//! The record of a dump without the rest, for lists of dumps: the head of the file is enough.

use crate::elf::{Head, notes, segments};
use crate::{core, dump::record_text, minidump, packed, stream};
use object::elf;

/// So much of the content of a compressed dump is looked at, in bytes: enough for the headers of 18,000 segments.
const HEAD: u64 = 1 << 20;

/// The record of a dump that firstchance wrote, compressed or not, from the head of the file. In a core that the
/// kernel wrote, the record is at the end of the file. `None` if there is no record.
pub fn record(bytes: &[u8]) -> Option<Vec<u8>> {
    match packed::head(bytes, HEAD) {
        Some(content) => in_dump(&content),
        None => in_dump(bytes),
    }
}

fn in_dump(bytes: &[u8]) -> Option<Vec<u8>> {
    match bytes.first_chunk()? {
        b"\x7fELF" => in_core(bytes).or_else(|| stream::record_behind(bytes).and_then(record_text)),
        b"MDMP" => minidump::record_at_head(bytes),
        _ => None,
    }
}

/// The places of the record in a dump, each as its offset and its size in bytes. The record can be
/// overwritten there.
pub fn record_places(bytes: &[u8]) -> Vec<(u64, usize)> {
    let parts = match bytes.first_chunk() {
        Some(b"\x7fELF") => core::record_parts(bytes),
        Some(b"MDMP") => minidump::record_parts(bytes),
        _ => Vec::new(),
    };
    let offset = |part: &[u8]| part.as_ptr().addr() - bytes.as_ptr().addr();
    let places = parts.iter().map(|part| (offset(part) as u64, part.len()));
    places.collect()
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
