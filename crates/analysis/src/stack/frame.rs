//! A stack as values, and how it is written.

use crate::image::Symbol;
use crate::languages::LanguageFrame;
use crate::unwind::lookup_address;
use std::fmt;

/// The most frames of one stack that are kept.
pub const FRAME_LIMIT: usize = 1024;
/// Of a deeper stack, so many of the outermost frames are kept.
pub(super) const OUTERMOST: usize = 128;

/// The stack of one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Its frames, from the innermost (where the thread is) to the outermost.
    pub frames: Vec<Frame>,
    /// Why there are no more frames.
    pub end: End,
    /// Frames that are not among these, because there are too many.
    pub left_out: Option<LeftOut>,
}

/// Frames that were walked and not kept: those of an endless recursion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// They are behind so many of the frames that are kept.
    pub behind: usize,
    /// How many there are.
    pub frames: usize,
}

impl Stack {
    /// A stack with all of its frames.
    pub fn whole(frames: Vec<Frame>, end: End) -> Self {
        Self {
            frames,
            end,
            left_out: None,
        }
    }

    /// How many frames there are, those that are left out included.
    pub fn depth(&self) -> usize {
        self.frames.len() + self.left_out.map_or(0, |left| left.frames)
    }
}

impl Stack {
    /// The address by which the name and the line of a frame are looked up; 0 if there is no frame of this number.
    ///
    /// Situation: a call may be the last instruction of its function, so that it returns to the first of the next one.
    pub fn lookup(&self, number: usize) -> u64 {
        let ip = self.frames.get(number).map_or(0, |frame| frame.ip);
        let before = number.checked_sub(1).and_then(|n| self.frames.get(n));
        lookup_address(ip, before.is_none_or(|frame| frame.is_signal_frame))
    }
}

/// Why a stack ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the thread's first function: the stack is complete.
    Root,
    /// After this many frames; there are more.
    Limit(usize),
    /// The dump does not hold the stack's memory at this address.
    NoMemory(u64),
    /// No way of unwinding found the caller of the last frame.
    Lost,
    /// No frame calls the last one, but frames before it were guessed: they may be left from earlier calls.
    Guessed,
    /// The next frame is one that was seen already: the stack is damaged.
    Cycle,
    /// The thread's registers are not known.
    NoRegisters,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Root => f.write_str("the thread began here"),
            End::Limit(frames) => write!(f, "stopped after {frames} frames"),
            End::NoMemory(address) => write!(f, "the stack at {address:#x} is not in the dump"),
            End::Lost => f.write_str("who called the last frame is not known"),
            End::Guessed => f.write_str(
                "frames were guessed, so that it is not known whether the thread began here",
            ),
            End::Cycle => f.write_str("the stack is damaged: it runs in a circle"),
            End::NoRegisters => f.write_str("the thread's registers are not known"),
        }
    }
}

/// One frame: a function that has been called and has not returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The instruction pointer; for the caller of another frame, where that call will return to.
    pub ip: u64,
    /// Its stack pointer.
    pub sp: u64,
    /// The file name of the module, without its folder; `None` if `ip` is in no module.
    pub module: Option<String>,
    /// Bytes from the module's base to `ip`; `ip` itself if it is in no module.
    pub offset: u64,
    /// The function; `None` if no symbol is known for it.
    pub symbol: Option<Symbol>,
    /// How the frame was found.
    pub how: How,
    /// Whether it is the return from a signal handler: the next frame was interrupted and did not
    /// call.
    pub is_signal_frame: bool,
    /// What it is to the runtime of its language, innermost first: a function and the calls that are inlined in it, or the functions
    /// that a call of an interpreter's loop runs.
    pub language: Vec<LanguageFrame>,
}

/// `libc.so.6!nanosleep+0x14`, or as much of that as is known.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.module, &self.symbol) {
            (_, None) if self.is_signal_frame => f.write_str("<signal handler called>"),
            (Some(module), Some(symbol)) => write!(f, "{module}!{symbol}"),
            (None, Some(symbol)) => symbol.fmt(f),
            (Some(module), None) => write!(f, "{module}+{:#x}", self.offset),
            (None, None) => write!(f, "{:#x}", self.ip),
        }
    }
}

/// How a frame was found, most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// The thread's registers: it is the innermost frame.
    Context,
    /// By the unwinding tables of the image (DWARF call frame information, Windows unwind
    /// information).
    Cfi,
    /// By the registers that the kernel saved when it called a signal handler.
    SignalFrame,
    /// By the register in which a call puts its return address (ARM, RISC-V), of the innermost frame.
    LinkRegister,
    /// By the chain of frame pointers.
    FramePointer,
    /// By a word on the stack that looks like a return address. It may be left from an earlier
    /// call.
    Scan,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            How::Context => "context",
            How::Cfi => "cfi",
            How::SignalFrame => "signal frame",
            How::LinkRegister => "link register",
            How::FramePointer => "frame pointer",
            How::Scan => "scan",
        })
    }
}
