//! The memory in a dump file, as [`Memory`].

use crate::FileBytes;
use snapshot::{Memory, Range};

/// The memory in a dump file: runs of addresses, each with its offset.
#[derive(Clone)]
pub(crate) struct FileMemory {
    file: FileBytes,
    /// Ascending by address, without overlaps, each within the file.
    runs: Vec<Run>,
}

/// Addresses whose bytes are in the file from `offset` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) range: Range,
    pub(crate) offset: u64,
}

impl FileMemory {
    /// `runs` may be in any order. What is beyond the end of the file is cut off; of two that
    /// overlap, the one that begins first is kept.
    pub(crate) fn new(file: FileBytes, mut runs: Vec<Run>) -> Self {
        let size = (*file).as_ref().len() as u64;
        runs.iter_mut().for_each(|run| run.cut(size));
        runs.retain(|run| !run.range.is_empty());
        runs.sort_by_key(|run| run.range.start);
        let runs = without_overlaps(runs);
        Self { file, runs }
    }

    /// The ranges of the memory, ascending; those that touch are joined.
    pub(crate) fn ranges(&self) -> Vec<Range> {
        snapshot::coalesce(self.runs.iter().map(|run| run.range).collect(), 0)
    }

    /// Where the bytes of one run from `address` on are in the file, and how many there are.
    fn at(&self, address: u64) -> Option<(u64, u64)> {
        let after = self.runs.partition_point(|run| run.range.start <= address);
        let run = self.runs.get(after.checked_sub(1)?)?;
        if !run.range.contains(address) {
            return None;
        }
        let skip = address - run.range.start;
        Some((run.offset + skip, run.range.len() - skip))
    }
}

impl Memory for FileMemory {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buf.len() {
            let Some(at) = address.checked_add(done as u64) else {
                break;
            };
            let Some((offset, held)) = self.at(at) else {
                break;
            };
            let held = usize::try_from(held).unwrap_or(usize::MAX);
            let end = done + held.min(buf.len() - done);
            if self.file.read_at(offset, &mut buf[done..end]) < end - done {
                break;
            }
            done = end;
        }
        done
    }
}

impl Run {
    fn cut(&mut self, file_size: u64) {
        let there = file_size.saturating_sub(self.offset);
        let length = self.range.len().min(there);
        self.range.end = self.range.start + length;
    }
}

fn without_overlaps(runs: Vec<Run>) -> Vec<Run> {
    let mut kept: Vec<Run> = Vec::with_capacity(runs.len());
    for mut run in runs {
        let taken = kept.last().map_or(0, |last| last.range.end);
        let skip = taken.saturating_sub(run.range.start).min(run.range.len());
        run.range.start += skip;
        run.offset += skip;
        if !run.range.is_empty() {
            kept.push(run);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn run(start: u64, end: u64, offset: u64) -> Run {
        Run {
            range: Range::new(start, end),
            offset,
        }
    }

    #[test]
    fn reads_across_runs_and_stops_at_gaps_and_at_the_end_of_the_file() {
        let file: FileBytes = Arc::new((0..=255u8).collect::<Vec<u8>>());
        let runs = vec![
            run(0x200, 0x300, 192),
            run(0x100, 0x110, 0),
            run(0x110, 0x120, 32),
        ];
        let memory = FileMemory::new(file, runs);
        let mut buf = [0; 64];
        assert_eq!(memory.read(0x10f, &mut buf), 17);
        assert_eq!(buf[..3], [15, 32, 33]);
        assert_eq!(memory.read(0x23f, &mut buf), 1);
        assert_eq!(memory.read(0x240, &mut buf), 0);
        assert_eq!(memory.read(u64::MAX, &mut buf), 0);
    }

    #[test]
    fn overlapping_runs_do_not_hide_what_lies_between() {
        let file: FileBytes = Arc::new(vec![7u8; 64]);
        let memory = FileMemory::new(file, vec![run(0, 16, 0), run(4, 8, 16), run(8, 32, 20)]);
        assert_eq!(memory.ranges(), [Range::new(0, 32)]);
        assert_eq!(memory.read(0, &mut [0; 40]), 32);
    }
}
