//! Copying what is put aside while a target stands: by several threads, and within a time.

use super::{
    clone::Reason,
    kept_layout::Kept,
    kept_place::{AsideFile, CHUNK},
    sys::{
        priority,
        room::{Mapped, Piece},
    },
};
use crate::lock;
use snapshot::{Memory, Range, coalesce};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

/// More threads than this are no faster.
const MOST_THREADS: usize = 4;
const PAGE: u64 = 4096;

/// What came of copying into a file.
pub(super) struct Copied {
    pub(super) file: Arc<File>,
    /// It takes a while to drop it.
    pub(super) mapped: Option<Mapped>,
    /// What could not be read, by where it would be kept; ascending.
    pub(super) unread: Vec<Range>,
}

/// Copies so many bytes from these sources into a file.
///
/// # Errors
/// The reason why that has failed or takes longer than `within`.
pub(super) fn into_file(
    file: AsideFile,
    bytes: u64,
    sources: Vec<Kept>,
    memory: Arc<dyn Memory>,
    within: Duration,
) -> Result<Copied, Reason> {
    let end = Instant::now() + within;
    let parts = file.room.map(|room| room.into_pieces(CHUNK)).unzip();
    let (mapped, mut pieces) = (parts.0, parts.1.into_iter().flatten());
    let jobs = (0..bytes).step_by(CHUNK).map(move |at| Job {
        range: Range::new(at, bytes.min(at + CHUNK as u64)),
        piece: pieces.next(),
    });
    let copier = Arc::new(Copier {
        sources,
        memory,
        file: Arc::new(file.file),
        jobs: Mutex::new(Box::new(jobs)),
        is_over: AtomicBool::new(false),
    });
    let ends = copier.start().map_err(failed)?;
    let mut unread = Vec::new();
    for _ in 0..threads() {
        let left = end.saturating_duration_since(Instant::now());
        match ends.recv_timeout(left) {
            Ok(end) => unread.extend(end.map_err(failed)?),
            Err(_) => {
                copier.is_over.store(true, Ordering::Relaxed);
                return Err(failed(io::ErrorKind::TimedOut.into()));
            }
        }
    }
    Ok(Copied {
        file: copier.file.clone(),
        mapped,
        unread: coalesce(unread, 0),
    })
}

/// Fills a buffer with what is kept from `at` on. Returns what could not be read, by where it would be kept.
pub(super) fn fill(
    buffer: &mut [u8],
    at: u64,
    sources: &[Kept],
    memory: &dyn Memory,
) -> Vec<Range> {
    let wanted = Range::new(at, at + buffer.len() as u64);
    let first = sources.partition_point(|source| source.at + source.range.len() <= at);
    let mut unread = Vec::new();
    for source in &sources[first..] {
        let kept = Range::new(source.at, source.at + source.range.len());
        let Some(part) = kept.intersect(wanted) else {
            break;
        };
        let address = source.range.start + (part.start - source.at);
        let into = &mut buffer[(part.start - at) as usize..(part.end - at) as usize];
        let missing = read_all(memory, address, into).into_iter();
        unread.extend(missing.map(|gap| Range::new(part.start + gap.start, part.start + gap.end)));
    }
    unread
}

/// Reads all pages that can be read. Returns where in the buffer the others would be.
fn read_all(memory: &dyn Memory, address: u64, buffer: &mut [u8]) -> Vec<Range> {
    let mut unread = Vec::new();
    let mut at = 0;
    loop {
        at += memory.read(address + at as u64, &mut buffer[at..]);
        if at == buffer.len() {
            return unread;
        }
        let to_end = PAGE - (address + at as u64) % PAGE;
        let next = buffer.len().min(at + to_end as usize);
        unread.push(Range::new(at as u64, next as u64));
        at = next;
    }
}

fn failed(error: io::Error) -> Reason {
    format!("what a clone lacks could not be put aside: {error}")
}

fn threads() -> usize {
    priority::processors().len().clamp(1, MOST_THREADS)
}

/// A part of the file, and the memory in which it is, if it has been set up.
struct Job {
    range: Range,
    piece: Option<Piece>,
}

struct Copier {
    sources: Vec<Kept>,
    memory: Arc<dyn Memory>,
    file: Arc<File>,
    jobs: Mutex<Box<dyn Iterator<Item = Job> + Send>>,
    /// Nobody waits any more.
    is_over: AtomicBool,
}

impl Copier {
    /// Starts the threads, each of which tells what it could not read.
    fn start(self: &Arc<Self>) -> io::Result<mpsc::Receiver<io::Result<Vec<Range>>>> {
        let (tell, ends) = mpsc::channel();
        for number in 0..threads() {
            let (copier, tell) = (self.clone(), tell.clone());
            let work = move || {
                // The target stands. Half of the processors are left to others.
                if number.is_multiple_of(2) {
                    priority::raise_priority();
                }
                let _ = tell.send(copier.run());
            };
            let thread = std::thread::Builder::new().name("aside".to_owned());
            thread.spawn(work)?;
        }
        Ok(ends)
    }

    fn run(&self) -> io::Result<Vec<Range>> {
        crate::failpoint("put-aside")?;
        let mut unread = Vec::new();
        let mut buffer = Vec::new();
        while let Some(job) = self.next() {
            unread.extend(self.copy(job, &mut buffer)?);
        }
        Ok(unread)
    }

    fn next(&self) -> Option<Job> {
        let is_over = self.is_over.load(Ordering::Relaxed);
        (!is_over).then(|| lock(&self.jobs).next()).flatten()
    }

    fn copy(&self, job: Job, buffer: &mut Vec<u8>) -> io::Result<Vec<Range>> {
        let (at, len) = (job.range.start, job.range.len() as usize);
        if let Some(mut piece) = job.piece {
            let bytes = &mut piece.bytes()[..len];
            return Ok(fill(bytes, at, &self.sources, &*self.memory));
        }
        buffer.resize(len, 0);
        let unread = fill(buffer, at, &self.sources, &*self.memory);
        self.file.write_all_at(buffer, at)?;
        Ok(unread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory of which one page cannot be read: each byte is the number of its page.
    struct Holey(u64);

    impl Memory for Holey {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            let pages = (0..buffer.len() as u64).map(|at| (address + at) / PAGE);
            let readable = pages.take_while(|page| *page != self.0);
            let count = readable
                .zip(&mut *buffer)
                .map(|(page, byte)| *byte = page as u8);
            count.count()
        }
    }

    #[test]
    fn s3_one_page_that_cannot_be_read_costs_no_other() {
        let kept = |start, end, at| Kept {
            range: Range::new(start * PAGE, end * PAGE),
            at: at * PAGE,
        };
        let sources = [kept(1, 3, 0), kept(10, 14, 2)];
        let mut buffer = vec![0; 4 * PAGE as usize];
        let unread = fill(&mut buffer, PAGE, &sources, &Holey(11));
        let firsts: Vec<u8> = buffer.chunks(PAGE as usize).map(|page| page[0]).collect();
        assert_eq!(firsts, [2, 10, 0, 12]);
        assert_eq!(unread, [Range::new(3 * PAGE, 4 * PAGE)]);
    }
}
