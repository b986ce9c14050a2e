//! Copies memory into the file of a dump.
//!
//! Threads of their own read and write. The thread that holds the target only watches them (see
//! `watch_copy`), so that neither a read that hangs (of a page behind a dead server) nor a disk
//! that hangs keeps the target stopped.

use super::{
    jobs::{CHUNK, Job, Jobs, Part},
    pack::Packer,
    series::Sharing,
    sink::Sink,
    zeros::Zeros,
};
use crate::store::record::padded;
use formats::{Piece, Plan, packed::FrameWriter};
use platform::{OutFile, OutStream, failpoint, lock};
use snapshot::{Memory, NoMemory, Range, coalesce, total_bytes, without};
use std::{
    io, ops,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
};

/// This many writes at a time reach the speed of a disk; more are no faster.
const THREADS: usize = 4;
/// The most threads that compress, and the memory that they may take together, in bytes.
const MOST_COMPRESSORS: usize = 8;
const MOST_FOR_COMPRESSORS: usize = 40 << 20;
const PAGE: u64 = 4096;

/// What the copying threads and the thread that watches them share.
#[derive(Default)]
pub(crate) struct Progress {
    /// Bytes of memory that were copied so far.
    pub(crate) done: AtomicU64,
    /// What was not written of the file, because it is zeros.
    pub(super) zeros: Zeros,
    /// Set to true to end the copying early.
    pub(crate) stop: AtomicBool,
    /// The ranges of memory that could not be read.
    gaps: Mutex<Vec<Range>>,
    /// Those that are in the file.
    written: Mutex<Vec<Range>>,
    /// Those of them that were not asked for yet, with what lies between those of one job.
    lately: Mutex<Vec<Range>>,
}

impl Progress {
    /// What is not in the file of all that `plan` says: what could not be read, and, if the copying was ended early,
    /// what nobody came to.
    pub(crate) fn missing(&self, plan: &Plan) -> Vec<Range> {
        let mut missing = lock(&self.gaps).clone();
        let written = std::mem::take(&mut *lock(&self.written));
        if total_bytes(&written) < plan.memory_bytes() + plan.mapped_bytes() {
            let wanted = plan.pieces.iter().filter_map(|piece| match piece {
                Piece::Memory(range) | Piece::Mapped(range) => Some(*range),
                _ => None,
            });
            let wanted = coalesce(wanted.collect(), 0);
            missing.extend(without(&wanted, &coalesce(written, 0)));
        }
        let mut missing = coalesce(missing, 0);
        missing.extend(plan.others_of(&missing));
        coalesce(missing, 0)
    }

    /// Takes the ranges of memory that are in the file since it was asked last, or that nobody will ask for.
    pub(crate) fn written_lately(&self) -> Vec<Range> {
        std::mem::take(&mut *lock(&self.lately))
    }

    /// Notes the memory of one job, in the order of the plan, which is that of the addresses: what lies between has no place in
    /// the file.
    fn wrote(&self, ranges: &[Range]) {
        if let [first, .., last] | [first @ last] = ranges {
            lock(&self.lately).push(Range::new(first.start, last.end));
        }
        let mut written = lock(&self.written);
        for range in ranges {
            match written.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => written.push(*range),
            }
        }
    }
}

/// Copying that is under way.
pub(crate) struct Copy {
    pub(crate) progress: Arc<Progress>,
    /// Gets one message of each thread when it ends, with its error if it failed.
    pub(crate) ends: mpsc::Receiver<io::Result<()>>,
    /// The number of threads, and so of messages.
    pub(crate) threads: usize,
}

/// What a dump is copied from.
#[derive(Clone)]
pub(crate) struct Source {
    /// The memory of the target.
    pub(crate) memory: Arc<dyn Memory>,
    /// The files that it has mapped.
    pub(crate) files: Arc<dyn Memory>,
    /// Whether the target runs on while it is copied: it comes first then.
    pub(crate) is_of_clone: bool,
}

/// What is copied, and where to.
#[derive(Clone)]
pub(crate) struct Copying {
    pub(super) plan: Arc<Plan>,
    pub(super) source: Source,
    pub(super) sink: Sink,
    /// What puts frames in order, if the dump is compressed while it is copied.
    pub(super) packer: Option<Arc<Packer>>,
    /// What shares blocks with an earlier dump, if there may be any.
    pub(super) sharing: Option<Arc<Sharing>>,
    /// The text for all records but one at the very end of a stream.
    pub(super) record: Vec<u8>,
}

