//! Blocks that are free though the block behind them does not say so: those that wait in lists for the next request of their
//! size.
//!
//! Each thread has such lists (`tcache_perthread_struct`), whose blocks are marked by their second word: since glibc 2.34 by a
//! number that was drawn when the program began, before by the address of the lists. Each arena has some too (`fastbinsY`).

use super::arenas::{LISTS, Part, TOP};
use super::chunks::word;
use snapshot::{Memory, RegionKind, Snapshot};
use std::collections::HashSet;

/// The lists of small free blocks in `struct malloc_state`: where they are, and how many.
const FAST: u64 = 0x10;
const FAST_COUNT: usize = 10;
/// The blocks of one list that are looked at, at most.
const MOST: usize = 1 << 20;
/// How much of the data of the C library is searched for the state of the main arena, in bytes.
const SEARCHED: u64 = 1 << 20;

/// The second words of blocks in the lists of threads.
pub(super) fn keys(memory: &dyn Memory, parts: &[Part]) -> HashSet<u64> {
    let firsts = parts.iter().map(|part| part.blocks.start);
    firsts.flat_map(|first| keys_of(memory, first)).collect()
}

/// The lists of a thread are the first block that it asks for: a number for each list, of two bytes, and then the lists.
fn keys_of(memory: &dyn Memory, first: u64) -> Vec<u64> {
    let size = memory.read_u64(first.wrapping_add(8)).unwrap_or_default() & !7;
    if !LISTS.contains(&size) {
        return Vec::new();
    }
    let mut content = vec![0; size as usize - 8];
    if !memory.read_all(first + 16, &mut content) {
        return Vec::new();
    }
    let count = content.len() / 10;
    let lists = (0..count).map(|at| word(&content, count * 2 + at * 8));
    let keys = lists.filter(|block| *block != 0 && block.is_multiple_of(16));
    let keys = keys.filter_map(|block| memory.read_u64(block.wrapping_add(8)));
    keys.filter(|key| *key != 0).collect()
}

/// The sizes of the blocks in the lists of an arena.
pub(super) fn fast(snapshot: &Snapshot, memory: &dyn Memory, part: &Part) -> Vec<u64> {
    let state = part.state.or_else(|| main_state(snapshot, memory, part));
    let lists = state.into_iter().flat_map(|state| {
        let list = move |at: usize| state + FAST + at as u64 * 8;
        (0..FAST_COUNT).map(list)
    });
    let first = |list: u64| memory.read_u64(list).filter(|chunk| *chunk != 0);
    lists
        .filter_map(first)
        .flat_map(|chunk| of_list(memory, part, chunk))
        .collect()
}

fn of_list(memory: &dyn Memory, part: &Part, first: u64) -> Vec<u64> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut chunk = first;
    while part.blocks.contains(chunk) && found.len() < MOST && seen.insert(chunk) {
        let Some(size) = memory.read_u64(chunk + 8) else {
            break;
        };
        found.push(size & !7);
        let at = chunk + 16;
        let next = memory.read_u64(at).unwrap_or_default();
        // Since 2.32 it is hidden by where it stands.
        let hidden = next ^ (at >> 12);
        chunk = if part.blocks.contains(hidden) {
            hidden
        } else {
            next
        };
    }
    found
}

/// The state of the main arena is in the data of the C library: it is found by its pointer to what lies behind the last block.
fn main_state(snapshot: &Snapshot, memory: &dyn Memory, part: &Part) -> Option<u64> {
    let is_data = |region: &&snapshot::Region| {
        region.protection.write
            && (region.kind == RegionKind::Image || region.name.is_empty())
            && region.range.len() <= SEARCHED
    };
    let is_libc = |name: &str| name.starts_with("libc.so") || name.starts_with("libc-2.");
    let libc = snapshot
        .modules
        .iter()
        .find(|module| is_libc(module.name()))?;
    // What is behind the image is its data, too.
    let end = libc.range.end.saturating_add(SEARCHED);
    let near = |region: &&snapshot::Region| {
        region.range.start >= libc.range.start && region.range.start < end
    };
    let mut regions = snapshot.regions.iter().filter(is_data).filter(near);
    regions.find_map(|region| {
        let mut content = vec![0; region.range.len() as usize];
        let got = memory.read(region.range.start, &mut content);
        let points = |at: &usize| {
            let top = word(&content, *at);
            part.blocks.contains(top) && reaches_end(memory, part, top)
        };
        let at = (0..got).step_by(8).find(points)?;
        (region.range.start + at as u64).checked_sub(TOP)
    })
}

fn reaches_end(memory: &dyn Memory, part: &Part, top: u64) -> bool {
    let size = memory.read_u64(top.wrapping_add(8));
    size.is_some_and(|size| top.checked_add(size & !7) == Some(part.blocks.end))
}
