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
use snapshot::{FileKey, Memory, Range, Region, Warning, coalesce, without};
use std::{fs::File, sync::Arc};

/// The most runs of pages that are found: that takes a second or two, and a few hundred MB of memory. There are no more
/// mappings than the kernel allows (`vm.max_map_count`, 65,530 by default).
const MOST_RUNS: usize = 1 << 20;

/// Adds to each shared mapping the pages that exist in its object. A warning tells of those that cannot be seen. What is
/// looked at on demand is not looked at here.
pub(super) fn find(
    proc: &ProcDir,
    regions: &mut [Region],
    warnings: &mut Vec<Warning>,
) -> FilePages {
    let shared: Vec<&mut Region> = regions.iter_mut().filter(|r| may_have_object(r)).collect();
    let files = Files::open(proc, shared.iter().map(|region| &**region), Which::OnTmpfs);
    let mut found = Found::default();
    let mut unseen = 0;
    for region in by_object(shared) {
        match files.opened.get(&region.file_key()) {
            Some(object) if region.unseen => {
                let run = Run::unlisted(region, &object.file, object.facts.size);
                found.runs.push(run);
            }
            Some(object) => unseen += found.add(region, &object.file),
            None if files.useless.contains(&region.file_key()) => {}
            None => {
                region.unseen = true;
                unseen += region.range.len() - region.resident_bytes();
            }
        }
    }
    warnings.extend(not_seen(unseen));
    let mut pages = FilePages::default();
    pages.merge(found.runs);
    pages
}

fn not_seen(bytes: u64) -> Option<Warning> {
    let advice = match rustix::process::geteuid().is_root() {
        true => "",
        false => " (that takes root)",
    };
    (bytes > 0).then(|| {
        format!(
            "{bytes} bytes of shared mappings that the process has not touched itself were left out: it was not seen whether they have content{advice}"
        )
    })
}

fn may_have_object(region: &Region) -> bool {
    let is_shared = region.shared && region.inode != 0;
    let is_whole = region.resident_bytes() == region.range.len();
    is_shared && !is_whole && !region.remote && !region.untouchable && !region.hugetlb
}

/// Those of one object one after the other, by where they begin in it.
fn by_object(mut regions: Vec<&mut Region>) -> Vec<&mut Region> {
    regions.sort_by_key(|region| (region.file_key(), region.offset));
    regions
}

/// What is found while the mappings of one object after the other are looked at.
#[derive(Default)]
struct Found {
    runs: Vec<Run>,
    /// What was found in the object that is looked at.
    data: Data,
    object: Option<FileKey>,
}

impl Found {
    /// Adds the pages of an object that are not in the process's page tables. Returns of how many bytes it was not seen
    /// whether they have content, because there are too many pieces.
    fn add(&mut self, region: &mut Region, file: &Arc<File>) -> u64 {
        if self.object.replace(region.file_key()) != Some(region.file_key()) {
            self.data = Data::default();
        }
        let wanted = region.in_file(region.range);
        let most = MOST_RUNS.saturating_sub(self.runs.len());
        let (data, seen) = self.data.within(file, wanted, most);
        let data = data
            .into_iter()
            .filter_map(|part| region.addresses_of(part));
        let data: Vec<Range> = data.collect();
        let missing = without(&data, &region.resident);
        let runs = missing.iter().map(|range| Run::of(region, *range, file));
        self.runs.extend(runs);
        let rest = Range::new(region.range.start + (seen - wanted.start), region.range.end);
        let known = region.resident.iter().filter_map(|r| r.intersect(rest));
        let unseen = rest.len() - known.map(|range| range.len()).sum::<u64>();
        let mut resident = std::mem::take(&mut region.resident);
        resident.extend(missing);
        region.resident = coalesce(resident, 0);
        region.unseen = unseen > 0;
        unseen
    }
}

/// The pages of an object that have content, as offsets in bytes, as far as it was looked at. No part of it is looked at
/// twice: thousands of mappings may show parts of one run of pages, of which the kernel looks at each page until its end.
#[derive(Default)]
struct Data {
    /// Ascending.
    runs: Vec<Range>,
    /// Where it was looked at last, and not where nobody has mapped it.
    until: u64,
}

impl Data {
    /// Returns the runs in `wanted`, which begins behind the begin of all that were wanted before, so many at most, and up to
    /// where these are all.
    fn within(&mut self, file: &File, wanted: Range, most: usize) -> (Vec<Range>, u64) {
        self.look_until(file, wanted, most);
        let first = self.runs.partition_point(|run| run.end <= wanted.start);
        let runs = self.runs[first..].iter();
        let runs = runs.map_while(|run| run.intersect(wanted)).take(most);
        let runs: Vec<Range> = runs.collect();
        let seen = match runs.last() {
            Some(last) if runs.len() == most => last.end,
            None if most == 0 => wanted.start,
            _ => self.until.min(wanted.end),
        };
        (runs, seen)
    }

    /// Looks for runs until the end of `wanted`, for so many at most. The last page of an object may reach beyond its end, and
    /// has zeros there.
    fn look_until(&mut self, file: &File, wanted: Range, most: usize) {
        let most = self.runs.len().saturating_add(most).min(MOST_RUNS);
        self.until = self.until.max(wanted.start);
        while self.until < wanted.end && self.runs.len() < most {
            let Ok(data) = seek(file, SeekFrom::Data(self.until)) else {
                self.until = u64::MAX;
                break;
            };
            let hole = seek(file, SeekFrom::Hole(data)).unwrap_or(wanted.end);
            let run = Range::new(data, hole.next_multiple_of(PAGE));
            self.until = run.end.max(self.until + PAGE);
            self.runs.extend((!run.is_empty()).then_some(run));
        }
    }
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

    fn pages(&self, range: Range) -> Option<Vec<Range>> {
        self.pages.unlisted(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, memfd_create};
    use std::os::unix::fs::FileExt;

    /// An object of sixteen pages, of which each second one exists.
    fn object() -> Arc<File> {
        let file: File = memfd_create("object", MemfdFlags::CLOEXEC)
            .expect("memory")
            .into();
        file.set_len(16 * PAGE).expect("room");
        for page in (0..16).step_by(2) {
            file.write_all_at(b"x", page * PAGE).expect("room");
        }
        Arc::new(file)
    }

    fn pages(first: u64, end: u64) -> Range {
        Range::new(first * PAGE, end * PAGE)
    }

    #[test]
    fn n50_what_several_mappings_show_of_an_object_is_found_for_each() {
        let (file, mut data) = (object(), Data::default());
        let mut within = |part| data.within(&file, part, 100);
        assert_eq!(within(pages(0, 3)).0, [pages(0, 1), pages(2, 3)]);
        assert_eq!(within(pages(1, 5)).0, [pages(2, 3), pages(4, 5)]);
        assert_eq!(within(pages(1, 2)), (vec![], 2 * PAGE));
        assert_eq!(within(pages(12, 40)).0, [pages(12, 13), pages(14, 15)]);
        assert_eq!(within(pages(13, 40)), (vec![pages(14, 15)], 40 * PAGE));
    }

    #[test]
    fn n50_what_is_in_too_many_pieces_is_not_taken_for_seen() {
        let (file, mut data) = (object(), Data::default());
        assert_eq!(
            data.within(&file, pages(0, 16), 1),
            (vec![pages(0, 1)], PAGE)
        );
        assert_eq!(data.within(&file, pages(0, 16), 0), (vec![], 0));
        assert_eq!(
            data.within(&file, pages(1, 4), 9),
            (vec![pages(2, 3)], 4 * PAGE)
        );
    }
}
