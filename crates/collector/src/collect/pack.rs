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
const AHEAD: usize = 16;
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

    /// Writes the record at the end of the dump and the table of the frames; returns the size of the file in bytes. `text` is
    /// the record; its places in the file are [told](Self::records) after that.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn finish(&self, text: &[u8]) -> io::Result<u64> {
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
        Ok(state.output.offset)
    }

    /// Where the file has the record: offsets and lengths in bytes.
    pub(super) fn records(&self) -> Vec<(u64, u32)> {
        lock(&self.state).records.clone()
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
