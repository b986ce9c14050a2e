//! Puts the frames of a compressed dump one behind the other. Several threads compress them, and may do so in any order;
//! in the file they stand in the order of the dump, as the format demands.

use super::{
    jobs::{Job, Jobs, Part},
    sink::Sink,
};
use crate::store::record::padded;
use formats::{
    Piece, Plan,
    packed::{FrameWriter, SeekTable, stored},
};
use platform::lock;
use snapshot::Compression;
use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A thread waits before it takes a frame that is so far ahead of the last one in the file: each one that is ready before its
/// turn takes memory.
const AHEAD: usize = 12;
/// How often a thread that waits looks whether the copying is to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The bytes that are written at once.
const WRITTEN_AT_ONCE: usize = 1 << 20;
const PAGE: usize = 4096;

/// The frames of a dump on their way into the file.
pub(super) struct Packer {
    plan: Arc<Plan>,
    jobs: Jobs,
    compression: Compression,
    state: Mutex<State>,
    turn: Condvar,
}

struct State {
    /// The number of the next frame in the file.
    next: usize,
    /// The number of the next frame that a thread gets.
    given: usize,
    /// Frames that are being made, by their numbers.
    taken: BTreeMap<usize, Job>,
    /// Frames that are ready before their turn.
    ready: BTreeMap<usize, Frame>,
    table: SeekTable,
    output: Output,
    /// Where the file has the record, in bytes, and how long it is there.
    records: Vec<(u64, u32)>,
    /// Whether no thread gets a frame any more.
    closed: bool,
}

/// A compressed file that is finished.
pub(super) struct Packed {
    /// Its size in bytes.
    pub(super) size: u64,
    /// Where it has the record: offsets and lengths in bytes.
    pub(super) records: Vec<(u64, u32)>,
}

/// A frame, and what it has.
pub(super) struct Frame {
    packed: Vec<u8>,
    content: usize,
    /// Where in it the record is, if it is one.
    record: Option<usize>,
}

impl Packer {
    pub(super) fn new(plan: &Arc<Plan>, compression: Compression, sink: &Sink) -> Self {
        Self {
            plan: plan.clone(),
            jobs: Jobs::new(plan.clone(), Part::Frames),
            compression,
            state: Mutex::new(State {
                next: 0,
                given: 0,
                taken: BTreeMap::new(),
                ready: BTreeMap::new(),
                table: SeekTable::default(),
                output: Output::new(sink.clone()),
                records: Vec::new(),
                closed: false,
            }),
            turn: Condvar::new(),
        }
    }

