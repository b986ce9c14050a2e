//! The loadable segments of a core, made of the address space and the selection.

use super::{
    PAGE,
    shown::{Shown, ShownObjects},
};
use object::elf;
use snapshot::{
    Detail, DumpKind, Protection, Range, Region, RegionKind, Selection, Snapshot, coalesce,
};
use std::collections::BTreeSet;

/// A segment: its memory is in the file, or nothing of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) range: Range,
    /// `PF_…` bits.
    pub(super) flags: u32,
    /// The memory in the file, ascending, with zeros between. Empty if nothing of the segment is in
    /// the file.
    pub(super) memory: Vec<Range>,
    /// What others have in common with it.
    pub(super) shown: Shown,
}

/// The largest gap of untouched memory that is written as zeros instead of a segment of its own, in
/// bytes.
const BRIDGE: u64 = 64 << 10;
/// The same in a dump that has mappings as a whole: the stacks of threads are, but not the terabytes that some programs
/// only reserve.
const WHOLE_BRIDGE: u64 = 64 << 20;

/// The segments of a core.
pub(super) struct Loads {
    /// By ascending address.
    pub(super) list: Vec<Load>,
    /// The starts of the regions of which a part must not be readable.
    pub(super) unreadable: BTreeSet<u64>,
}

/// All segments.
pub(super) fn loads(snapshot: &Snapshot, selection: &Selection) -> Loads {
    let mut selected = &selection.ranges[..];
    let mut objects = ShownObjects::of(&snapshot.regions);
    let mut loads = Loads {
        list: Vec::with_capacity(snapshot.regions.len()),
        unreadable: BTreeSet::new(),
    };
    for region in &snapshot.regions {
        let first = selected.partition_point(|r| r.end <= region.range.start);
        selected = &selected[first..];
        let runs = runs_within(region, selected, selection.detail);
        split(region, &runs, selection, &mut objects, &mut loads);
    }
    loads
}

/// The selected parts of `region`, in whole pages unless that would include what must be left out
/// (the page in which a triage dump's stack ends also holds the environment).
fn runs_within(region: &Region, selected: &[Range], detail: Detail) -> Vec<Range> {
    let whole = |range: Range| match detail {
        Detail::All => range.page_aligned(PAGE),
        Detail::Limited => range,
    };
    let inside = selected
        .iter()
        .take_while(|range| range.start < region.range.end)
        .filter_map(|range| whole(*range).intersect(region.range));
    coalesce(inside.collect(), 0)
}

fn split<'s>(
    region: &'s Region,
    runs: &[Range],
    selection: &Selection,
    objects: &mut ShownObjects<'s>,
    loads: &mut Loads,
) {
    let flags = flags(region.protection);
    let widest = widest_bridge(selection.kind);
    let mut at = region.range.start;
    for memory in bridged(region, runs, widest) {
        let own = Range::new(
            start_of_segment(region, memory[0].start),
            memory[memory.len() - 1].end,
        );
        let run = match widest {
            BRIDGE => own,
            _ => widened(region, own, at, widest),
        };
        push_empty(loads, region, Range::new(at, run.start), selection.kind);
        at = run.end;
        let run = Load {
            range: run,
            flags,
            memory,
            shown: Shown::Alone,
        };
        push_run(loads, objects, region, run, selection);
    }
    let rest = Range::new(at, region.range.end);
    push_empty(loads, region, rest, selection.kind);
}

/// Adds the segment of a run, or, of memory that is mapped elsewhere, too, one for each part that is in the file already or not.
/// What is read from a file is read later than the rest.
fn push_run<'s>(
    loads: &mut Loads,
    objects: &mut ShownObjects<'s>,
    region: &'s Region,
    run: Load,
    selection: &Selection,
) {
    let is_of_object = run.memory == [run.range] && !selection.is_from_files(run.range);
    let parts = is_of_object
        .then(|| objects.parts(region, run.range))
        .flatten();
    let Some(parts) = parts else {
        return loads.list.push(run);
    };
    loads
        .list
        .extend(parts.into_iter().map(|(range, shown)| Load {
            range,
            flags: run.flags,
            memory: vec![range],
            shown,
        }));
}

/// Where the segment of a run begins. That of a stack begins at a page, because elfutils reads no other: the unused
/// part of the page, below the stack pointer, is zeros in a triage dump.
fn start_of_segment(region: &Region, start: u64) -> u64 {
    match region.kind {
        RegionKind::Stack => start & !(PAGE - 1),
        _ => start,
    }
}

