//! Memory of which it is looked only when somebody asks which of its pages exist.
//!
//! Situation: a small dump has the stacks, and some memory that these point at. To list the pages of all memory, the kernel
//! walks all page tables, for which a process of 8 GiB stood for 80 ms. So regions with many pages were listed before the
//! stop, which is told as what is resident, and what a dump takes of them is looked at while the process stands. Java's ZGC
//! has its heap in shared memory, which it maps three times: to walk all of that took 200 ms for 1.5 GB.

use super::pages;
use snapshot::{Memory, Range, Region, RegionKind, coalesce};
use std::{
    collections::HashMap,
    fs::File,
    sync::{Arc, Mutex},
};

/// A region with fewer bytes is listed while the process stands: that takes no longer than a system call.
const MANY: u64 = 1 << 20;
/// How much is looked at at once, in bytes: what one table of pages spans on most machines.
const BLOCK: u64 = 2 << 20;

/// Regions of which many pages exist, as they were before the stop; ascending.
#[derive(Default)]
pub(super) struct Listed(Vec<Region>);

impl Listed {
    /// Lists the pages of a process that runs: of its own memory, and of what it shares too if `with_shared`. There are none
    /// where the kernel cannot find pages quickly (before Linux 6.7).
    pub(super) fn of(pagemap: &File, regions: &mut [Region], with_shared: bool) -> Self {
        if pages::fill_by_scan(pagemap, regions).is_err() {
            return Self::default();
        }
        let is_large = |region: &&mut Region| match is_own(region) {
            true => region.resident_bytes() >= MANY,
            // What is in the object and not in the page tables is walked, too.
            false => with_shared && is_shared(region) && region.range.len() >= MANY,
        };
        let large = regions.iter_mut().filter(is_large);
        Self(large.map(std::mem::take).collect())
    }

    /// Takes over into `regions` what was listed. What else they have is unseen, unless it is asked for by
    /// [`PagesOnDemand`]. A region behind an image is its data, which is taken as a whole.
    pub(super) fn take_over(&self, regions: &mut [Region]) {
        let mut end_of_image = 0;
        for region in regions {
            let is_behind_image = region.range.start == end_of_image;
            end_of_image = match region.kind {
                RegionKind::Image => region.range.end,
                _ => 0,
            };
            if is_own(region) && !is_behind_image || is_shared(region) {
                self.take_over_into(region);
            }
        }
    }

    fn take_over_into(&self, region: &mut Region) {
        let first = self
            .0
            .partition_point(|listed| listed.range.end <= region.range.start);
        let listed = self.0[first..].iter();
        let listed = listed.take_while(|listed| listed.range.start < region.range.end);
        let part = |pages: &Range| pages.intersect(region.range);
        for listed in listed.filter(|listed| listed.shared == region.shared) {
            region
                .resident
                .extend(listed.resident.iter().filter_map(part));
            let private = listed.private_pages.iter().filter_map(part);
            region.private_pages.extend(private);
            region.unseen = region.shared || !region.resident.is_empty();
        }
    }
}

/// Whether a region is memory of the process alone.
fn is_own(region: &Region) -> bool {
    use RegionKind::{Heap, Private, Stack};
    let is_anonymous = matches!(region.kind, Private | Heap | Stack) && region.inode == 0;
    is_anonymous && !region.shared && !region.hugetlb && !region.untouchable
}

/// Whether a region shows a file or an object in memory that others may show too.
fn is_shared(region: &Region) -> bool {
    let is_of_file = region.shared && region.inode != 0 && region.kind != RegionKind::Image;
    is_of_file && !region.hugetlb && !region.untouchable && !region.remote
}

/// The regions that are looked at on demand.
pub(super) struct PagesOnDemand {
    pagemap: File,
    /// The regions; ascending.
    regions: Vec<Range>,
    /// The pages that exist in each block that was looked at.
    blocks: Mutex<HashMap<u64, Vec<Range>>>,
}

impl PagesOnDemand {
    /// Those that [`Listed::take_over`] has left unseen.
    pub(super) fn new(pagemap: File, regions: &[Region]) -> Self {
        let unseen = regions.iter().filter(|region| region.unseen);
        Self {
            pagemap,
            regions: unseen.map(|region| region.range).collect(),
            blocks: Mutex::default(),
        }
    }

    /// The same, with the memory of the process.
    pub(super) fn of(self, memory: Arc<dyn Memory>) -> WithPages {
        WithPages {
            memory,
            pages: self,
        }
    }

    fn in_range(&self, range: Range) -> Option<Vec<Range>> {
        let at = self
            .regions
            .partition_point(|region| region.end <= range.start);
        let region = self.regions.get(at)?;
        let range = Some(range).filter(|range| region.contains(range.start))?;
        let range = range.intersect(*region)?;
        let blocks = (range.start / BLOCK..range.end.div_ceil(BLOCK)).map(|block| block * BLOCK);
        let pages = blocks.flat_map(|start| self.block(start));
        let inside = pages.filter_map(|pages| pages.intersect(range));
        Some(coalesce(inside.collect(), 0))
    }

    /// The pages of the block that begins at `start`.
    fn block(&self, start: u64) -> Vec<Range> {
        let mut blocks = crate::lock(&self.blocks);
        let look = || pages::existing(&self.pagemap, Range::new(start, start + BLOCK));
        blocks.entry(start).or_insert_with(look).clone()
    }
}

/// Memory with regions that are looked at on demand.
pub(super) struct WithPages {
    memory: Arc<dyn Memory>,
    pages: PagesOnDemand,
}

impl Memory for WithPages {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        self.memory.read(address, buffer)
    }

    fn pages(&self, range: Range) -> Option<Vec<Range>> {
        let of_object = self.memory.pages(range);
        of_object.or_else(|| self.pages.in_range(range))
    }
}
