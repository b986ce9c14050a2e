//! Pages of a process's mappings that are read from the files behind them, not through the process.

use snapshot::{Memory, Range, Region};
use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

pub(super) const PAGE: u64 = 4096;

/// Pages that are read from files, by ascending address.
#[derive(Default)]
pub(super) struct FilePages(Vec<Run>);

/// Neighbouring pages, and the file to read them from.
pub(super) struct Run {
    range: Range,
    file: Arc<File>,
    /// Where they begin in the file, in bytes.
    offset: u64,
    /// Whether it was not looked which of them exist.
    is_unlisted: bool,
}

impl FilePages {
    /// Adds runs, which lie behind all that are there.
    pub(super) fn extend(&mut self, runs: impl Iterator<Item = Run>) {
        self.0.extend(runs);
    }

    /// Adds runs, wherever they lie.
    pub(super) fn merge(&mut self, runs: Vec<Run>) {
        self.0.extend(runs);
        self.0.sort_unstable_by_key(|run| run.range.start);
    }

    /// The pages of `range` that can be read, if it begins in a run whose pages are not listed.
    pub(super) fn unlisted(&self, range: Range) -> Option<Vec<Range>> {
        let run = self.at(range.start).0.filter(|run| run.is_unlisted)?;
        Some(range.intersect(run.range).into_iter().collect())
    }

    /// The run at `address`, and where it ends; else where the next one begins.
    pub(super) fn at(&self, address: u64) -> (Option<&Run>, u64) {
        let next = self.0.partition_point(|run| run.range.start <= address);
        let here = next.checked_sub(1).map(|at| &self.0[at]);
        let begin = self.0.get(next).map_or(u64::MAX, |run| run.range.start);
        match here.filter(|run| run.range.contains(address)) {
            Some(run) => (Some(run), run.range.end),
            None => (None, begin),
        }
    }
}

impl Memory for FilePages {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let at = address + done as u64;
            let (Some(run), end) = self.at(at) else {
                break;
            };
            let len = (end - at).min((buffer.len() - done) as u64) as usize;
            let got = run.read(at, &mut buffer[done..done + len]);
            done += got;
            if got < len {
                break;
            }
        }
        done
    }
}

impl Run {
    /// The pages of `range`, a part of `region`, in its file.
    pub(super) fn of(region: &Region, range: Range, file: &Arc<File>) -> Self {
        Self {
            range,
            file: file.clone(),
            offset: region.offset + (range.start - region.range.start),
            is_unlisted: false,
        }
    }

    /// All pages of `region` in its file of `size` bytes, without a look which of them exist: what does not is read as zeros,
    /// and is not made by that (`shmem_file_read_iter` in mm/shmem.c). Nobody can read what lies behind the end of the file.
    pub(super) fn unlisted(region: &Region, file: &Arc<File>, size: u64) -> Self {
        let pages = size.next_multiple_of(PAGE).saturating_sub(region.offset);
        let end = region.range.start.saturating_add(pages);
        let range = Range::new(region.range.start, region.range.end.min(end));
        Self {
            is_unlisted: true,
            ..Self::of(region, range, file)
        }
    }

    /// Reads from `address` on, which lies in the run. Behind the end of the file, its last page has zeros, as it has
    /// in memory (mmap(2)).
    pub(super) fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let offset = self.offset + (address - self.range.start);
        let mut got = 0;
        while got < buffer.len() {
            match self.file.read_at(&mut buffer[got..], offset + got as u64) {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return got,
            }
        }
        let end = offset + got as u64;
        let rest = (end.next_multiple_of(PAGE) - end) as usize;
        let filled = buffer.len().min(got + rest);
        buffer[got..filled].fill(0);
        filled
    }
}
