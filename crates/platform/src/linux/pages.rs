//! Which pages of a process exist, in memory or swapped: by `PAGEMAP_SCAN` (Linux 6.7), else by
//! `/proc/PID/pagemap`. A page that was never touched does not exist, and is not in a dump.

use super::sys::memory::{PageRun, page, scan_pages};
use snapshot::{Range, Region};
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

/// Fills `resident` and `private_pages` of every region.
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

fn fill_by_scan(pagemap: &File, regions: &mut [Region]) -> io::Result<()> {
    // The vsyscall page lies above what the scan accepts as an address (EFAULT).
    let mut below = regions.iter().rev().map(|region| region.range);
    let Some(last) = below.find(|range| range.start < KERNEL_HALF) else {
        return Ok(());
    };
    let mut filler = Filler { regions, at: 0 };
    let mut runs = vec![PageRun::default(); 4096];
    let mut mask = page::FILE | page::PRESENT | page::SWAPPED | page::ZERO | page::GUARD;
    let (mut start, end) = (0, last.end);
    while start < end {
        let (count, walked) = match scan_pages(pagemap, start, end, mask, &mut runs) {
            Ok(step) => step,
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && mask & page::GUARD != 0 => {
                mask &= !page::GUARD;
                continue;
            }
            Err(error) => return Err(error),
        };
        runs[..count].iter().for_each(|run| filler.add(run));
        if walked <= start {
            break;
        }
        start = walked;
    }
    Ok(())
}

fn fill_by_entries(pagemap: &File, regions: &mut [Region], page_size: u64) -> io::Result<()> {
    let ranges: Vec<Range> = regions.iter().map(|region| region.range).collect();
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

/// Adds runs of pages, which come in ascending order, to the regions they belong to.
struct Filler<'r> {
    regions: &'r mut [Region],
    at: usize,
}

impl Filler<'_> {
    fn add(&mut self, run: &PageRun) {
        let exists = run.categories & (page::PRESENT | page::SWAPPED) != 0;
        // The shared page of zeros was only read, so it holds nothing. A guard page has the swap
        // bit and holds nothing.
        if !exists || run.categories & (page::ZERO | page::GUARD) != 0 {
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
