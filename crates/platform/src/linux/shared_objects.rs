//! Shared memory that a process has mapped and not touched: its pages exist in the object (System V shared memory,
//! memfd, `/dev/shm`, shared anonymous memory), though not in the process's page tables.
//!
//! Situation: a server shares its buffers with workers. A worker that idles has touched little of them, and a dump
//! of it had 17 MB of 584. They are read from the object itself: reading them through the process would make pages
//! where there are none.

use super::{memory::LiveMemory, proc::ProcDir};
use rustix::fs::{Mode, OFlags, SeekFrom, fstat, fstatfs, open, openat, seek};
use snapshot::{Memory, Range, Region, Warning, coalesce, total_bytes};
use std::{
    collections::HashMap,
    fs::File,
    io,
    os::{fd::AsRawFd, unix::fs::FileExt},
    sync::Arc,
};

/// The most shared mappings that are looked at, and the most runs of pages that are found in one. The process stands
/// meanwhile.
const MOST_MAPPINGS: usize = 4096;
const MOST_RUNS: usize = 1 << 16;

/// The type of file system that all these objects are on (statfs(2)).
const TMPFS: i64 = 0x0102_1994;

/// Pages that exist in an object, and the file to read them from.
struct Run {
    range: Range,
    file: Arc<File>,
    /// Where the run begins in the file, in bytes.
    offset: u64,
}

/// Pages of shared objects that are not in the process's page tables, by ascending address.
#[derive(Default)]
pub(super) struct ObjectPages(Vec<Run>);

/// Adds to each shared mapping the pages that exist in its object. A warning tells of those that cannot be seen.
pub(super) fn find(
    proc: &ProcDir,
    regions: &mut [Region],
    warnings: &mut Vec<Warning>,
) -> ObjectPages {
    let mut pages = ObjectPages::default();
    let mut files = HashMap::new();
    let mut unseen = 0;
    for region in regions
        .iter_mut()
        .filter(may_have_object)
        .take(MOST_MAPPINGS)
    {
        let object = files
            .entry((region.device, region.inode))
            .or_insert_with(|| open_object(proc, region.range));
        match object {
            Ok(Some(file)) => pages.add(region, file),
            Ok(None) => {}
            Err(_) => unseen += region.range.len() - region.resident_bytes(),
        }
    }
    if unseen > 0 {
        warnings.push(format!(
            "of {unseen} bytes of shared mappings that the process has not touched itself, it cannot be seen whether they have content: that takes root"
        ));
    }
    pages
}

fn may_have_object(region: &&mut Region) -> bool {
    let is_shared = region.shared && region.inode != 0;
    let is_whole = region.resident_bytes() == region.range.len();
    is_shared && !is_whole && !region.remote && !region.untouchable && !region.hugetlb
}

/// Opens the object behind a mapping; `None` if it is another kind of file. Nothing is opened for reading before it is
/// known to be a regular file.
fn open_object(proc: &ProcDir, range: Range) -> io::Result<Option<Arc<File>>> {
    let name = format!("map_files/{:x}-{:x}", range.start, range.end);
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found = openat(proc.fd(), name, flags, Mode::empty())?;
    let is_regular = fstat(&found)?.st_mode & libc::S_IFMT == libc::S_IFREG;
    if !is_regular || fstatfs(&found)?.f_type as i64 != TMPFS {
        return Ok(None);
    }
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(Some(Arc::new(file.into())))
}

impl ObjectPages {
    fn add(&mut self, region: &mut Region, file: &Arc<File>) {
        let of_object = data_of(file, region);
        let missing = without(&of_object, &region.resident);
        self.0.extend(missing.iter().map(|range| Run {
            range: *range,
            file: file.clone(),
            offset: region.offset + (range.start - region.range.start),
        }));
        let mut resident = std::mem::take(&mut region.resident);
        resident.extend(missing);
        region.resident = coalesce(resident, 0);
    }

    /// The run at `address`, and where the next one begins.
    fn at(&self, address: u64) -> (Option<&Run>, u64) {
        let next = self.0.partition_point(|run| run.range.start <= address);
        let here = next.checked_sub(1).map(|at| &self.0[at]);
        let begin = self.0.get(next).map_or(u64::MAX, |run| run.range.start);
        (here.filter(|run| run.range.contains(address)), begin)
    }
}

/// Returns the pages of a mapping that have content in its file.
fn data_of(file: &File, region: &Region) -> Vec<Range> {
    let end = region.offset + region.range.len();
    let address = |offset: u64| region.range.start + (offset - region.offset);
    let mut runs = Vec::new();
    let mut at = region.offset;
    while at < end && runs.len() < MOST_RUNS {
        let Ok(data) = seek(file, SeekFrom::Data(at)) else {
            break;
        };
        let hole = seek(file, SeekFrom::Hole(data)).unwrap_or(end).min(end);
        if data >= end || hole <= data {
            break;
        }
        runs.push(Range::new(address(data), address(hole)));
        at = hole;
    }
    runs
}

/// The part of `ranges` that is in none of `others`. Both are ascending and without overlaps.
fn without(ranges: &[Range], others: &[Range]) -> Vec<Range> {
    let mut rest = Vec::new();
    for range in ranges {
        let mut start = range.start;
        let first = others.partition_point(|other| other.end <= start);
        for other in others[first..]
            .iter()
            .take_while(|other| other.start < range.end)
        {
            if other.start > start {
                rest.push(Range::new(start, other.start));
            }
            start = start.max(other.end);
        }
        if start < range.end {
            rest.push(Range::new(start, range.end));
        }
    }
    debug_assert!(total_bytes(&rest) <= total_bytes(ranges));
    rest
}

/// The memory of a process, with the pages of shared objects.
pub(super) struct WithObjects {
    pub(super) memory: LiveMemory,
    pub(super) pages: ObjectPages,
}

impl Memory for WithObjects {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let at = address + done as u64;
            let (run, next) = self.pages.at(at);
            let end = run.map_or(next, |run| run.range.end);
            let len = (end - at).min((buffer.len() - done) as u64) as usize;
            let part = &mut buffer[done..done + len];
            let got = match run {
                Some(run) => {
                    let offset = run.offset + (at - run.range.start);
                    run.file.read_at(part, offset).unwrap_or(0)
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_object_alone_is_what_the_page_tables_lack() {
        let range = |start, end| Range::new(start, end);
        let cases: [(&[Range], &[Range], &[Range]); 4] = [
            (&[range(0, 8)], &[], &[range(0, 8)]),
            (&[range(0, 8)], &[range(0, 8)], &[]),
            (
                &[range(2, 8)],
                &[range(0, 3), range(4, 5)],
                &[range(3, 4), range(5, 8)],
            ),
            (
                &[range(0, 2), range(6, 8)],
                &[range(1, 7)],
                &[range(0, 1), range(7, 8)],
            ),
        ];
        for (object, resident, rest) in cases {
            assert_eq!(without(object, resident), rest);
        }
    }
}
