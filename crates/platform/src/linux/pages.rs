//! Which pages of a process exist, in memory or swapped: by `PAGEMAP_SCAN` (Linux 6.7), else by
//! `/proc/PID/pagemap`. A page that was never touched does not exist, and is not in a dump.

use super::sys::memory::{PageRun, page, scan_pages};
use snapshot::{Range, Region, RegionKind};
use std::{fs::File, io, os::unix::fs::FileExt};

/// Bits of a `pagemap` entry (kernel documentation, admin-guide/mm/pagemap).
mod entry {
    pub(super) const PRESENT: u64 = 1 << 63;
    pub(super) const SWAPPED: u64 = 1 << 62;
    pub(super) const FILE: u64 = 1 << 61;
    pub(super) const GUARD: u64 = 1 << 58;
}

/// The first address that cannot belong to a process.
const KERNEL_HALF: u64 = 1 << 63;

/// The categories by which it is told whether a page exists.
const EXISTENCE: u64 = page::PRESENT | page::SWAPPED | page::ZERO | page::GUARD;

/// The regions from which on pages of files are not told from others, where there can be none, in bytes: that takes the
/// kernel a look at each page, and so four times as long.
const LARGE: u64 = 64 << 20;

/// Fills `resident` and `private_pages` of every region that is not `unseen`.
///
/// # Errors
/// If `pagemap` cannot be read.
pub(crate) fn fill(pagemap: &File, regions: &mut [Region], page_size: u64) -> io::Result<()> {
    match crate::failpoint("old-kernel").and_then(|()| fill_by_scan(pagemap, regions)) {
        Ok(()) => Ok(()),
        Err(_) => fill_by_entries(pagemap, regions, page_size),
    }
}

/// Returns the runs of pages that exist in these ranges, with those of the `categories` ([`page`]) that they have. What cannot be
/// looked at, as before Linux 6.7, is a run without any.
pub(crate) fn runs(pagemap: &File, ranges: &[Range], categories: u64) -> Vec<PageRun> {
    let mut buffer = vec![PageRun::default(); 1024];
    let mut all = Vec::new();
    for range in ranges {
        let mut at = range.start;
        while at < range.end {
            let Ok((count, walked)) = scan_pages(pagemap, at, range.end, categories, &mut buffer)
            else {
                all.push(PageRun {
                    start: at,
                    end: range.end,
                    categories: 0,
                });
                break;
            };
            all.extend(&buffer[..count]);
            if walked <= at {
                break;
            }
            at = walked;
        }
    }
    all
}

/// Returns whether a page of the process's own exists at an address: neither one of a file nor one that would have to
/// be made.
pub(crate) fn is_own(pagemap: &File, address: u64, page_size: u64) -> bool {
    let word = entry_of(pagemap, address, page_size);
    is_there(word) && word & entry::FILE == 0
}

/// Returns whether a page exists at an address.
pub(crate) fn exists(pagemap: &File, address: u64, page_size: u64) -> bool {
    is_there(entry_of(pagemap, address, page_size))
}

fn is_there(word: u64) -> bool {
    word & (entry::PRESENT | entry::SWAPPED) != 0 && word & entry::GUARD == 0
}

/// Returns the entry of a page; 0 if it cannot be read.
fn entry_of(pagemap: &File, address: u64, page_size: u64) -> u64 {
    let mut word = [0; 8];
    let read = pagemap.read_exact_at(&mut word, address / page_size * 8);
    read.map_or(0, |()| u64::from_le_bytes(word))
}

/// As [`fill`], by the call that newer kernels have.
///
/// # Errors
/// If the kernel does not have it.
pub(super) fn fill_by_scan(pagemap: &File, regions: &mut [Region]) -> io::Result<()> {
    let walks = walks(regions);
    let mut filler = Filler { regions, at: 0 };
    let mut runs = vec![PageRun::default(); 4096];
    walks
        .iter()
        .try_for_each(|walk| walk.scan(pagemap, &mut runs, |run| filler.add(run)))
}

/// Returns the pages of memory of the process alone that have content.
pub(super) fn existing(pagemap: &File, range: Range) -> Vec<Range> {
    let walk = Walk {
        range,
        categories: EXISTENCE,
    };
    let mut found = Vec::new();
    let add = |run: &PageRun| {
        if has_content(run) {
            push(&mut found, Range::new(run.start, run.end));
        }
    };
    // What cannot be looked at is not read either.
    let _ = walk.scan(pagemap, &mut [PageRun::default(); 64], add);
    found
}

