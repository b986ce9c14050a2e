//! The layout of a minidump that is written.

use super::body::{Body, Structure, put};
use super::lists::{self, FileMemoryLayout};
use super::{
    STREAM_RECORD, STREAM_REGISTERS, STREAM_SNAPSHOT, STREAM_TAIL, context, flags, process_streams,
    registers_stream, streams,
};
use crate::metadata::{self, Container};
use crate::{RecordSpace, pieces::Pieces};
use minidump_common::format::{
    MINIDUMP_DIRECTORY, MINIDUMP_HEADER, MINIDUMP_LOCATION_DESCRIPTOR as Location,
    MINIDUMP_SIGNATURE, MINIDUMP_STREAM_TYPE as Stream, MINIDUMP_VERSION,
};
use scroll::LE;
use snapshot::{Detail, Selection, Snapshot};

/// The stream directory: the type and the place of each stream.
type Directory = Vec<(u32, Location)>;

/// The pieces of a whole minidump.
pub(crate) fn pieces(
    snapshot: &Snapshot,
    selection: &Selection,
    record: RecordSpace<'_>,
) -> Pieces {
    let early = streams::wanted(snapshot, selection.detail);
    let others = [
        record.head > 0,
        !record.comment.is_empty(),
        true, // the snapshot
        true, // the extended registers
        snapshot.exception.is_some(),
        true, // the threads
        true, // the memory
        record.tail > 0,
    ];
    let count = early.len() + others.iter().filter(|&&there| there).count();
    let head_size = size::<MINIDUMP_HEADER>() + count * size::<MINIDUMP_DIRECTORY>();

    let mut body = Body::new(head_size as u64);
    let mut directory = early_streams(&mut body, snapshot, selection, record, &early);
    let contexts = contexts(&mut body, snapshot, selection.detail);
    if let Some(exception) = streams::exception(&mut body, snapshot, &contexts) {
        directory.push((Stream::ExceptionStream as u32, exception));
    }
    let memory = FileMemoryLayout::after(&mut body, snapshot, selection);
    directory.extend(late_streams(
        &mut body, snapshot, &memory, &contexts, record,
    ));
    debug_assert_eq!(directory.len(), count);

    let mut pieces = Pieces::default();
    let flags = flags::of(snapshot, selection, memory.is_64());
    pieces.bytes(&head(snapshot, flags, &directory));
    pieces.append(body.pieces);
    pieces.zeros(memory.start - pieces.size());
    selection
        .ranges
        .iter()
        .for_each(|&range| pieces.memory(range, &selection.from_files));
    pieces.record(record.tail);
    pieces
}

fn size<T: Structure>() -> usize {
    T::size_with(&LE)
}

/// Appends the streams that do not refer to registers or memory; the record is the first.
fn early_streams(
    body: &mut Body,
    snapshot: &Snapshot,
    selection: &Selection,
    record: RecordSpace<'_>,
    early: &[Stream],
) -> Directory {
    let mut directory = Vec::new();
    if record.head > 0 {
        let rva = body.aligned(8) as u32;
        body.pieces.record(record.head);
        let data_size = record.head;
        directory.push((STREAM_RECORD, Location { data_size, rva }));
    }
    if !record.comment.is_empty() {
        let comment = body.bytes(&utf16(record.comment));
        directory.push((Stream::CommentStreamW as u32, comment));
    }
    for &kind in early {
        let location = streams::write(kind, body, snapshot, selection.detail);
        directory.push((kind as u32, location));
    }
    let container = Container::Minidump(process_streams::names(snapshot.system.os));
    let metadata = metadata::write(snapshot, selection.detail, container);
    directory.push((STREAM_SNAPSHOT, body.parts(metadata)));
    let registers = registers_stream::write(body, snapshot, selection.detail);
    directory.push((STREAM_REGISTERS, registers));
    directory
}

/// A text in UTF-16, with a NUL at its end.
fn utf16(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().chain([0]);
    units.flat_map(u16::to_le_bytes).collect()
}

/// Appends the lists, which contain the places of the memory, and the place of the record at the
/// end.
fn late_streams(
    body: &mut Body,
    snapshot: &Snapshot,
    memory: &FileMemoryLayout<'_>,
    contexts: &[Location],
    record: RecordSpace<'_>,
) -> Directory {
    let threads = lists::threads(snapshot, memory, contexts);
    let (kind, list) = memory.list();
    let mut directory = vec![
        (Stream::ThreadListStream as u32, body.own_bytes(threads)),
        (kind as u32, body.own_bytes(list)),
    ];
    if record.tail > 0 {
        let mut tail = memory.end().to_le_bytes().to_vec();
        tail.extend(record.tail.to_le_bytes());
        directory.push((STREAM_TAIL, body.bytes(&tail)));
    }
    directory
}

/// Appends the threads' contexts; returns their places, which are empty for threads without
/// registers.
fn contexts(body: &mut Body, snapshot: &Snapshot, detail: Detail) -> Vec<Location> {
    let mut context = |thread| {
        let Some(bytes) = context::write(thread, detail) else {
            return Location::default();
        };
        // Some fields are 16 bytes wide, and dbghelp reads them where they lie.
        let rva = body.aligned(16) as u32;
        body.pieces.sparse(&bytes);
        Location {
            data_size: bytes.len() as u32,
            rva,
        }
    };
    snapshot.threads.iter().map(&mut context).collect()
}

/// The header and the stream directory.
fn head(snapshot: &Snapshot, flags: u64, directory: &Directory) -> Vec<u8> {
    let mut out = Vec::new();
    put(
        &mut out,
        MINIDUMP_HEADER {
            signature: MINIDUMP_SIGNATURE,
            version: MINIDUMP_VERSION,
            stream_count: directory.len() as u32,
            stream_directory_rva: size::<MINIDUMP_HEADER>() as u32,
            checksum: 0,
            time_date_stamp: snapshot.taken.seconds() as u32,
            flags,
        },
    );
    for &(stream_type, location) in directory {
        put(
            &mut out,
            MINIDUMP_DIRECTORY {
                stream_type,
                location,
            },
        );
    }
    out
}
