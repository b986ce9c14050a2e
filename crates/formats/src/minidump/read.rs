//! Reading minidumps.

use super::file::File;
use super::{
    STREAM_RECORD, STREAM_REGISTERS, STREAM_SNAPSHOT, STREAM_TAIL, comments, process_streams,
    processor, rebuild, registers_stream,
};
use crate::bytes::Take;
use crate::memory::{FileMemory, Run};
use crate::{Dump, FileBytes, ReadError, dump::record_text, metadata};
use minidump_common::format::{
    MINIDUMP_MEMORY_DESCRIPTOR, MINIDUMP_MEMORY_DESCRIPTOR64, MINIDUMP_STREAM_TYPE as Stream,
    MINIDUMP_THREAD,
};
use scroll::{LE, Pread, ctx::SizeWith, ctx::TryFromCtx};
use snapshot::{DumpFormat, ForeignSystem, OperatingSystem, Range, Snapshot, Warning};
use std::sync::Arc;

/// Reads a minidump; see [`crate::read()`].
pub(crate) fn read(file: FileBytes) -> Result<Dump, ReadError> {
    let bytes = (*file).as_ref();
    let minidump = File::open(&file)?;
    if let Some(refused) = minidump.processor().and_then(processor::refused) {
        return Err(refused);
    }
    let mut warnings = broken_streams(&minidump, bytes.len());
    let runs = runs(&minidump);
    warnings.extend(truncation(&runs, bytes.len()));
    let memory = FileMemory::new(file.clone(), runs);

    let ours = minidump.get_raw_stream(STREAM_SNAPSHOT).ok();
    let ours = ours.and_then(metadata::read);
    let ours = ours.map(|snapshot| completed(snapshot, &minidump));
    let is_ours = ours.is_some();
    let snapshot = match ours {
        Some(snapshot) => snapshot,
        None => rebuild::snapshot(&minidump, &memory, &mut warnings),
    };
    let comments = match is_ours {
        true => Vec::new(),
        false => comments::comments(&minidump),
    };
    Ok(Dump {
        format: DumpFormat::Minidump,
        producer: producer(&minidump, is_ours, snapshot.system.os),
        snapshot,
        ranges: memory.ranges(),
        record: record(&minidump, bytes),
        comments,
        memory: Arc::new(memory),
        warnings,
    })
}

/// Completes the snapshot that firstchance wrote by what is in streams of its own: files, and the
/// extended registers.
fn completed(mut snapshot: Snapshot, minidump: &File<'_>) -> Snapshot {
    if let Ok(stream) = minidump.get_raw_stream(STREAM_REGISTERS) {
        registers_stream::read(stream, &mut snapshot.threads);
    }
    for (stream, name) in process_streams::files() {
        let mut files = snapshot.process.files.iter_mut();
        let place = files.find(|(n, bytes)| n == name && bytes.is_empty());
        if let Some((_, bytes)) = place {
            *bytes = minidump.raw(stream).to_vec();
        }
    }
    snapshot
}

/// The record at the head of a minidump, as much of it as `bytes` hold; only the directory is read.
pub(crate) fn record_at_head(bytes: &[u8]) -> Option<Vec<u8>> {
    let (at, size) = place(bytes, STREAM_RECORD)?;
    let there = bytes.get(at..)?;
    record_text(&there[..there.len().min(size)])
}

/// Every part of the file that holds the record.
pub(crate) fn record_parts(bytes: &[u8]) -> Vec<&[u8]> {
    let tail = stream(bytes, STREAM_TAIL).and_then(|place| tail(place, bytes));
    [stream(bytes, STREAM_RECORD), tail]
        .into_iter()
        .flatten()
        .collect()
}

fn stream(bytes: &[u8], wanted: u32) -> Option<&[u8]> {
    let (at, size) = place(bytes, wanted)?;
    bytes.get(at..at.checked_add(size)?)
}

/// The offset and the size of a stream; only the directory is read. `None` if there is no such
/// stream.
fn place(bytes: &[u8], wanted: u32) -> Option<(usize, usize)> {
    // MINIDUMP_HEADER: signature, version, number of streams, where their directory lies.
    let mut head = Take(bytes.get(8..)?);
    let (count, directory) = (head.u32()?, head.u32()? as usize);
    let mut entries = Take(bytes.get(directory..)?);
    for _ in 0..count.min(MOST_STREAMS) {
        let (kind, size, at) = (entries.u32()?, entries.u32()?, entries.u32()? as usize);
        if kind == wanted {
            return Some((at, size as usize));
        }
    }
    None
}

/// The record at the end of the file, whose place is in the stream `STREAM_TAIL`.
fn tail<'a>(stream: &[u8], bytes: &'a [u8]) -> Option<&'a [u8]> {
    let mut fields = Take(stream);
    let (start, size) = (fields.u64()?, fields.u32()?);
    let start = usize::try_from(start).ok()?;
    bytes.get(start..start.checked_add(size as usize)?)
}

