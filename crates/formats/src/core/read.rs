//! Reading cores.

use super::file_notes::Notes;
use super::{PT_RECORD, rebuild};
use crate::bytes::Width;
use crate::elf::{Head, Segment, segment_size, segments};
use crate::memory::{FileMemory, Run};
use crate::stream::record_behind;
use crate::{Dump, FileBytes, ReadError, dump::record_text, metadata, other};
use object::elf;
use snapshot::{Architecture, DumpFormat, Range, Snapshot, Warning};
use std::sync::Arc;

/// Reads a core; see [`crate::read()`].
pub(crate) fn read(file: FileBytes) -> Result<Dump, ReadError> {
    let bytes = (*file).as_ref();
    let head = Head::of(bytes).ok_or_else(|| {
        other::big_endian_core(bytes).unwrap_or_else(|| broken("no whole little-endian ELF header"))
    })?;
    let architecture = architecture(&head)?;
    if let Some(error) = other::machine_core(bytes, &head) {
        return Err(error);
    }
    let mut warnings = Vec::new();
    let table = table(bytes, &head, &mut warnings);
    warnings.extend(truncation(bytes, &table));

    let notes = Notes::of(bytes, &table);
    let memory = FileMemory::new(file.clone(), runs(&table));
    let ours = notes.snapshot.and_then(metadata::read);
    let producer = producer(&head, &notes, ours.is_some());
    let snapshot = match ours {
        Some(snapshot) => with_registers(snapshot, &notes, architecture),
        None => rebuild::snapshot(&notes, &table, &memory, architecture, &mut warnings),
    };
    Ok(Dump {
        format: DumpFormat::Core,
        producer,
        snapshot,
        ranges: memory.ranges(),
        record: record(bytes, &table, &notes),
        memory: Arc::new(memory),
        comments: Vec::new(),
        warnings,
    })
}

fn broken(what: &str) -> ReadError {
    ReadError::Broken(what.to_owned())
}

pub(super) fn architecture(head: &Head) -> Result<Architecture, ReadError> {
    match (head.kind, head.machine, head.width) {
        (kind, _, _) if kind != elf::ET_CORE => Err(ReadError::NotACore),
        (_, elf::EM_386, Width::Four) => Ok(Architecture::X86),
        (_, elf::EM_X86_64, Width::Eight) => Ok(Architecture::X86_64),
        (_, elf::EM_X86_64, Width::Four) => Ok(Architecture::X32),
        (_, elf::EM_ARM, Width::Four) => Ok(Architecture::Arm),
        (_, elf::EM_AARCH64, Width::Eight) => Ok(Architecture::Aarch64),
        (_, elf::EM_RISCV, Width::Eight) => Ok(Architecture::RiscV64),
        (_, machine, _) => Err(other::unread_processor(machine.0, "")),
    }
}

/// The program headers that the file holds; adds a warning if some are missing.
fn table(bytes: &[u8], head: &Head, warnings: &mut Vec<Warning>) -> Vec<Segment> {
    let count = segment_count(bytes, head);
    let start = usize::try_from(head.segments_at).unwrap_or(usize::MAX);
    let there = bytes.get(start..).unwrap_or_default();
    // In a file that was cut off, section 0 is missing, and the number of headers with it. The
    // headers end where their types are 0.
    let most = count.unwrap_or(there.len() / segment_size(head.width));
    let mut table = segments(head.width, there, most);
    if count.is_none() {
        let end = table.iter().position(|segment| segment.kind == 0);
        table.truncate(end.unwrap_or(table.len()));
    }
    if count.is_none_or(|count| count > table.len()) {
        warnings.push(format!(
            "the file ends within its program headers: {} of {} are there",
            table.len(),
            count.map_or("an unknown number".to_owned(), |n| n.to_string()),
        ));
    }
    table
}

