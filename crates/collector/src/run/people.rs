//! What is told to people.

use crate::{Step, Written};
use platform::Error;
use policy::{ClauseStatus, Command, Finish, RuleId, Suppressed};
use snapshot::ProcessKey;
use std::sync::Arc;

/// Something that happened.
#[derive(Debug)]
pub enum Happening {
    /// A process is monitored from now on.
    Watching(ProcessKey),
    /// Everything that could be had is armed in a process that is attached.
    Armed(ProcessKey),
    /// A monitored process is gone; its status where we started it.
    Exited {
        /// Which.
        process: ProcessKey,
        /// Its exit code, or minus the signal.
        status: Option<i32>,
    },
    /// A trigger fired, and a dump begins.
    Trigger {
        /// In which process.
        process: ProcessKey,
        /// Why.
        reason: String,
    },
    /// A dump moved on.
    Step(Step),
    /// A request for dumps is over; what was written.
    Dumped(Vec<Arc<Written>>),
    /// A dump failed.
    DumpFailed {
        /// Its number.
        number: u32,
        /// Why.
        error: String,
    },
    /// A trigger did nothing, and why.
    Suppressed(Suppressed),
    /// A rule is over.
    RuleFinished {
        /// Which.
        rule: RuleId,
        /// Why.
        why: Finish,
        /// Dumps it has written.
        dumps: u32,
    },
    /// How every condition stands; as often as was asked for.
    Status(Vec<ClauseStatus>),
    /// What of a process cannot be seen, or what seeing it costs, in sentences.
    Lacking {
        /// Of which.
        process: ProcessKey,
        /// One sentence each.
        lines: Vec<String>,
    },
    /// A stack that was asked for.
    Stack {
        /// Of which process.
        process: ProcessKey,
        /// A line for each thread and frame.
        lines: Vec<String>,
    },
    /// Any other command of the rules that is only for people.
    Command(Box<Command>),
    /// Something else failed.
    Failed(String),
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// Dumps that were written whole.
    pub dumps: u32,
    /// By Ctrl-C or a signal.
    pub cancelled: bool,
    /// By `firstchance cancel`.
    pub cancelled_by_pid: bool,
    /// The last failure.
    pub failure: Option<Error>,
}
