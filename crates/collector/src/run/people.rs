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