/// The number of program headers; `None` if the section header with that number is missing.
fn segment_count(bytes: &[u8], head: &Head) -> Option<usize> {
    if head.segment_count != elf::PN_XNUM {
        return Some(head.segment_count.into());
    }
    // sh_info of Elf32_Shdr, Elf64_Shdr.
    let field = match head.width {
        Width::Four => 28,
        Width::Eight => 44,
    };
    let at = usize::try_from(head.sections_at).ok()?.checked_add(field)?;
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*word) as usize)
}

fn truncation(bytes: &[u8], table: &[Segment]) -> Option<Warning> {
    let size = bytes.len() as u64;
    let end = |segment: &Segment| segment.offset.saturating_add(segment.file_size);
    let wanted = table.iter().map(end).max()?;
    let loads = table.iter().filter(|s| s.kind == elf::PT_LOAD.0);
    let missing = |s: &Segment| end(s).saturating_sub(size.max(s.offset));
    let lost = loads.map(missing).fold(0, u64::saturating_add);
    let mut notes = table.iter().filter(|s| s.kind == elf::PT_NOTE.0);
    let threads = match notes.any(|segment| end(segment) > size) {
        true => " and notes, which tell of threads, registers and mapped files,",
        false => "",
    };
    (wanted > size).then(|| {
        format!(
            "the file is truncated: {size} bytes of {wanted}; \
             {lost} bytes of memory{threads} are missing"
        )
    })
}

fn runs(table: &[Segment]) -> Vec<Run> {
    let loads = table.iter().filter(|s| s.kind == elf::PT_LOAD.0);
    let run = |segment: &Segment| {
        let size = segment.file_size.min(segment.memory_size);
        let end = segment.address.checked_add(size)?;
        segment.offset.checked_add(size)?;
        Some(Run {
            range: Range::new(segment.address, end),
            offset: segment.offset,
        })
    };
    loads.filter_map(run).collect()
}

/// The program that wrote the core. gdb writes section headers, the kernel does not.
fn producer(head: &Head, notes: &Notes<'_>, ours: bool) -> String {
    match head.section_count {
        _ if ours => "firstchance",
        _ if notes.foreign.is_some() => "",
        _ if notes.threads.is_empty() => "",
        0 | 1 => "Linux kernel",
        _ => "gdb",
    }
    .to_owned()
}

/// The text of the record at the end of the file, or of the one at its head if there is none.
fn record(bytes: &[u8], table: &[Segment], notes: &Notes<'_>) -> Option<Vec<u8>> {
    tail(bytes, table)
        .and_then(record_text)
        .or_else(|| notes.record.and_then(record_text))
        .or_else(|| record_behind(bytes).and_then(record_text))
}

fn tail<'a>(bytes: &'a [u8], table: &[Segment]) -> Option<&'a [u8]> {
    let segment = table.iter().find(|s| s.kind == PT_RECORD)?;
    let start = usize::try_from(segment.offset).ok()?;
    let size = usize::try_from(segment.file_size).ok()?;
    bytes.get(start..start.checked_add(size)?)
}

/// Every part of the file that holds the record.
pub(crate) fn record_parts(bytes: &[u8]) -> Vec<&[u8]> {
    let Some(head) = Head::of(bytes) else {
        return Vec::new();
    };
    let table = table(bytes, &head, &mut Vec::new());
    let notes = Notes::of(bytes, &table);
    let all = [notes.record, tail(bytes, &table), record_behind(bytes)];
    all.into_iter().flatten().collect()
}

/// Completes the snapshot that firstchance wrote by the threads' registers, which are in the
/// kernel's notes only.
fn with_registers(
    mut snapshot: Snapshot,
    notes: &Notes<'_>,
    architecture: Architecture,
) -> Snapshot {
    let by_id: std::collections::HashMap<u32, usize> = snapshot
        .threads
        .iter()
        .enumerate()
        .map(|(n, thread)| (thread.id, n))
        .collect();
    for found in notes.threads(architecture) {
        if let Some(&n) = by_id.get(&found.id) {
            snapshot.threads[n].registers = found.registers;
            snapshot.threads[n].extended = found.extended;
        }
    }
    snapshot
}
