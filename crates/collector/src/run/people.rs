//! What is told to people.

use crate::{Step, Written};
use platform::Error;
use policy::{ClauseStatus, Command, ExceptionCount, Finish, RuleId, Suppressed};
use snapshot::{ProcessKey, Time, WallTime};
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
    /// Where an exception came from when it came first.
    FirstStack {
        /// In which process.
        process: ProcessKey,
        /// The exception's name, as in the table of all.
        name: String,
        /// The innermost frames.
        frames: Vec<String>,
    },
    /// All exceptions of a process that is gone or left alone, most frequent first.
    Exceptions {
        /// In which process.
        process: ProcessKey,
        /// One row for each name.
        table: Vec<ExceptionRow>,
    },
    /// Any other command of the rules that is only for people.
    Command(Box<Command>),
    /// Something else failed.
    Failed(String),
}

/// How often an exception came, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionRow {
    /// `CODE.NAME`, without the message.
    pub name: String,
    /// How often, at either chance.
    pub count: u64,
    /// How often of these nobody handled it.
    pub unhandled: u64,
    /// When first.
    pub first: WallTime,
    /// When last.
    pub last: WallTime,
}

impl ExceptionRow {
    /// `now` is the same moment by the run's clock and by the calendar.
    pub(super) fn of(count: &ExceptionCount, now: (Time, WallTime)) -> Self {
        let at = |time: Time| WallTime(now.1.0 - now.0.since(time).as_nanos() as i64);
        Self {
            name: count.name.clone(),
            count: count.count,
            unhandled: count.unhandled,
            first: at(count.first),
            last: at(count.last),
        }
    }
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