    /// What compresses frames; each thread has its own.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(super) fn writer(&self) -> io::Result<FrameWriter> {
        FrameWriter::new(self.compression.level())
    }

    /// What a thread that compresses takes, in bytes.
    pub(super) fn memory_of_a_thread(&self) -> usize {
        FrameWriter::memory(self.compression.level())
    }

    /// The number of the next frame to be made, and what it has. Waits until it is not too far ahead. Returns `None` if there
    /// is no more, or the copying is to end.
    pub(super) fn take(&self, stop: &AtomicBool) -> Option<(usize, Job)> {
        let mut state = lock(&self.state);
        while state.given >= state.next + AHEAD {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            let waited = self.turn.wait_timeout(state, LOOK_EVERY);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        if state.closed || stop.load(Ordering::Relaxed) {
            return None;
        }
        let job = self.jobs.next(true)?;
        let number = state.given;
        state.given += 1;
        state.taken.insert(number, job.clone());
        Some((number, job))
    }

    /// The frame of a job whose content is `content`.
    pub(super) fn frame(
        &self,
        job: &Job,
        content: &[u8],
        writer: &mut FrameWriter,
    ) -> io::Result<Frame> {
        let piece = job.parts.first().map(|part| &self.plan.pieces[part.piece]);
        let (packed, record) = match piece {
            Some(Piece::Record(_)) => {
                let (packed, at) = stored(content);
                (packed, Some(at))
            }
            _ => (writer.frame(content)?, None),
        };
        Ok(Frame {
            packed,
            content: content.len(),
            record,
        })
    }

    /// Puts a frame where it belongs: into the file, if all before it are there, and with it those that waited for it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn put(&self, number: usize, frame: Frame) -> io::Result<()> {
        let mut state = lock(&self.state);
        // Of a thread that was given up, and whose frame was made without it.
        if state.taken.remove(&number).is_none() {
            return Ok(());
        }
        state.ready.insert(number, frame);
        loop {
            let next = state.next;
            let Some(frame) = state.ready.remove(&next) else {
                break;
            };
            state.append(frame)?;
            state.next += 1;
        }
        self.turn.notify_all();
        Ok(())
    }

    /// Ends the work of all threads, also of one that hangs. Returns the frames that they have left, each with its number: they
    /// are to be made and [put](Self::put) by the caller.
    pub(super) fn close(&self) -> Vec<(usize, Job)> {
        let mut state = lock(&self.state);
        state.closed = true;
        while let Some(job) = self.jobs.next(true) {
            let number = state.given;
            state.given += 1;
            state.taken.insert(number, job);
        }
        state
            .taken
            .iter()
            .map(|(number, job)| (*number, job.clone()))
            .collect()
    }

    /// Writes the record at the end of the dump, which is `text`, and the table of the frames.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn finish(&self, text: &[u8]) -> io::Result<Packed> {
        let mut state = lock(&self.state);
        if let Some(Piece::Record(len)) = self.plan.pieces.last() {
            let content = padded(text, *len);
            let (packed, at) = stored(&content);
            state.append(Frame {
                packed,
                content: content.len(),
                record: Some(at),
            })?;
        }
        let table = std::mem::take(&mut state.table).into_bytes()?;
        state.output.write(&table)?;
        state.output.flush()?;
        Ok(Packed {
            size: state.output.offset,
            records: std::mem::take(&mut state.records),
        })
    }
}

impl State {
    fn append(&mut self, frame: Frame) -> io::Result<()> {
        if let Some(at) = frame.record {
            let place = self.output.len() + at as u64;
            self.records.push((place, frame.content as u32));
        }
        self.table.add(frame.packed.len(), frame.content)?;
        self.output.write(&frame.packed)
    }
}

/// What is written one after the other, in whole blocks, so that a file is written past the page cache.
struct Output {
    sink: Sink,
    /// The bytes that wait from `start` on, which is at the begin of a page of memory.
    room: Vec<u8>,
    start: usize,
    filled: usize,
    /// The bytes that are written.
    offset: u64,
}

impl Output {
    fn new(sink: Sink) -> Self {
        let room = vec![0; WRITTEN_AT_ONCE + PAGE];
        let start = room.as_ptr().align_offset(PAGE);
        Self {
            sink,
            room,
            start,
            filled: 0,
            offset: 0,
        }
    }