/// Adds a segment for memory that is not in the file, unless the process had something there that no debugger can
/// know: they would take the content from the file that is mapped there, or read zeros (gdb 13).
fn push_empty(loads: &mut Loads, region: &Region, range: Range, kind: DumpKind) {
    if differs(region, range, kind) {
        loads.unreadable.insert(region.range.start);
    } else {
        loads.list.extend(empty(range, flags(region.protection)));
    }
}

/// Whether a part of a region is not what is in its file, or not zeros, or may not be. An image is what it was, as its build-id
/// tells, and what differs in its code are breakpoints. Other files may have changed by the time that somebody looks. A full
/// dump has what was read of them, and names the largest, which it has not: what it lacks is read from the file itself.
fn differs(region: &Region, range: Range, kind: DumpKind) -> bool {
    let may_have_changed = region.deleted || is_small(kind);
    if region.unseen || region.kind == RegionKind::Mapped && may_have_changed {
        return !range.is_empty();
    }
    let is_code_of_image = region.protection.execute && region.is_file_backed();
    let own = match region.is_file_backed() {
        true => &region.private_pages,
        false => &region.resident,
    };
    // There may be a gap, and so a call of this, for each of a million pages.
    let next = own.partition_point(|pages| pages.end <= range.start);
    let overlaps = |pages: &Range| pages.intersect(range).is_some();
    !is_code_of_image && own.get(next).is_some_and(overlaps)
}

/// Whether a dump leaves most files out.
fn is_small(kind: DumpKind) -> bool {
    matches!(kind, DumpKind::Mini | DumpKind::Triage | DumpKind::Callback)
}

/// A segment without memory; `None` for an empty range.
fn empty(range: Range, flags: u32) -> Option<Load> {
    (!range.is_empty()).then_some(Load {
        range,
        flags,
        memory: vec![],
        shown: Shown::Alone,
    })
}

/// The largest gap that is written as zeros. A dump by a `coredump_filter` that takes private memory has mappings as a
/// whole, as the kernel's cores and gcore's have them: what was not touched is a hole in the file.
fn widest_bridge(kind: DumpKind) -> u64 {
    match kind {
        DumpKind::Custom(mask) if mask & 1 != 0 => WHOLE_BRIDGE,
        _ => BRIDGE,
    }
}

/// A run with the untouched memory before it, back to `from`, and behind it, up to the end of its region, as far as
/// these gaps can be bridged.
fn widened(region: &Region, run: Range, from: u64, widest: u64) -> Range {
    let end = region.range.end;
    let before = is_bridge(region, from, run.start, widest);
    let behind = is_bridge(region, run.end, end, widest);
    Range::new(
        if before { from } else { run.start },
        if behind { end } else { run.end },
    )
}

/// Groups runs whose gaps are small and known to be zeros.
fn bridged(region: &Region, runs: &[Range], widest: u64) -> Vec<Vec<Range>> {
    let mut groups: Vec<Vec<Range>> = Vec::new();
    for &run in runs {
        match groups.last_mut() {
            Some(group) if is_bridge(region, group[group.len() - 1].end, run.start, widest) => {
                group.push(run);
            }
            _ => groups.push(vec![run]),
        }
    }
    groups
}

/// Whether `start..end` is short and known to be zeros, which is anonymous memory that was never
/// touched. (Untouched pages of a file or of shared memory may hold anything.)
fn is_bridge(region: &Region, start: u64, end: u64, widest: u64) -> bool {
    use RegionKind::{Heap, Private, Stack};
    let plain = matches!(region.kind, Private | Heap | Stack) && !region.shared;
    let touched = region.resident.partition_point(|page| page.end <= start);
    let untouched = region
        .resident
        .get(touched)
        .is_none_or(|page| page.start >= end);
    plain && !region.unseen && end - start < widest && untouched
}

fn flags(protection: Protection) -> u32 {
    let flag = |on, flag: elf::ProgramFlags| if on { flag.0 } else { 0 };
    flag(protection.read, elf::PF_R)
        | flag(protection.write, elf::PF_W)
        | flag(protection.execute, elf::PF_X)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each range of pages, by a search that does not go through all pages each time: there may be a million.
    #[test]
    fn s4_a_part_differs_where_it_has_a_page_of_many() {
        let region = Region {
            range: Range::new(0, 64 * PAGE),
            resident: [4, 9, 10, 30]
                .map(|at| Range::new(at * PAGE, (at + 1) * PAGE))
                .into(),
            ..Region::default()
        };
        for start in 0..64 {
            for end in start..=64 {
                let range = Range::new(start * PAGE, end * PAGE);
                let has_page = region
                    .resident
                    .iter()
                    .any(|page| page.intersect(range).is_some());
                assert_eq!(
                    differs(&region, range, DumpKind::Full),
                    has_page,
                    "{range:?}"
                );
            }
        }
    }
}
