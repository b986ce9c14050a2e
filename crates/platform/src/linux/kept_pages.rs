//! Pages that were copied into our own memory while the target stood, because its clone does not have them.

use super::{memory::LiveMemory, pages, proc::ProcDir, sys::memory::page};
use snapshot::{Memory, Range};
use std::sync::Arc;

/// The most that is kept, in bytes.
const MOST: u64 = 16 << 20;

/// Such pages, by ascending address.
#[derive(Default)]
pub(super) struct KeptPages(Vec<(Range, Vec<u8>)>);

impl KeptPages {
    /// Copies what exists of these ranges, which are ascending.
    ///
    /// # Errors
    /// How many bytes there are, if they are too many.
    pub(super) fn copy(proc: &ProcDir, ranges: &[Range], memory: &LiveMemory) -> Result<Self, u64> {
        let existing = existing(proc, ranges);
        let bytes: u64 = existing.iter().map(|range| range.len()).sum();
        if bytes > MOST {
            return Err(bytes);
        }
        let copied = existing.into_iter().map(|range| {
            let mut bytes = vec![0; range.len() as usize];
            let got = memory.read(range.start, &mut bytes);
            bytes.truncate(got);
            (Range::new(range.start, range.start + got as u64), bytes)
        });
        Ok(Self(copied.collect()))
    }

    /// The ranges that are there.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range> {
        self.0.iter().map(|(range, _)| *range)
    }
}

fn existing(proc: &ProcDir, ranges: &[Range]) -> Vec<Range> {
    let Ok(pagemap) = proc.open_living("pagemap") else {
        return ranges.to_vec();
    };
    let runs = pages::runs(&pagemap, ranges, page::PRESENT | page::SWAPPED);
    runs.iter()
        .map(|run| Range::new(run.start, run.end))
        .collect()
}

/// Memory of which some pages are read from what was kept.
pub(super) struct WithKept {
    pub(super) kept: KeptPages,
    pub(super) memory: Arc<dyn Memory>,
}

impl Memory for WithKept {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let at = address + done as u64;
            let part = &mut buffer[done..];
            let (got, wanted) = self.read_part(at, part);
            done += got;
            if got < wanted || got == 0 {
                break;
            }
        }
        done
    }
}

impl WithKept {
    /// Reads up to where kept pages begin or end. Returns how many bytes were read, and how many were to be.
    fn read_part(&self, at: u64, buffer: &mut [u8]) -> (usize, usize) {
        let kept = &self.kept.0;
        let next = kept.partition_point(|(range, _)| range.start <= at);
        let here = next.checked_sub(1).map(|before| &kept[before]);
        if let Some((range, bytes)) = here.filter(|(range, _)| range.contains(at)) {
            let from = (at - range.start) as usize;
            let len = buffer.len().min(bytes.len() - from);
            buffer[..len].copy_from_slice(&bytes[from..from + len]);
            return (len, len);
        }
        let until = kept.get(next).map_or(u64::MAX, |(range, _)| range.start);
        let len = buffer
            .len()
            .min(usize::try_from(until - at).unwrap_or(usize::MAX));
        (self.memory.read(at, &mut buffer[..len]), len)
    }
}