/// Starts to copy what a plan says: to a file by several threads, a chunk at a time and without what comes from
/// files, to a stream by one thread in order. A record at the very end of a stream is left to the caller, who knows
/// only afterwards what it has to say. With a packer, several threads compress for
/// either, everything and in order.
///
/// # Errors
/// If a thread cannot be started.
pub(crate) fn start(copying: &Copying) -> io::Result<Copy> {
    let progress = Arc::new(Progress::default());
    let copier = Arc::new(Copier::new(copying.clone(), &progress, Part::Target));
    let threads = match (&copying.packer, &copying.sink) {
        (Some(packer), _) => compressors(packer.memory_of_a_thread()),
        (None, Sink::File(_)) => THREADS,
        (None, Sink::Stream(_)) => 1,
    };
    let (tell, ends) = mpsc::channel();
    for _ in 0..threads {
        let (copier, tell) = (copier.clone(), tell.clone());
        let work = move || {
            match (copier.of.source.is_of_clone, &copier.of.packer) {
                (true, Some(_)) => platform::run_last(),
                (true, None) => platform::give_way(),
                (false, _) => {}
            }
            let end = copier.run();
            // Before the message is sent: whoever gets it needs the file for itself, to publish or
            // remove it.
            drop(copier);
            let _ = tell.send(end);
        };
        std::thread::Builder::new()
            .name("copy".to_owned())
            .spawn(work)?;
    }
    Ok(Copy {
        progress,
        ends,
        threads,
    })
}

/// How many threads compress: one for each processor, and one that waits for the disk. They take no more than half of the memory
/// that is left to us: in a container that is the target's.
pub(super) fn compressors(memory_of_each: usize) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let left = platform::memory_left().map_or(usize::MAX, |bytes| bytes as usize / 2);
    let memory = MOST_FOR_COMPRESSORS.min(left);
    let most = MOST_COMPRESSORS.min(memory / memory_of_each);
    (processors + 1).min(most).max(1)
}

/// Copies what comes from files. It needs no target, and is not ended early: only files that cannot hang are opened.
///
/// # Errors
/// If the dump cannot be written.
pub(crate) fn copy_files(copying: Copying, progress: &Arc<Progress>) -> io::Result<()> {
    progress.stop.store(false, Ordering::Relaxed);
    match copying.sink.clone() {
        Sink::File(file) => Copier::new(copying, progress, Part::Files).run_file(&file),
        Sink::Stream(_) => Ok(()),
    }
}

/// Makes the frames that were not made when the copying ended, without memory of the target, which may be gone.
///
/// # Errors
/// If the dump cannot be written.
pub(crate) fn pack_rest(
    mut copying: Copying,
    packer: &Packer,
    progress: &Arc<Progress>,
) -> io::Result<()> {
    let left = packer.close();
    progress.stop.store(false, Ordering::Relaxed);
    copying.source.memory = Arc::new(NoMemory);
    let copier = Copier::new(copying, progress, Part::Frames);
    let mut writer = packer.writer()?;
    let mut buffer = vec![0; Part::Frames.most()];
    for (number, job) in left {
        copier.pack(packer, number, &job, &mut buffer, &mut writer)?;
    }
    Ok(())
}

struct Copier {
    of: Copying,
    progress: Arc<Progress>,
    jobs: Jobs,
}

impl Copier {
    fn new(of: Copying, progress: &Arc<Progress>, part: Part) -> Self {
        Self {
            jobs: Jobs::new(of.plan.clone(), part),
            of,
            progress: progress.clone(),
        }
    }

    fn run(&self) -> io::Result<()> {
        match (&self.of.packer, &self.of.sink) {
            (Some(packer), _) => self.run_packer(packer),
            (None, Sink::File(file)) => self.run_file(file),
            (None, Sink::Stream(stream)) => self.run_stream(&mut lock(stream)),
        }
    }

    fn run_packer(&self, packer: &Packer) -> io::Result<()> {
        let mut writer = packer.writer()?;
        let mut buffer = vec![0; Part::Frames.most()];
        while let Some((number, job)) = packer.take(&self.progress.stop) {
            failpoint("copy")?;
            self.pack(packer, number, &job, &mut buffer, &mut writer)?;
        }
        Ok(())
    }