/// The most streams that are looked at; no real minidump has as many.
const MOST_STREAMS: u32 = 1024;

/// A warning for each stream that is beyond the end of the file.
fn broken_streams(minidump: &File<'_>, size: usize) -> Vec<Warning> {
    let end = |d: u32, rva: u32| u64::from(d) + u64::from(rva);
    minidump
        .all_streams()
        .filter(|s| end(s.location.data_size, s.location.rva) > size as u64)
        .map(|s| {
            let kind = s.stream_type;
            let what = contents(kind);
            format!("the file is truncated: stream {kind:#x}{what} is not (all) there")
        })
        .collect()
}

/// What a stream of that type holds, in brackets; empty if that needs no telling.
fn contents(kind: u32) -> &'static str {
    match kind {
        3 => " (threads)",
        4 => " (modules)",
        5 | 9 => " (memory)",
        6 => " (exception)",
        7 => " (system)",
        12 => " (handles)",
        15 => " (process)",
        16 => " (regions)",
        24 => " (names of threads)",
        _ => "",
    }
}

fn truncation(runs: &[Run], size: usize) -> Option<Warning> {
    let size = size as u64;
    let end = |run: &Run| run.offset.saturating_add(run.range.len());
    let wanted = runs.iter().map(end).max()?;
    (wanted > size).then(|| format!("the file is truncated: {size} bytes of {wanted}"))
}

/// The memory in the file, by both kinds of list and by the list of threads. (The `minidump`
/// crate's reader of the 64-bit list is not used: it returns nothing if the file's end is missing.)
fn runs(minidump: &File<'_>) -> Vec<Run> {
    let mut runs = runs32(minidump);
    runs.extend(runs64(minidump).unwrap_or_default());
    runs.extend(stacks(minidump));
    runs
}

fn runs32(minidump: &File<'_>) -> Vec<Run> {
    let list = minidump.entries(Stream::MemoryListStream, 16);
    let descriptors = entries::<MINIDUMP_MEMORY_DESCRIPTOR>(list);
    descriptors.filter_map(|d| run_of(minidump, &d)).collect()
}

fn stacks(minidump: &File<'_>) -> Vec<Run> {
    let list = minidump.entries(Stream::ThreadListStream, 48);
    let threads = entries::<MINIDUMP_THREAD>(list);
    threads.filter_map(|t| run_of(minidump, &t.stack)).collect()
}

fn run_of(minidump: &File<'_>, descriptor: &MINIDUMP_MEMORY_DESCRIPTOR) -> Option<Run> {
    let place = descriptor.memory;
    let start = minidump.address(descriptor.start_of_memory_range);
    let end = start.checked_add(place.data_size.into())?;
    (place.rva != 0).then_some(Run {
        range: Range::new(start, end),
        offset: place.rva.into(),
    })
}

fn runs64(minidump: &File<'_>) -> Option<Vec<Run>> {
    let mut list = Take(minidump.raw(Stream::Memory64ListStream));
    let (_count, mut offset) = (list.u64()?, list.u64()?);
    let mut runs = Vec::new();
    for descriptor in entries::<MINIDUMP_MEMORY_DESCRIPTOR64>(list.0) {
        let start = minidump.address(descriptor.start_of_memory_range);
        let end = start.checked_add(descriptor.data_size)?;
        runs.push(Run {
            range: Range::new(start, end),
            offset,
        });
        offset = offset.checked_add(descriptor.data_size)?;
    }
    Some(runs)
}

/// All structures in `bytes`. What follows the last entry of a 64-bit list is padding, which reads as
/// ranges without length.
fn entries<'a, T>(bytes: &'a [u8]) -> impl Iterator<Item = T>
where
    T: TryFromCtx<'a, scroll::Endian, Error = scroll::Error> + SizeWith<scroll::Endian> + 'a,
{
    let size = T::size_with(&LE);
    bytes
        .chunks_exact(size)
        .filter_map(|chunk| chunk.pread_with(0, LE).ok())
}

fn producer(minidump: &File<'_>, ours: bool, os: OperatingSystem) -> String {
    let has = |kind: Stream| minidump.get_raw_stream(kind as u32).is_ok();
    match os {
        _ if ours => "firstchance",
        _ if has(Stream::CrashpadInfoStream) => "Crashpad",
        OperatingSystem::Foreign(ForeignSystem::Unknown) => "",
        OperatingSystem::Windows if !has(Stream::BreakpadInfoStream) => "Windows",
        _ => "Breakpad",
    }
    .to_owned()
}

/// The text of the record at the end of the file, or of the one at its head if there is none.
fn record(minidump: &File<'_>, bytes: &[u8]) -> Option<Vec<u8>> {
    let tail = minidump.get_raw_stream(STREAM_TAIL).ok();
    let tail = tail.and_then(|place| self::tail(place, bytes));
    let head = minidump.get_raw_stream(STREAM_RECORD).ok();
    tail.and_then(record_text)
        .or_else(|| head.and_then(record_text))
}
