use crate::{Step, Written};
use platform::Error;
use policy::{ClauseStatus, ExceptionCount, FinishReason, RuleId, Suppressed, Trigger};
use snapshot::{EndStatus, ProcessKey, Time, WallTime};
use std::time::Instant;
use std::{sync::Arc, time::Duration};

/// Something that a run tells.
#[derive(Debug)]
pub enum RunEvent {
    /// A process is monitored from now on.
    Watching(ProcessKey),
    /// Everything that could be had is armed in a process.
    Armed(ProcessKey),
    /// From now on nothing is missed: the processes that there are have been looked at, and what
    /// has to be armed in them is.
    Effective,
    /// A monitored process is gone.
    Exited {
        /// Which.
        process: ProcessKey,
        /// How it ended, if that was seen.
        status: Option<EndStatus>,
    },
    /// A process of a rule had ended before it could be looked at.
    Missed {
        /// Its pid.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// So many processes that were to be followed had ended before anything could be armed in them: what they did, and
    /// what they died of, was not seen. It is told at the end.
    Unseen(u64),
    /// So many programs had ended before their names could be read: whether a rule was about one of them is not known. It is
    /// told at the end.
    Nameless(u64),
    /// Every rule about a process has done there what it was to do.
    Done(ProcessKey),
    /// A process may not be touched, or cannot be followed: no rule is about it any more.
    Refused {
        /// Which.
        process: ProcessKey,
        /// Why.
        error: Error,
    },
    /// A condition was met, and its action begins.
    Trigger {
        /// In which process.
        process: ProcessKey,
        /// What it was.
        trigger: Trigger,
    },
    /// A dump moved on.
    Step(Step),
    /// A request for dumps is over; what was written.
    Dumped(Vec<Arc<Written>>),
    /// A dump failed.
    DumpFailed {
        /// Its number.
        number: u32,
        /// Of which process.
        process: ProcessKey,
        /// Why.
        error: Error,
    },
    /// A trigger did nothing, and why.
    Suppressed(Suppressed),
    /// A rule is over.
    RuleFinished {
        /// Which.
        rule: RuleId,
        /// Why.
        why: FinishReason,
        /// Dumps that it has written.
        dumps: u32,
    },
    /// How every condition stands; as often as was asked for.
    Status(Vec<ClauseStatus>),
    /// What of a process cannot be seen, or what seeing it costs.
    Notice {
        /// Of which.
        process: ProcessKey,
        /// One sentence each.
        lines: Vec<String>,
    },
    /// What is not seen of any process, or not for a moment. One sentence.
    Remark(String),
    /// A line about a process: an exception that was met, what it wrote.
    Log {
        /// About which.
        process: ProcessKey,
        /// Without control characters.
        text: String,
        /// When the kernel reported what it is about, if that is known: it may have been looked at later.
        came: Option<Instant>,
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
    /// Exceptions come too fast to look at each, or no longer do.
    Storm {
        /// In which process.
        process: ProcessKey,
        /// Whether it begins.
        active: bool,
        /// Exceptions in the last second.
        rate: u32,
    },
    /// All exceptions of a process that is gone or left alone, most frequent first.
    Exceptions {
        /// In which process.
        process: ProcessKey,
        /// One row for each name.
        table: Vec<ExceptionRow>,
    },
    /// A program that a rule has started did something.
    Program {
        /// The process whose event it was started for.
        process: ProcessKey,
        /// The pid of the program.
        pid: u32,
        /// Its command line, as the rule has it.
        program: String,
        /// What it did.
        step: ProgramStep,
    },
    /// Something failed that concerns no dump: reading a figure, starting a program.
    Failed(Error),
}

/// What a program did that a rule has started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramStep {
    /// It was started.
    Started,
    /// It has ended.
    Ended {
        /// How, if that is known.
        status: Option<EndStatus>,
        /// How long it ran.
        took: Duration,
        /// The last line that it has written; empty if it has written none. All lines are in the debug log.
        last_line: String,
    },
    /// It still runs when the run ends, and goes on without us.
    GoesOn,
}

/// How often an exception came, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionRow {
    /// `CODE.NAME`, without the message.
    pub name: String,
    /// How often. One that is told at both chances counts once.
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
