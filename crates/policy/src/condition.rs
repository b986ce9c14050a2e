//! When a rule acts.

use crate::{ExceptionFilter, Filter, Level};
use snapshot::Measure;
use std::time::Duration;

/// When a rule acts. The printed text is the condition in the rule language, and can be parsed again to
/// the same value.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Levels that hold together for some time: `cpu > 85% and threads > 10 for 10s`.
    Holds {
        /// The levels, at least one, which all have to hold.
        all: Vec<Level>,
        /// How long they have to hold without a break. If zero, one sample is enough.
        lasting: Duration,
    },
    /// An exception that passes the filter is raised.
    Exception(ExceptionFilter),
    /// The signal with this number is delivered (Linux).
    Signal(i32),
    /// A thread reaches this place in the code.
    Breakpoint(Place),
    /// A module whose path passes the filter is mapped.
    ModuleLoad(Filter),
    /// A module whose path passes the filter is unmapped.
    ModuleUnload(Filter),
    /// A thread of the process begins.
    ThreadStart,
    /// A thread of the process ends.
    ThreadExit,
    /// The program writes a debug string that passes the filter (Linux: a line on standard error).
    DebugString(Filter),
    /// The process is about to end, in whatever way, while its memory still exists.
    Exit,
    /// Is met at once.
    Now,
    /// Is met at once, and again each time this long after the last dump was written.
    Every(Duration),
}

impl Condition {
    /// What has to be sampled to judge the condition; nothing for one that is not made of levels.
    pub fn measures(&self) -> Vec<Measure> {
        match self {
            Condition::Holds { all, .. } => all.iter().flat_map(Level::measures).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the condition needs an attachment to the process, or something armed in it. Levels and
    /// timers do not.
    pub fn needs_attachment(&self) -> bool {
        !matches!(
            self,
            Condition::Holds { .. } | Condition::Now | Condition::Every(_)
        )
    }
}

/// A place in the code of a process, for a breakpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// `module!symbol` or `module!symbol+0x10`.
    Symbol {
        /// The file name of the module, without `!`.
        module: String,
        /// The name of a symbol in the module; not empty.
        symbol: String,
        /// The number of bytes from the symbol to the place.
        offset: u64,
    },
    /// An address: `0x7ff612340000`.
    Address(u64),
    /// Every way in which a process ends without a crash: it ends itself, or is ended from outside.
    Exit,
}