    /// Makes a frame.
    fn pack(
        &self,
        packer: &Packer,
        number: usize,
        job: &Job,
        buffer: &mut [u8],
        writer: &mut FrameWriter,
    ) -> io::Result<()> {
        let (len, memory) = self.fill(job, buffer);
        let frame = packer.frame(job, &buffer[..len], writer)?;
        packer.put(number, frame)?;
        self.wrote(&memory);
        Ok(())
    }

    fn wrote(&self, memory: &[Range]) {
        self.progress.wrote(memory);
        let bytes = total_bytes(memory);
        self.progress.done.fetch_add(bytes, Ordering::Relaxed);
    }

    fn run_file(&self, file: &OutFile) -> io::Result<()> {
        let mut room = vec![0; CHUNK + PAGE as usize];
        let start = room.as_ptr().align_offset(PAGE as usize);
        let buffer = &mut room[start..start + CHUNK];
        while let Some(job) = self.next_job() {
            failpoint("copy")?;
            let (len, memory) = self.fill(&job, buffer);
            self.store(file, &job, &buffer[..len])?;
            self.wrote(&memory);
        }
        Ok(())
    }

    /// Writes a job, but for its holes and what it shares with an earlier dump.
    fn store(&self, file: &OutFile, job: &Job, bytes: &[u8]) -> io::Result<()> {
        let stored = job.stored(&self.of.plan);
        let parts = match &self.of.sharing {
            None => stored,
            Some(sharing) => {
                let own = sharing.share(file, &self.of.plan, job, bytes);
                within(&stored, &own, job.offset)
            }
        };
        self.progress.zeros.write(file, job.offset, bytes, &parts)
    }

    fn run_stream(&self, stream: &mut OutStream) -> io::Result<()> {
        let tail = matches!(self.of.plan.pieces.last(), Some(Piece::Record(_)));
        let pieces = &self.of.plan.pieces[..self.of.plan.pieces.len() - usize::from(tail)];
        let mut buffer = vec![0; CHUNK];
        for piece in pieces {
            failpoint("copy")?;
            match piece {
                Piece::Bytes(bytes) => stream.write(bytes)?,
                Piece::Zeros(count) => write_zeros(stream, *count)?,
                Piece::Record(len) => stream.write(&padded(&self.of.record, *len))?,
                Piece::Memory(range) => {
                    self.stream_range(*range, &*self.of.source.memory, &mut buffer, stream)?;
                }
                Piece::Mapped(range) => {
                    self.stream_range(*range, &*self.of.source.files, &mut buffer, stream)?;
                }
                Piece::Registers(notes) => stream.write(&notes.to_vec())?,
            }
        }
        Ok(())
    }

    fn stream_range(
        &self,
        range: Range,
        memory: &dyn Memory,
        buffer: &mut [u8],
        stream: &mut OutStream,
    ) -> io::Result<()> {
        let mut at = range.start;
        while at < range.end && !self.progress.stop.load(Ordering::Relaxed) {
            let len = (range.end - at).min(CHUNK as u64) as usize;
            let part = Range::new(at, at + len as u64);
            let read = self.read_range(memory, part, &mut buffer[..len]);
            stream.write(&buffer[..len])?;
            self.wrote(&[read]);
            at += len as u64;
        }
        Ok(())
    }

    /// The next job. Memory is left out of it when the copying is to end early.
    fn next_job(&self) -> Option<Job> {
        let with_memory = !self.progress.stop.load(Ordering::Relaxed);
        self.jobs.next(with_memory)
    }

    /// Puts the parts of a job into the buffer. Returns their length in bytes, and which memory they have.
    fn fill(&self, job: &Job, buffer: &mut [u8]) -> (usize, Vec<Range>) {
        let (mut filled, mut memory) = (0, Vec::new());
        for span in &job.parts {
            let room = &mut buffer[filled..filled + span.len];
            let from = span.within as usize;
            match &self.of.plan.pieces[span.piece] {
                Piece::Bytes(bytes) => room.copy_from_slice(&bytes[from..from + span.len]),
                Piece::Zeros(_) => room.fill(0),
                Piece::Record(len) => {
                    room.copy_from_slice(&padded(&self.of.record, *len)[from..from + span.len]);
                }
                Piece::Registers(notes) => {
                    room.copy_from_slice(&notes.to_vec()[from..from + span.len]);
                }
                Piece::Memory(range) => {
                    memory.push(self.read_range(&*self.of.source.memory, span.of(*range), room));
                }
                Piece::Mapped(range) => {
                    memory.push(self.read_range(&*self.of.source.files, span.of(*range), room));
                }
            }
            filled += span.len;
        }
        (filled, memory)
    }

