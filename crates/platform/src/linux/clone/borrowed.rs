//! A stopped thread of a process that makes system calls for us. Whatever becomes of us, it returns to where it stood: it
//! stands on a frame that brings it back (see [`calls`]).

use super::frame_places;
use crate::linux::{
    arch::calls::{self, Gadgets, Saved},
    sys::ptrace::{self, Report},
};
use std::{
    io,
    time::{Duration, Instant},
};

/// How long to sleep between two looks whether a call has ended.
const POLL_INTERVAL: Duration = Duration::from_micros(20);
/// `ERESTARTNOINTR`: the kernel makes the call again by itself.
const AGAIN: i64 = -513;

/// Such a thread.
pub(super) struct Borrowed {
    pub(super) tid: i32,
    saved: Saved,
    gadgets: Gadgets,
    /// Where its frame is.
    frame: u64,
}

/// What a call came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    /// What it returned: minus an error number if it failed.
    pub(super) returned: i64,
    /// The thread or process that it has made, as we see it; 0 if none.
    pub(super) made: i32,
    /// A signal that came meanwhile, and is to be delivered when the thread goes on; 0 if none.
    pub(super) signal: i32,
}

impl Borrowed {
    /// Takes a thread whose frame has been written.
    pub(super) fn new(tid: i32, saved: Saved, gadgets: Gadgets, frame: u64) -> Self {
        Self {
            tid,
            saved,
            gadgets,
            frame,
        }
    }

    /// Makes a system call.
    ///
    /// # Errors
    /// `TimedOut` if it does not return until `end`: the thread must then be left alone, and comes back by itself. `NotFound` if
    /// the thread has ended, and `Interrupted` if it was killed, and has been let go on in its exit.
    pub(super) fn call(
        &self,
        number: i64,
        arguments: [u64; 4],
        end: Instant,
    ) -> io::Result<Answer> {
        let call = (number, arguments);
        self.saved.begin(self.tid, self.gadgets, self.frame, call)?;
        let (mut answer, mut has_begun) = (Answer::default(), false);
        loop {
            match self.next(end)? {
                Report::AtSystemCall if has_begun => {
                    answer.returned = calls::returned(self.tid)?;
                    if answer.returned != AGAIN {
                        return Ok(answer);
                    }
                    has_begun = false;
                }
                Report::AtSystemCall => has_begun = true,
                Report::Cloned(made) => {
                    ptrace::set_aside(made);
                    answer.made = made;
                }
                // SIGSTOP, which nobody can block.
                Report::Signal(signal) => answer.signal = signal,
                Report::Gone(_) => return Err(io::ErrorKind::NotFound.into()),
                Report::Exiting(_) => {
                    // Nobody else is told: without this it would stand there for good.
                    let _ = ptrace::resume(self.tid, 0);
                    return Err(io::ErrorKind::Interrupted.into());
                }
                _ => {}
            }
            ptrace::to_next_call(self.tid)?;
        }
    }

    /// Brings the thread back to where it stood; it still is stopped.
    pub(super) fn restore(&self) -> io::Result<()> {
        self.saved.restore(self.tid)
    }

    /// Waits for the next report.
    fn next(&self, end: Instant) -> io::Result<Report> {
        loop {
            if let Some((_, report)) = ptrace::report_of(self.tid)? {
                return Ok(report);
            }
            if Instant::now() > end {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

/// Reads what a call would change of a stopped thread, if it may be borrowed: one that stands before it goes back to its
/// program, of a 64-bit program, with room on a stack that is known to be one, and outside a restartable sequence, which would
/// go on without its protection (rseq(2)). (A thread that stood inside of clone(2) made that call twice.)
pub(super) fn usable(
    tid: i32,
    stacks: &frame_places::FramePlaces,
    memory: &dyn snapshot::Memory,
    buffer: &mut [u8],
) -> Option<Saved> {
    if !ptrace::stands_interrupted(tid) {
        return None;
    }
    let saved = Saved::of(tid, buffer).ok()??;
    let room = 2 * saved.frame_bytes() + 512 + calls::RED_ZONE;
    let fits = stacks.has_room(saved.stack_pointer(), saved.thread_pointer(), room);
    (fits && !is_in_sequence(tid, saved.instruction(), memory)).then_some(saved)
}

/// Whether a thread is in a restartable sequence. `struct rseq` has the address of the sequence's description in its second
/// eight bytes, and that has the begin and the length of the sequence there (linux/rseq.h).
fn is_in_sequence(tid: i32, instruction: u64, memory: &dyn snapshot::Memory) -> bool {
    let Some(at) = ptrace::restartable_sequences(tid) else {
        return false;
    };
    let Some(description) = memory.read_u64(at + 8) else {
        return true;
    };
    let begin = memory.read_u64(description.wrapping_add(8));
    let len = memory.read_u64(description.wrapping_add(16));
    match (description, begin, len) {
        (0, ..) => false,
        (_, Some(begin), Some(len)) => instruction.wrapping_sub(begin) < len,
        _ => true,
    }
}
