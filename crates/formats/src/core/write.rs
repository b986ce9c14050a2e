//! A core, laid out.

use super::headers;
use super::notes::Notes;
use super::segments::{self, Load};
use super::{NT_RECORD, NT_SNAPSHOT, OWNER, PAGE, PT_RECORD, process_notes, thread_notes};
use crate::elf::Segment;
use crate::metadata::{self, RegisterDetail};
use crate::{RecordSpace, bytes::Width, plan::Pieces};
use object::elf;
use snapshot::{Range, Selection, Snapshot};

/// The pieces of a whole core.
pub(crate) fn pieces(snapshot: &Snapshot, selection: &Selection, record: RecordSpace) -> Pieces {
    let architecture = snapshot.system.architecture;
    let loads = segments::loads(snapshot, selection);
    let notes = notes(snapshot, selection, record);
    let count = 1 + loads.len() + usize::from(record.tail > 0);
    let notes_at = headers::size(Width::of(architecture), count).next_multiple_of(4);
    let table = table(&loads, notes_at, notes.size(), record);

    let mut pieces = Pieces::default();
    pieces.bytes(&headers::write(architecture, &table));
    pieces.align(4);
    pieces.append(notes);
    for (load, segment) in loads.into_iter().zip(&table[1..]) {
        memory(&mut pieces, &load, segment.offset);
    }
    if record.tail > 0 {
        pieces.align(4);
        pieces.record(record.tail);
    }
    pieces
}

fn notes(snapshot: &Snapshot, selection: &Selection, record: RecordSpace) -> Pieces {
    let mut notes = Notes::default();
    let mut threads = snapshot
        .threads
        .iter()
        .filter_map(|thread| Some((thread, thread.registers.as_ref()?)));
    let first = threads.next();
    if let Some((thread, registers)) = first {
        thread_notes::status(&mut notes, snapshot, thread, registers);
    }
    process_notes::write(&mut notes, snapshot, selection.detail);
    if record.head > 0 {
        notes.record(OWNER, NT_RECORD, record.head);
    }
    if let Some((thread, registers)) = first {
        thread_notes::rest(&mut notes, thread, registers);
    }
    for (thread, registers) in threads {
        thread_notes::status(&mut notes, snapshot, thread, registers);
        thread_notes::rest(&mut notes, thread, registers);
    }
    let metadata = metadata::write(snapshot, selection.detail, RegisterDetail::Elsewhere);
    notes.add(OWNER, NT_SNAPSHOT, &metadata);
    notes.pieces
}

/// The program headers, each segment at its place in the file.
fn table(loads: &[Load], notes_at: u64, notes_size: u64, record: RecordSpace) -> Vec<Segment> {
    let mut next = notes_at + notes_size;
    let mut table = vec![Segment {
        kind: elf::PT_NOTE.0,
        offset: notes_at,
        file_size: notes_size,
        align: 4,
        ..Segment::default()
    }];
    table.extend(loads.iter().map(|load| placed(load, &mut next)));
    if record.tail > 0 {
        table.push(Segment {
            kind: PT_RECORD,
            offset: next.next_multiple_of(4),
            file_size: record.tail.into(),
            align: 4,
            ..Segment::default()
        });
    }
    table
}

/// The header of `load`, its offset congruent with its address as elf(5) wants it.
fn placed(load: &Load, next: &mut u64) -> Segment {
    let in_file = !load.memory.is_empty();
    let file_size = if in_file { load.range.len() } else { 0 };
    let offset = if in_file {
        next.next_multiple_of(PAGE) + load.range.start % PAGE
    } else {
        *next
    };
    *next = offset + file_size;
    Segment {
        kind: elf::PT_LOAD.0,
        flags: load.flags,
        offset,
        address: load.range.start,
        file_size,
        memory_size: load.range.len(),
        align: PAGE,
    }
}

fn memory(pieces: &mut Pieces, load: &Load, offset: u64) {
    if load.memory.is_empty() {
        return;
    }
    pieces.zeros(offset - pieces.size());
    let mut at = load.range.start;
    for &Range { start, end } in &load.memory {
        pieces.zeros(start - at);
        pieces.memory(Range::new(start, end));
        at = end;
    }
}
