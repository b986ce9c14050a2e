//! The handles. The reader of the `minidump` crate (0.27) is not used: it follows lists that may
//! run in a circle, and trusts the size of a descriptor, which may be 0.

use crate::bytes::Take;
use crate::minidump::file::File;
use minidump_common::format::{MINIDUMP_HANDLE_DESCRIPTOR, MINIDUMP_STREAM_TYPE as Stream};
use scroll::{LE, Pread};
use snapshot::{Handle, Warning};

/// The longest text, in bytes.
const MOST_NAME: u32 = 65_534;

/// `MINIDUMP_HANDLE_DATA_STREAM`, with descriptors of either kind.
pub(super) fn handles(minidump: &File<'_>, warnings: &mut Vec<Warning>) -> Vec<Handle> {
    let stream = minidump.get_raw_stream(Stream::HandleDataStream as u32);
    let stream = stream.unwrap_or_default();
    let mut header = Take(stream);
    let (Some(start), Some(size), Some(count)) = (header.u32(), header.u32(), header.u32()) else {
        return vec![];
    };
    let table = stream.get(start as usize..).unwrap_or_default();
    let (mut room, mut handles) = (minidump.bytes.len(), Vec::new());
    let descriptors = table
        .chunks_exact(size.max(32) as usize)
        .take(count as usize);
    for descriptor in descriptors.filter_map(|chunk| chunk.pread_with(0, LE).ok()) {
        let handle = handle(minidump, &descriptor);
        // All names may lie at one place, and would be gigabytes then.
        let Some(left) = room.checked_sub(handle.name.len() + handle.kind.len()) else {
            let read = handles.len();
            let what = format!(
                "the names of its handles are longer than the whole file: {read} of {count} were read"
            );
            warnings.push(what);
            break;
        };
        room = left;
        handles.push(handle);
    }
    handles
}

fn handle(minidump: &File<'_>, raw: &MINIDUMP_HANDLE_DESCRIPTOR) -> Handle {
    Handle {
        number: raw.handle,
        kind: string(minidump, raw.type_name_rva).unwrap_or_default(),
        name: string(minidump, raw.object_name_rva).unwrap_or_default(),
        position: None,
        flags: raw.granted_access,
        attributes: raw.attributes,
        handle_count: raw.handle_count,
        pointer_count: raw.pointer_count,
    }
}

/// A `MINIDUMP_STRING`: length in bytes, UTF-16.
fn string(minidump: &File<'_>, rva: u32) -> Option<String> {
    if rva == 0 {
        return None;
    }
    let mut string = Take(minidump.bytes.get(rva as usize..)?);
    let size = string.u32()?.min(MOST_NAME);
    let units = string.bytes(size as usize)?.as_chunks().0;
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    Some(String::from_utf16_lossy(&units))
}