fn is_refused(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

/// A part of the address space that is walked at once.
struct Walk {
    range: Range,
    categories: u64,
}

impl Walk {
    /// Finds the runs of pages. Older kernels do not know guard pages.
    fn scan(
        &self,
        pagemap: &File,
        runs: &mut [PageRun],
        mut each: impl FnMut(&PageRun),
    ) -> io::Result<()> {
        let (mut start, mut mask) = (self.range.start, self.categories);
        while start < self.range.end {
            let (count, walked) = match scan_pages(pagemap, start, self.range.end, mask, runs) {
                Ok(step) => step,
                Err(error) if is_refused(&error) && mask & page::GUARD != 0 => {
                    mask &= !page::GUARD;
                    continue;
                }
                Err(error) => return Err(error),
            };
            runs[..count].iter().for_each(&mut each);
            if walked <= start {
                break;
            }
            start = walked;
        }
        Ok(())
    }
}

/// The walks over all regions that are not unseen; ascending. Small ones are walked together.
fn walks(regions: &[Region]) -> Vec<Walk> {
    let mut walks: Vec<Walk> = Vec::new();
    let mut is_next = false;
    // The vsyscall page lies above what the scan accepts as an address (EFAULT).
    for region in regions
        .iter()
        .filter(|region| region.range.start < KERNEL_HALF)
    {
        let files = if has_no_files(region) { 0 } else { page::FILE };
        let categories = EXISTENCE | files;
        match walks.last_mut() {
            _ if region.unseen => {}
            Some(last) if is_next && last.categories == categories => {
                last.range.end = region.range.end;
            }
            _ => walks.push(Walk {
                range: region.range,
                categories,
            }),
        }
        is_next = !region.unseen;
    }
    walks
}

fn has_no_files(region: &Region) -> bool {
    let is_own = region.inode == 0 && !region.shared && region.kind != RegionKind::Kernel;
    is_own && region.range.len() >= LARGE
}

fn fill_by_entries(pagemap: &File, regions: &mut [Region], page_size: u64) -> io::Result<()> {
    let seen = regions.iter().filter(|region| !region.unseen);
    let ranges: Vec<Range> = seen.map(|region| region.range).collect();
    let mut filler = Filler { regions, at: 0 };
    let mut buffer = vec![0; 64 << 10];
    for range in ranges {
        let mut address = range.start;
        while address < range.end {
            let pages = ((range.end - address) / page_size).min(buffer.len() as u64 / 8);
            let bytes = &mut buffer[..pages as usize * 8];
            let got = pagemap.read_at(bytes, address / page_size * 8)?;
            for (at, word) in bytes[..got].chunks_exact(8).enumerate() {
                let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
                let start = address + at as u64 * page_size;
                filler.add(&PageRun {
                    start,
                    end: start + page_size,
                    categories: category(word),
                });
            }
            if got == 0 {
                break;
            }
            address += got as u64 / 8 * page_size;
        }
    }
    Ok(())
}

fn category(word: u64) -> u64 {
    let bit = |from: u64, to: u64| if word & from != 0 { to } else { 0 };
    bit(entry::PRESENT, page::PRESENT)
        | bit(entry::SWAPPED, page::SWAPPED)
        | bit(entry::FILE, page::FILE)
        | bit(entry::GUARD, page::GUARD)
}

/// Whether there is anything in these pages. The shared page of zeros was only read, so it holds nothing. A guard page has
/// the swap bit and holds nothing.
fn has_content(run: &PageRun) -> bool {
    let exists = run.categories & (page::PRESENT | page::SWAPPED) != 0;
    exists && run.categories & (page::ZERO | page::GUARD) == 0
}

/// Adds runs of pages, which come in ascending order, to the regions they belong to.
struct Filler<'r> {
    regions: &'r mut [Region],
    at: usize,
}

impl Filler<'_> {
    fn add(&mut self, run: &PageRun) {
        if !has_content(run) {
            return;
        }
        let whole = Range::new(run.start, run.end);
        while self.at < self.regions.len() && self.regions[self.at].range.end <= whole.start {
            self.at += 1;
        }
        for region in &mut self.regions[self.at..] {
            let Some(part) = region.range.intersect(whole) else {
                break;
            };
            push(&mut region.resident, part);
            if run.categories & page::FILE == 0 {
                push(&mut region.private_pages, part);
            }
        }
    }
}

fn push(ranges: &mut Vec<Range>, next: Range) {
    match ranges.last_mut() {
        Some(last) if last.end == next.start => last.end = next.end,
        Some(_) => ranges.push(next),
        // Most regions have one run, and there may be seventy thousand regions.
        None => {
            ranges.reserve_exact(1);
            ranges.push(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: u64, end: u64, categories: u64) -> PageRun {
        PageRun {
            start,
            end,
            categories,
        }
    }

    #[test]
    fn c5_guard_and_zero_pages_are_not_resident_and_runs_split_at_regions() {
        let region = |start, end| Region {
            range: Range::new(start, end),
            ..Region::default()
        };
        let mut regions = vec![region(0x1000, 0x3000), region(0x3000, 0x9000)];
        let mut filler = Filler {
            regions: &mut regions,
            at: 0,
        };
        filler.add(&run(0x2000, 0x4000, page::PRESENT));
        filler.add(&run(0x4000, 0x5000, page::SWAPPED));
        filler.add(&run(0x5000, 0x6000, page::SWAPPED | page::GUARD));
        filler.add(&run(0x6000, 0x7000, page::PRESENT | page::ZERO));
        filler.add(&run(0x7000, 0x8000, page::PRESENT | page::FILE));
        assert_eq!(regions[0].resident, [Range::new(0x2000, 0x3000)]);
        assert_eq!(
            regions[1].resident,
            [Range::new(0x3000, 0x5000), Range::new(0x7000, 0x8000)]
        );
        assert_eq!(regions[1].private_pages, [Range::new(0x3000, 0x5000)]);
    }
}