    /// Reads a range of memory into `buffer`. Pages that cannot be read are zeros, and are added to
    /// the gaps. Returns the range that was dealt with: it is shorter if the copying is to end early, and what was not
    /// read is zeros then, too.
    fn read_range(&self, memory: &dyn Memory, range: Range, buffer: &mut [u8]) -> Range {
        let mut at = range.start;
        while at < range.end {
            let rest = &mut buffer[(at - range.start) as usize..];
            at += memory.read(at, rest) as u64;
            if at >= range.end || self.progress.stop.load(Ordering::Relaxed) {
                break;
            }
            let next = ((at / PAGE + 1) * PAGE).min(range.end);
            buffer[(at - range.start) as usize..(next - range.start) as usize].fill(0);
            let mut gaps = lock(&self.progress.gaps);
            match gaps.last_mut() {
                Some(last) if last.end == at => last.end = next,
                _ => gaps.push(Range::new(at, next)),
            }
            at = next;
        }
        buffer[(at - range.start) as usize..].fill(0);
        Range::new(range.start, at)
    }
}

/// The parts of these `parts` of bytes, which are those at `offset` of a file, that lie in some ranges of the file.
fn within(parts: &[ops::Range<usize>], ranges: &[Range], offset: u64) -> Vec<ops::Range<usize>> {
    let of_file =
        |part: &ops::Range<usize>| Range::new(offset + part.start as u64, offset + part.end as u64);
    let wanted = parts.iter().map(of_file);
    let both = wanted.flat_map(|part| ranges.iter().filter_map(move |r| r.intersect(part)));
    let within = both.map(|range| (range.start - offset) as usize..(range.end - offset) as usize);
    within.collect()
}

