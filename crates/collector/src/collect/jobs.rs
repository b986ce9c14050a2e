//! Divides the plan of a dump into jobs: what one thread reads and writes at a time.

use formats::{HOLE, Piece, Plan, packed::FRAME};
use platform::lock;
use snapshot::Range;
use std::{
    ops,
    sync::{Arc, Mutex},
};

/// The bytes of one read and one write: large enough that the cost of a call does not matter, small
/// enough that a cancel is noticed at once and that buffers take little memory.
pub(super) const CHUNK: usize = 512 << 10;
/// A job goes on behind a hole of up to so many bytes: a job for each page of a process that uses every other one would cost
/// more than its page.
pub(super) const SHORT_HOLE: u64 = 64 << 10;

/// Which part of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All but what comes from files that the target has mapped: what needs the target.
    Target,
    /// What comes from those files.
    Files,
    /// Everything, holes too, in the frames of a compressed file: a record has one of its own. A record at the very end is
    /// left to the caller, who knows only then what it has to say.
    Frames,
}

impl Part {
    /// The most that a job has, in bytes.
    pub(super) fn most(self) -> usize {
        match self {
            Part::Target | Part::Files => CHUNK,
            Part::Frames => FRAME,
        }
    }
}

/// The jobs of a plan, each given to one thread.
pub(super) struct Jobs {
    plan: Arc<Plan>,
    part: Part,
    next: Mutex<Position>,
}

/// What is read at once: parts that stand one after the other from `offset` of the file on. Holes between them are short.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) offset: u64,
    pub(super) parts: Vec<Span>,
}

impl Job {
    /// Its length in bytes.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len).sum()
    }

    /// The parts of its bytes that are written: all but its holes.
    pub(super) fn stored(&self, plan: &Plan) -> Vec<ops::Range<usize>> {
        let mut parts: Vec<ops::Range<usize>> = Vec::new();
        let mut at = 0;
        for span in &self.parts {
            let end = at + span.len;
            match parts.last_mut() {
                _ if span.is_hole(plan) => {}
                Some(last) if last.end == at => last.end = end,
                _ => parts.push(at..end),
            }
            at = end;
        }
        parts
    }
}

/// `len` bytes of one piece of the plan, from byte `within` of it on.
#[derive(Clone)]
pub(super) struct Span {
    pub(super) piece: usize,
    pub(super) within: u64,
    pub(super) len: usize,
}

impl Span {
    fn is_hole(&self, plan: &Plan) -> bool {
        matches!(plan.pieces[self.piece], Piece::Zeros(count) if count >= HOLE)
    }

    /// The addresses of these bytes in a piece that has those of `range`.
    pub(super) fn of(&self, range: Range) -> Range {
        let start = range.start + self.within;
        Range::new(start, start + self.len as u64)
    }
}

/// The position in the plan where the next job begins.
#[derive(Default)]
struct Position {
    /// Index of the piece.
    piece: usize,
    /// Offset within the piece, in bytes.
    within: u64,
    /// Offset in the file, in bytes.
    offset: u64,
}

impl Jobs {
    /// All jobs of a part of a plan.
    pub(super) fn new(plan: Arc<Plan>, part: Part) -> Self {
        Self {
            plan,
            part,
            next: Mutex::default(),
        }
    }

    /// The next job, of at most a chunk. Returns `None` if there is no more. Without memory, all the
    /// rest is still written, so that debuggers can open the partial file.
    pub(super) fn next(&self, with_memory: bool) -> Option<Job> {
        let mut position = lock(&self.next);
        let mut job = Job {
            offset: 0,
            parts: Vec::new(),
        };
        let mut room = self.part.most() as u64;
        while let Some(piece) = self.plan.pieces.get(position.piece).filter(|_| room > 0) {
            let is_last = position.piece + 1 == self.plan.pieces.len();
            let skipped = match (self.part, piece) {
                (Part::Frames, Piece::Record(_)) => is_last,
                (Part::Frames, _) => false,
                (Part::Files, Piece::Mapped(_)) => !with_memory,
                (Part::Files, _) | (Part::Target, Piece::Mapped(_)) => true,
                (_, Piece::Zeros(count)) => *count > SHORT_HOLE,
                (_, Piece::Memory(_)) => !with_memory,
                (_, Piece::Bytes(_) | Piece::Record(_) | Piece::Registers(_)) => false,
            };
            if skipped {
                if !job.parts.is_empty() {
                    break;
                }
                let rest = piece.size() - position.within;
                position.skip(rest);
                continue;
            }
            let is_frame = self.part == Part::Frames && matches!(piece, Piece::Record(_));
            if is_frame && !job.parts.is_empty() {
                break;
            }
            if job.parts.is_empty() {
                job.offset = position.offset;
            }
            let len = (piece.size() - position.within).min(room);
            job.parts.push(Span {
                piece: position.piece,
                within: position.within,
                len: len as usize,
            });
            position.advance(len, piece.size());
            room = if is_frame { 0 } else { room - len };
        }
        (!job.parts.is_empty()).then_some(job)
    }
}

impl Position {
    /// Goes to the next piece, which begins `len` bytes further on.
    fn skip(&mut self, len: u64) {
        self.offset += len;
        self.piece += 1;
        self.within = 0;
    }

    /// Goes on by `len` bytes within a piece of `whole` bytes.
    fn advance(&mut self, len: u64, whole: u64) {
        self.offset += len;
        self.within += len;
        if self.within == whole {
            self.piece += 1;
            self.within = 0;
        }
    }
}
