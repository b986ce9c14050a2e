//! The layout of a core that is written.

use super::headers;
use super::notes::Notes;
use super::segments::{self, Load, Loads};
use super::shown::Shown;
use super::{
    NT_RECORD, NT_SNAPSHOT, OWNER, PAGE, PT_RECORD, extended_notes, process_notes, thread_notes,
};
use crate::elf::Segment;
use crate::metadata::{self, Container};
use crate::{RecordSpace, ShownAgain, bytes::Width, pieces::Pieces};
use object::elf;
use snapshot::{Architecture, Detail, Range, Selection, Snapshot, Thread, xsave};
use std::collections::BTreeSet;

/// The pieces of a whole core.
pub(crate) fn pieces(
    snapshot: &Snapshot,
    selection: &Selection,
    record: RecordSpace<'_>,
) -> Pieces {
    let architecture = snapshot.system.architecture;
    let Loads {
        list: loads,
        unreadable,
    } = segments::loads(snapshot, selection);
    let notes = notes(snapshot, selection, record, &unreadable);
    let count = 1 + loads.len() + usize::from(record.tail > 0);
    let notes_at = headers::size(Width::of(architecture), count).next_multiple_of(4);
    let note = Segment {
        kind: elf::PT_NOTE.0,
        offset: notes_at,
        file_size: notes.size(),
        align: 4,
        ..Segment::default()
    };
    let end_of_notes = notes_at + notes.size();
    let table = std::iter::once(note)
        .chain(placed(&loads, end_of_notes))
        .chain(tail(&loads, end_of_notes, record.tail));

    let mut pieces = Pieces::default();
    pieces.own_bytes(headers::write(architecture, table, count));
    pieces.align(4);
    pieces.append(notes);
    for (load, segment) in loads.iter().zip(placed(&loads, end_of_notes)) {
        memory(&mut pieces, load, segment.offset, &selection.from_files);
    }
    if record.tail > 0 {
        pieces.align(4);
        pieces.record(record.tail);
    }
    pieces
}

fn notes(
    snapshot: &Snapshot,
    selection: &Selection,
    record: RecordSpace<'_>,
    unreadable: &BTreeSet<u64>,
) -> Pieces {
    let mut notes = Notes::default();
    let happened = |thread: &Thread| thread.signal != 0 || thread.siginfo.is_some();
    let on_demand = snapshot.exception.is_none() && !snapshot.threads.iter().any(happened);
    let mut threads = snapshot
        .threads
        .iter()
        .filter_map(|thread| Some((thread, thread.registers.as_ref()?)));
    let first = threads.next();
    if let Some((thread, registers)) = first {
        thread_notes::status(&mut notes, snapshot, thread, registers, selection.detail);
    }
    process_notes::write(&mut notes, snapshot, selection.detail, unreadable);
    if record.head > 0 {
        notes.record(OWNER, NT_RECORD, record.head);
    }
    if let Some((thread, registers)) = first {
        thread_notes::rest(&mut notes, thread, registers, selection.detail, on_demand);
    }
    for (thread, registers) in threads {
        thread_notes::status(&mut notes, snapshot, thread, registers, selection.detail);
        thread_notes::rest(&mut notes, thread, registers, selection.detail, on_demand);
    }
    // The kernel has this note behind those of the threads, too.
    if let Some(layout) = xsave_layout(snapshot, selection.detail) {
        notes.add("LINUX", extended_notes::NT_X86_XSAVE_LAYOUT, &layout);
    }
    let metadata = metadata::write(snapshot, selection.detail, Container::Core);
    notes.add_long(OWNER, NT_SNAPSHOT, metadata);
    notes.pieces
}

/// The contents of `NT_X86_XSAVE_LAYOUT`. All threads run on the same machine, so that one stands
/// for all.
fn xsave_layout(snapshot: &Snapshot, detail: Detail) -> Option<Vec<u8>> {
    let is_x86 = matches!(
        snapshot.system.architecture,
        Architecture::X86 | Architecture::X86_64
    );
    let mut threads = snapshot.threads.iter();
    let thread = threads.find(|thread| thread.extended.len() >= xsave::COMPONENTS)?;
    let extended = thread.extended_for(detail);
    is_x86.then(|| extended_notes::layout(&extended.to_vec()))?
}

/// The program header of each of `loads`. They are computed twice instead of kept, as there may be
/// very many.
fn placed(loads: &[Load], start: u64) -> impl Iterator<Item = Segment> {
    let mut places = Places {
        next: start,
        firsts: Vec::new(),
    };
    loads.iter().map(move |load| places.place(load))
}

/// Where segments lie in the file.
struct Places {
    /// Where the next one begins.
    next: u64,
    /// Where those are to which others refer.
    firsts: Vec<u64>,
}

impl Places {
    fn place(&mut self, load: &Load) -> Segment {
        if let Shown::Again { first, skip, .. } = load.shown {
            return segment(load, self.firsts[first as usize] + skip);
        }
        // It is congruent with the address, as elf(5) demands.
        let align = alignment(load);
        let offset = match load.memory.is_empty() {
            true => self.next,
            false => self.next.next_multiple_of(align) + load.range.start % align,
        };
        if load.shown == Shown::First {
            self.firsts.push(offset);
        }
        let segment = segment(load, offset);
        self.next = offset + segment.file_size;
        segment
    }
}

fn segment(load: &Load, offset: u64) -> Segment {
    let in_file = !load.memory.is_empty();
    let file_size = if in_file { load.range.len() } else { 0 };
    Segment {
        kind: elf::PT_LOAD.0,
        flags: load.flags,
        offset,
        address: load.range.start,
        file_size,
        memory_size: load.range.len(),
        align: alignment(load),
    }
}

/// To what a segment is aligned. Nobody maps the parts of pages of which triage dumps have thousands: each in a page of its own made a core
/// of Java nine times as large.
fn alignment(load: &Load) -> u64 {
    match load.range.page_aligned(PAGE) == load.range {
        true => PAGE,
        false => 8,
    }
}

/// The program header of the record behind the memory, if there is one.
fn tail(loads: &[Load], start: u64, size: u32) -> Option<Segment> {
    let ends = placed(loads, start).map(|segment| segment.offset + segment.file_size);
    let end = ends.max().unwrap_or(start);
    (size > 0).then(|| Segment {
        kind: PT_RECORD,
        offset: end.next_multiple_of(4),
        file_size: size.into(),
        align: 4,
        ..Segment::default()
    })
}

fn memory(pieces: &mut Pieces, load: &Load, offset: u64, from_files: &[Range]) {
    if let Shown::Again { copied_from, .. } = load.shown {
        let range = load.range;
        return pieces.shown_again(ShownAgain { range, copied_from });
    }
    if load.memory.is_empty() {
        return;
    }
    pieces.zeros(offset - pieces.size());
    let mut at = load.range.start;
    for &Range { start, end } in &load.memory {
        pieces.zeros(start - at);
        pieces.memory(Range::new(start, end), from_files);
        at = end;
    }
    pieces.zeros(load.range.end - at);
}
