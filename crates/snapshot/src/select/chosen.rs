//! Dumps of which a callback routine says what is in them.

use super::{
    MINI_STACK, Selection, WORDS, code_around, each_word, existing, module_data, regions,
    safe_pages, stacks, stacks_of, teb_of,
};
use crate::{
    DumpKind, Memory, NoMemory, Range, Region, RegionKind, Snapshot, Thread,
    choice::{Choice, MODULE_CODE, MODULE_DATA, THREAD_CODE, THREAD_DATA, THREAD_STACK},
    coalesce, without,
};
use std::collections::BTreeSet;

/// Selects the memory that a callback routine has chosen: of each thread and module what its flags say, then what was added,
/// without what was removed. What identifies the modules (`extra`, as in [`select`](super::select)) is there, too.
pub fn select_chosen(
    choice: &Choice,
    snapshot: &Snapshot,
    memory: &dyn Memory,
    extra: &[Range],
) -> Selection {
    let with = |flag| {
        let has = move |thread: &&Thread| choice.of_thread(thread.id, flag);
        snapshot.threads.iter().filter(has)
    };
    let mut ranges = stacks_of(with(THREAD_STACK), snapshot, memory, MINI_STACK, false);
    let code = with(THREAD_CODE).filter_map(|thread| Some(code_around(&thread.registers?)));
    let tebs = with(THREAD_DATA).filter_map(teb_of);
    let wanted: Vec<Range> = code.chain(tebs).chain(choice.added.clone()).collect();
    ranges.extend(existing(snapshot, memory, &wanted));
    ranges.extend(module_data(snapshot, memory, extra));
    ranges.extend(regions(snapshot, |region| of_module(choice, region)));
    let removed = coalesce(choice.removed.clone(), 0);
    Selection {
        ranges: without(&coalesce(ranges, 0), &removed),
        kind: DumpKind::Callback,
        ..Selection::default()
    }
}

/// The first addresses of the modules that the stacks refer to.
pub fn modules_on_stacks(snapshot: &Snapshot, memory: &dyn Memory) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    let size = snapshot.system.architecture.pointer_size() as usize;
    let mut buffer = vec![0; WORDS];
    for range in coalesce(stacks(snapshot, memory, MINI_STACK, false), 0) {
        each_word(memory, range, size, &mut buffer, |word| {
            found.extend(snapshot.module_at(word).map(|module| module.range.start));
        });
    }
    found
}

/// How many bytes were added that the process does not have.
pub fn added_in_vain(choice: &Choice, snapshot: &Snapshot) -> u64 {
    let added = coalesce(choice.added.clone(), 0);
    let found = coalesce(existing(snapshot, &NoMemory, &added), 0);
    crate::total_bytes(&without(&added, &found))
}

/// The part of a module that its flags select.
fn of_module(choice: &Choice, region: &Region) -> Vec<Range> {
    let flag = match region.protection.write {
        true => MODULE_DATA,
        false => MODULE_CODE,
    };
    let is_part =
        region.kind == RegionKind::Image && (region.protection.write || region.protection.execute);
    match is_part && choice.of_module(region.allocation_base, flag) {
        true => safe_pages(region).to_vec(),
        false => Vec::new(),
    }
}
