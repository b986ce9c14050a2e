//! Pages that were put aside while the target stood, because its clone does not have them.
//!
//! A few are kept in our own memory, more in a file without a name: V8 keeps all of its heap from forks.

use super::{
    memory::LiveMemory, pages, proc::ProcDir, space, sys::memory::page, unnamed_file::unnamed_file,
};
use snapshot::{Memory, Range, total_bytes};
use std::{fs::File, io, os::unix::fs::FileExt as _, sync::Arc};

/// The most that is kept in our own memory, in bytes.
pub(super) const MOST_IN_MEMORY: u64 = 16 << 20;
/// What stays free where the file is, in bytes.
const LEFT_FREE: u64 = 256 << 20;
/// The bytes that are read and written at once.
const CHUNK: usize = 1 << 20;

/// Such pages, by ascending address.
pub(super) struct KeptPages {
    pages: Vec<Kept>,
    store: Store,
}

/// Pages that stand one behind the other, and where they are kept.
struct Kept {
    range: Range,
    at: u64,
}

enum Store {
    Memory(Vec<u8>),
    File(File),
}

/// Returns how many bytes there are of these ranges, which are ascending.
pub(super) fn bytes_of(proc: &ProcDir, ranges: &[Range]) -> u64 {
    total_bytes(&existing(proc, ranges))
}

impl KeptPages {
    /// Puts aside what exists of these ranges, which are ascending: `most` bytes at most.
    ///
    /// # Errors
    /// Why that is not possible, as what follows "because".
    pub(super) fn put_aside(
        proc: &ProcDir,
        ranges: &[Range],
        memory: &LiveMemory,
        most: u64,
    ) -> Result<Self, String> {
        let existing = existing(proc, ranges);
        let store = store_for(total_bytes(&existing), most)?;
        let mut kept = Self {
            pages: Vec::new(),
            store,
        };
        let put = existing
            .into_iter()
            .try_for_each(|range| kept.put(range, memory));
        put.map_err(|error| format!("what a clone lacks could not be put aside: {error}"))?;
        Ok(kept)
    }

    /// The ranges that are there.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range> {
        self.pages.iter().map(|kept| kept.range)
    }

    fn put(&mut self, range: Range, memory: &LiveMemory) -> io::Result<()> {
        let begin = self
            .pages
            .last()
            .map_or(0, |last| last.at + last.range.len());
        let mut buffer = vec![0; CHUNK.min(range.len() as usize)];
        let mut at = range.start;
        while at < range.end {
            let len = buffer.len().min((range.end - at) as usize);
            let got = memory.read(at, &mut buffer[..len]);
            self.store.put(begin + (at - range.start), &buffer[..got])?;
            at += got as u64;
            if got < len {
                break;
            }
        }
        self.pages.push(Kept {
            range: Range::new(range.start, at),
            at: begin,
        });
        Ok(())
    }
}

/// Returns where so many bytes are kept.
fn store_for(bytes: u64, most: u64) -> Result<Store, String> {
    if bytes <= MOST_IN_MEMORY {
        return Ok(Store::Memory(Vec::with_capacity(bytes as usize)));
    }
    let mib = bytes >> 20;
    if bytes > most {
        return Err(format!("{mib} MiB of its memory would not be in a clone"));
    }
    let failed = |error: io::Error| {
        format!("there is no file for {mib} MiB of its memory that a clone lacks: {error}")
    };
    let (file, folder) = unnamed_file().map_err(failed)?;
    let free = space::of(&file).map_err(failed)?.free;
    match free < bytes + LEFT_FREE {
        true => Err(format!(
            "there is no room in {} for {mib} MiB of its memory that a clone lacks",
            folder.display()
        )),
        false => Ok(Store::File(file)),
    }
}

impl Store {
    /// Adds bytes at their end, which is `at`.
    fn put(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(memory) => memory.extend(bytes),
            Self::File(file) => file.write_all_at(bytes, at)?,
        }
        Ok(())
    }

    /// Reads into a buffer. Returns how many bytes were read.
    fn read(&self, at: u64, buffer: &mut [u8]) -> usize {
        match self {
            Self::Memory(memory) => {
                let from = memory.get(at as usize..).unwrap_or_default();
                let len = buffer.len().min(from.len());
                buffer[..len].copy_from_slice(&from[..len]);
                len
            }
            Self::File(file) => file.read_at(buffer, at).unwrap_or(0),
        }
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
        let pages = &self.kept.pages;
        let next = pages.partition_point(|kept| kept.range.start <= at);
        let here = next.checked_sub(1).map(|before| &pages[before]);
        if let Some(kept) = here.filter(|kept| kept.range.contains(at)) {
            let from = at - kept.range.start;
            let len = buffer.len().min((kept.range.len() - from) as usize);
            return (
                self.kept.store.read(kept.at + from, &mut buffer[..len]),
                len,
            );
        }
        let until = pages.get(next).map_or(u64::MAX, |kept| kept.range.start);
        let len = buffer
            .len()
            .min(usize::try_from(until - at).unwrap_or(usize::MAX));
        (self.memory.read(at, &mut buffer[..len]), len)
    }
}
