//! Shared memory that a process has mapped and not touched: its pages exist in the object (System V shared memory,
//! memfd, `/dev/shm`, shared anonymous memory), though not in the process's page tables.
//!
//! Situation: a server shares its buffers with workers. A worker that idles has touched little of them, and a dump
//! of it had 17 MB of 584. They are read from the object itself: reading them through the process would make pages
//! where there are none.

use super::{
    file_pages::{FilePages, PAGE, Run},
    memory::LiveMemory,
    open_mapped::{Files, Which},
    proc::ProcDir,
};
use rustix::fs::{SeekFrom, seek};
use snapshot::{Memory, Range, Region, Warning, coalesce, without};
use std::{fs::File, sync::Arc};

/// The most shared mappings that are looked at, and the most runs of pages that are found in one. The process stands
/// meanwhile.
const MOST_MAPPINGS: usize = 4096;
const MOST_RUNS: usize = 1 << 16;

/// Adds to each shared mapping the pages that exist in its object. A warning tells of those that cannot be seen.
pub(super) fn find(
    proc: &ProcDir,
    regions: &mut [Region],
    warnings: &mut Vec<Warning>,
) -> FilePages {
    let looked_at = |region: &&Region| may_have_object(region);
    let files = Files::open(
        proc,
        regions.iter().filter(looked_at).take(MOST_MAPPINGS),
        Which::OnTmpfs,
    );
    let mut pages = FilePages::default();
    let (mut unseen, mut left) = (0, MOST_MAPPINGS);
    for region in regions.iter_mut().filter(|region| may_have_object(region)) {
        let is_left = left > 0;
        left = left.saturating_sub(1);
        match files.opened.get(&region.file_key()).filter(|_| is_left) {
            Some(object) => unseen += add(&mut pages, region, &object.file),
            None if files.useless.contains(&region.file_key()) => {}
            None => {
                region.unseen = true;
                unseen += region.range.len() - region.resident_bytes();
            }
        }
    }
    if unseen > 0 {
        warnings.push(format!(
            "of {unseen} bytes of shared mappings that the process has not touched itself, it was not seen whether they have content{}",
            if rustix::process::geteuid().is_root() { "" } else { ": that takes root" }
        ));
    }
    pages
}

fn may_have_object(region: &Region) -> bool {
    let is_shared = region.shared && region.inode != 0;
    let is_whole = region.resident_bytes() == region.range.len();
    is_shared && !is_whole && !region.remote && !region.untouchable && !region.hugetlb
}

/// Adds the pages of an object that are not in the process's page tables. Returns of how many bytes it was not seen
/// whether they have content, because they are in too many pieces.
fn add(pages: &mut FilePages, region: &mut Region, file: &Arc<File>) -> u64 {
    let data = data_of(file, region);
    let last = data.last().filter(|_| data.len() >= MOST_RUNS);
    let unseen = last.map_or(0, |last| region.range.end - last.end);
    let missing = without(&data, &region.resident);
    pages.extend(missing.iter().map(|range| Run::of(region, *range, file)));
    let mut resident = std::mem::take(&mut region.resident);
    resident.extend(missing);
    region.resident = coalesce(resident, 0);
    unseen
}

/// Returns the pages of a mapping that have content in its file. The last one may reach beyond the end of the file, and has
/// zeros there.
fn data_of(file: &File, region: &Region) -> Vec<Range> {
    let end = region.offset + region.range.len();
    let address = |offset: u64| region.range.start + (offset - region.offset);
    let mut runs = Vec::new();
    let mut at = region.offset;
    while at < end && runs.len() < MOST_RUNS {
        let Ok(data) = seek(file, SeekFrom::Data(at)) else {
            break;
        };
        let hole = seek(file, SeekFrom::Hole(data)).unwrap_or(end);
        let hole = hole.next_multiple_of(PAGE).min(end);
        if data >= end || hole <= data {
            break;
        }
        runs.push(Range::new(address(data), address(hole)));
        at = hole;
    }
    runs
}

/// The memory of a process, with the pages of shared objects.
pub(super) struct WithObjects {
    pub(super) memory: LiveMemory,
    pub(super) pages: FilePages,
}

impl Memory for WithObjects {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let at = address + done as u64;
            let (run, end) = self.pages.at(at);
            let len = (end - at).min((buffer.len() - done) as u64) as usize;
            let part = &mut buffer[done..done + len];
            let got = match run {
                Some(run) => run.read(at, part),
                None => self.memory.read(at, part),
            };
            done += got;
            if got == 0 || run.is_none() && got < len {
                break;
            }
        }
        done
    }
}
