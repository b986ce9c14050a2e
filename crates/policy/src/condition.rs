use crate::{ExceptionFilter, Filter, Level};
use std::time::Duration;

/// When something is to be done: one condition of DESIGN's language.
///
/// What it prints as can be parsed again, to the same value.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Levels that have to hold together, for some time.
    Holds {
        /// All of these, at least one.
        all: Vec<Level>,
        /// For how long without a break; zero: one sample is enough.
        lasting: Duration,
    },
    /// An exception passes.
    Exception(ExceptionFilter),
    /// A signal is delivered (Linux), by number.
    Signal(i32),
    /// A place in the code is reached.
    Breakpoint(Place),
    /// An image is mapped.
    ModuleLoad(Filter),
    /// An image is unmapped.
    ModuleUnload(Filter),
    /// A thread begins.
    ThreadStart,
    /// A thread ends.
    ThreadExit,
    /// The program writes a debug string.
    DebugString(Filter),
    /// The process is about to end, in whatever way; its memory still stands.
    Exit,
    /// At once.
    Now,
    /// At once, and again each time so long after the last dump was written.
    Every(Duration),
}

impl Condition {
    /// Whether something must be attached to the target for it, or armed in it.
    pub fn needs_attachment(&self) -> bool {
        !matches!(
            self,
            Condition::Holds { .. } | Condition::Now | Condition::Every(_)
        )
    }
}

/// A place in the code of a process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// `module!symbol` or `module!symbol+0x10`.
    Symbol {
        /// The module's file name; it holds no `!`.
        module: String,
        /// The symbol in it; not empty.
        symbol: String,
        /// Bytes behind the symbol.
        offset: u64,
    },
    /// An address: `0x7ff612340000`.
    Address(u64),
    /// Any way in which a program ends itself politely, or is ended from outside; no crash.
    Exit,
}