    /// The bytes in all, written or not.
    fn len(&self) -> u64 {
        self.offset + self.filled as u64
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let len = bytes.len().min(WRITTEN_AT_ONCE - self.filled);
            let at = self.start + self.filled;
            self.room[at..at + len].copy_from_slice(&bytes[..len]);
            self.filled += len;
            bytes = &bytes[len..];
            if self.filled == WRITTEN_AT_ONCE {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let bytes = &self.room[self.start..self.start + self.filled];
        match &self.sink {
            Sink::File(file) => file.write_at(self.offset, bytes)?,
            Sink::Stream(stream) => lock(stream).write(bytes)?,
        }
        self.offset += self.filled as u64;
        self.filled = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::packed::{FRAME, Packing, Seekable, unpacked};
    use platform::{Existing, FileBytes, OutFile};
    use snapshot::{DumpFormat, Range};
    use std::{io::Read as _, path::Path};

    const TAIL: &[u8] = b"at the end";

    fn plan() -> Arc<Plan> {
        Arc::new(Plan {
            format: DumpFormat::Core,
            pieces: vec![
                Piece::Bytes(vec![1; 100]),
                Piece::Record(50),
                Piece::Memory(Range::new(0, 2 * FRAME as u64)),
                Piece::Zeros(FRAME as u64),
                Piece::Record(TAIL.len() as u32),
            ],
            shown_again: vec![],
        })
    }

    fn packer(path: &Path) -> Packer {
        let file = OutFile::create(path, Existing::NextName).expect("a file");
        Packer::new(&plan(), Compression::default(), &Sink::File(Arc::new(file)))
    }

    fn content(number: usize, job: &Job) -> Vec<u8> {
        let len = job.parts.iter().map(|part| part.len).sum();
        vec![number as u8 + 1; len]
    }

    fn put(packer: &Packer, (number, job): (usize, Job)) {
        let mut writer = packer.writer().expect("memory");
        let frame = packer.frame(&job, &content(number, &job), &mut writer);
        packer.put(number, frame.expect("memory")).expect("written");
    }

    /// What is in the file, once it is finished.
    fn finished(packer: &Packer, partial: &Path) -> (FileBytes, Packed) {
        let packed = packer.finish(TAIL).expect("written");
        let file = std::fs::read(partial).expect("a file");
        assert_eq!(file.len() as u64, packed.size);
        (Arc::new(file), packed)
    }

    #[test]
    fn frames_stand_in_order_whoever_is_first_and_records_are_frames() {
        let folder = tempfile::tempdir().expect("a folder");
        let packer = packer(&folder.path().join("x"));
        let stop = AtomicBool::new(false);
        let mut jobs: Vec<_> = std::iter::from_fn(|| packer.take(&stop)).collect();
        let lengths: Vec<usize> = jobs.iter().map(|(n, job)| content(*n, job).len()).collect();
        assert_eq!(lengths, [100, 50, FRAME, FRAME, FRAME]);
        let expected: Vec<u8> = jobs.iter().flat_map(|(n, job)| content(*n, job)).collect();
        jobs.rotate_left(2);
        jobs.into_iter().for_each(|job| put(&packer, job));
        assert!(packer.close().is_empty());
        let (file, packed) = finished(&packer, &folder.path().join(".x.partial"));
        let mut read = Vec::new();
        let stream = unpacked(&file, Packing::Zstd).expect("memory");
        { stream }.read_to_end(&mut read).expect("zstd");
        assert!(read == [&expected[..], TAIL].concat());
        let seekable = Seekable::open(&file).expect("seekable");
        let places = packed.records;
        assert_eq!(seekable.stored_at(100, 50), Some(places[0].0));
        let end = expected.len() as u64;
        assert_eq!(seekable.stored_at(end, TAIL.len()), Some(places[1].0));
    }

    /// The frame of a thread that hangs is made by another one, and comes too late.
    #[test]
    fn what_is_left_is_told_once_and_a_late_frame_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let packer = packer(&folder.path().join("x"));
        let stop = AtomicBool::new(false);
        let hung = packer.take(&stop).expect("a frame");
        put(&packer, packer.take(&stop).expect("a frame"));
        let left = packer.close();
        assert!(packer.take(&stop).is_none(), "closed");
        let numbers: Vec<usize> = left.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [0, 2, 3, 4]);
        left.into_iter().for_each(|job| put(&packer, job));
        put(&packer, hung);
        let (file, _) = finished(&packer, &folder.path().join(".x.partial"));
        let len = Seekable::open(&file).expect("seekable").len();
        assert_eq!(len, plan().size());
    }

    #[test]
    fn nobody_gets_far_ahead_of_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let plan = Arc::new(Plan {
            format: DumpFormat::Core,
            pieces: vec![Piece::Zeros(100 * FRAME as u64)],
            shown_again: vec![],
        });
        let file = OutFile::create(&folder.path().join("x"), Existing::NextName);
        let sink = Sink::File(Arc::new(file.expect("a file")));
        let packer = Packer::new(&plan, Compression::default(), &sink);
        let stop = AtomicBool::new(false);
        let jobs: Vec<_> = (0..AHEAD).map(|_| packer.take(&stop)).collect();
        assert!(jobs.iter().all(Option::is_some));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| packer.take(&stop));
            put(&packer, jobs[0].clone().expect("a frame"));
            assert_eq!(waits.join().expect("no panic").expect("a frame").0, AHEAD);
        });
        stop.store(true, Ordering::Relaxed);
        assert!(packer.take(&stop).is_none(), "it does not wait for ever");
    }
}