fn write_zeros(stream: &mut OutStream, mut count: u64) -> io::Result<()> {
    let zeros = [0; 64 << 10];
    while count > 0 {
        let len = count.min(zeros.len() as u64);
        stream.write(&zeros[..len as usize])?;
        count -= len;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::jobs::SHORT_HOLE;
    use super::*;
    use formats::HOLE;
    use snapshot::DumpFormat;

    /// Every byte is the low byte of its page number; pages from 0x9000 on cannot be read.
    struct Pages;

    impl Memory for Pages {
        fn read(&self, address: u64, buf: &mut [u8]) -> usize {
            let end = 0x9000u64.saturating_sub(address).min(buf.len() as u64) as usize;
            for (at, byte) in buf[..end].iter_mut().enumerate() {
                *byte = ((address + at as u64) >> 12) as u8;
            }
            end
        }
    }

    fn copier(pieces: Vec<Piece>) -> Copier {
        let format = DumpFormat::Core;
        let plan = Arc::new(Plan {
            format,
            pieces,
            shown_again: Vec::new(),
        });
        let memory: Arc<dyn Memory> = Arc::new(Pages);
        let copying = Copying {
            plan,
            source: Source {
                files: memory.clone(),
                memory,
                is_of_clone: false,
            },
            sink: Sink::Stream(Arc::default()),
            packer: None,
            sharing: None,
            record: Vec::new(),
        };
        Copier::new(copying, &Arc::default(), Part::Target)
    }

    #[test]
    fn jobs_cover_the_file_once_and_leave_out_large_holes() {
        let chunk = CHUNK as u64;
        let copier = copier(vec![
            Piece::Bytes(vec![7; 100]),
            Piece::Memory(Range::new(0x1000, 0x1000 + chunk)),
            Piece::Zeros(10),
            Piece::Record(20),
            Piece::Zeros(SHORT_HOLE + 1),
            Piece::Memory(Range::new(0x2000, 0x2001)),
        ]);
        let jobs: Vec<Job> = std::iter::from_fn(|| copier.next_job()).collect();
        let offsets: Vec<u64> = jobs.iter().map(|job| job.offset).collect();
        assert_eq!(offsets, [0, chunk, 100 + chunk + 30 + SHORT_HOLE + 1]);
        let mut buffer = vec![0xFF; CHUNK];
        let fill = |job| {
            let (len, memory) = copier.fill(job, &mut buffer);
            (len, total_bytes(&memory))
        };
        let filled: Vec<(usize, u64)> = jobs.iter().map(fill).collect();
        assert_eq!(filled, [(CHUNK, chunk - 100), (130, 100), (1, 1)]);
        assert_eq!(buffer[0], 2, "page 2");
    }

    /// Each range that is given back is a system call in the clone, which takes longer than to copy a page.
    #[test]
    fn c6_scattered_pages_of_a_job_are_given_back_at_once() {
        let pages = [1, 3, 5, 7].map(|number| Range::new(number * PAGE, (number + 1) * PAGE));
        let pieces = pages.map(|page| [Piece::Memory(page), Piece::Zeros(HOLE)]);
        let copier = copier(pieces.concat());
        let job = copier.next_job().unwrap();
        let (len, memory) = copier.fill(&job, &mut vec![0; CHUNK]);
        assert_eq!((len as u64, &memory[..]), (4 * (PAGE + HOLE), &pages[..]));
        copier.progress.wrote(&memory);
        let whole = Range::new(PAGE, 8 * PAGE);
        assert_eq!(copier.progress.written_lately(), [whole]);
        assert_eq!(copier.progress.missing(&copier.of.plan), []);
        let stored = job.stored(&copier.of.plan);
        let page = |start: usize| start..start + PAGE as usize;
        assert_eq!(stored, [0, 0x2000, 0x4000, 0x6000].map(page));
        let own = [
            Range::new(10 * PAGE, 11 * PAGE),
            Range::new(14 * PAGE, 20 * PAGE),
        ];
        assert_eq!(
            within(&stored, &own, 10 * PAGE),
            [0, 0x4000, 0x6000].map(page)
        );
    }

    #[test]
    fn unreadable_pages_become_zeros_and_one_gap() {
        let copier = copier(vec![]);
        let mut buffer = vec![0xFF; 0x4000];
        copier.read_range(&Pages, Range::new(0x8000, 0xC000), &mut buffer);
        assert!(buffer[..0x1000].iter().all(|&b| b == 8));
        assert!(buffer[0x1000..].iter().all(|&b| b == 0));
        assert_eq!(*lock(&copier.progress.gaps), [Range::new(0x9000, 0xC000)]);
    }

    /// Copying that is to end while a chunk is read leaves nothing in it of the chunk before, and says what it lacks.
    #[test]
    fn n15_a_copy_that_is_cut_short_has_zeros_and_a_gap() {
        let whole = Range::new(0x8000, 0xC000);
        let copier = copier(vec![Piece::Memory(whole)]);
        let job = copier.next_job().unwrap();
        copier.progress.stop.store(true, Ordering::Relaxed);
        let mut buffer = vec![0xFF; CHUNK];
        let (len, memory) = copier.fill(&job, &mut buffer);
        assert_eq!(memory, [Range::new(0x8000, 0x9000)]);
        assert!(buffer[0x1000..len].iter().all(|&b| b == 0));
        copier.progress.wrote(&memory);
        let missing = copier.progress.missing(&copier.of.plan);
        assert_eq!(missing, [Range::new(0x9000, 0xC000)]);
    }

    #[test]
    fn n11_what_comes_from_files_is_a_part_of_its_own() {
        let target = copier(vec![
            Piece::Memory(Range::new(0x1000, 0x2000)),
            Piece::Mapped(Range::new(0x2000, 0x4000)),
            Piece::Memory(Range::new(0x4000, 0x5000)),
        ]);
        let of = |jobs: &Jobs| -> Vec<(u64, usize)> {
            let jobs = std::iter::from_fn(|| jobs.next(true));
            jobs.map(|job| (job.offset, job.parts[0].len)).collect()
        };
        assert_eq!(of(&target.jobs), [(0, 0x1000), (0x3000, 0x1000)]);
        let files = Jobs::new(target.of.plan.clone(), Part::Files);
        assert_eq!(of(&files), [(0x1000, 0x2000)]);
    }
}
