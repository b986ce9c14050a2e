//! Code under uprobes: a dump shows the instructions of the file, not the kernel's breakpoints.
//!
//! Situation: a uprobe (ours for a breakpoint rule, or anybody's) replaces the first byte of an
//! instruction in a private copy of the page. In a dump that byte would be taken for the program's
//! own: disassembly and unwinding go wrong there, and a comparison with the file finds a change.
//! Test: `c11_text_under_a_probe_is_as_in_the_file`.

use super::{arch, files};
use snapshot::{Memory, Range, Region};

/// How many private copies of code pages are compared at most: a program that relocates all its
/// code has many, and the process stands meanwhile.
const MOST_PAGES: usize = 4096;

const PAGE: u64 = 4096;

/// Addresses and the bytes to show there instead, by ascending address.
pub(crate) type Patches = Vec<(u64, u8)>;

/// Finds the bytes that are the kernel's breakpoint in memory and something else in the file.
pub(crate) fn find(pid: u32, regions: &[Region], memory: &dyn Memory) -> Patches {
    let mut patches = Patches::new();
    let mut left = MOST_PAGES;
    for region in regions.iter().filter(|region| is_copied_text(region)) {
        let Some(file) = files::open_mapped(pid, region) else {
            continue;
        };
        let file: &[u8] = (*file).as_ref();
        let pages = region.private_pages.iter().flat_map(|run| pages(*run));
        for page in pages.take(left) {
            left -= 1;
            compare(page, region, file, memory, &mut patches);
        }
    }
    patches
}

fn is_copied_text(region: &Region) -> bool {
    let text = region.protection.execute && !region.protection.write && !region.shared;
    text && region.inode != 0 && !region.remote && !region.private_pages.is_empty()
}

fn pages(run: Range) -> impl Iterator<Item = u64> {
    (run.start..run.end).step_by(PAGE as usize)
}

fn compare(page: u64, region: &Region, file: &[u8], memory: &dyn Memory, patches: &mut Patches) {
    let mut ours = [0; PAGE as usize];
    let offset = (region.offset + (page - region.range.start)) as usize;
    let theirs = file.get(offset..).unwrap_or(&[]);
    if memory.read(page, &mut ours) < ours.len() || theirs.len() < ours.len() {
        return;
    }
    let size = arch::BREAKPOINT.len();
    let words = ours.chunks_exact(size).zip(theirs.chunks_exact(size));
    for (at, (ours, theirs)) in words.enumerate() {
        if ours == arch::BREAKPOINT && theirs != ours {
            let start = page + (at * size) as u64;
            patches.extend((start..).zip(theirs.iter().copied()));
        }
    }
}

/// Applies the patches to bytes that were read from `address` on.
pub(crate) fn apply(patches: &Patches, address: u64, bytes: &mut [u8]) {
    let first = patches.partition_point(|(place, _)| *place < address);
    for (place, byte) in &patches[first..] {
        match bytes.get_mut((place - address) as usize) {
            Some(shown) => *shown = *byte,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::apply;

    #[test]
    fn c11_patches_are_put_where_they_belong_and_nowhere_else() {
        let patches = vec![(9, 1), (10, 2), (13, 3), (14, 4)];
        let mut bytes = [0; 4];
        apply(&patches, 10, &mut bytes);
        assert_eq!(bytes, [2, 0, 0, 3]);
        apply(&patches, 100, &mut bytes);
        assert_eq!(bytes, [2, 0, 0, 3]);
    }
}
