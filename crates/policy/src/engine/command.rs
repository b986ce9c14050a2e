//! What comes out of the engine: what the loop has to do, and what people are told.

use super::{DumpId, RuleId, WakeFor};
use crate::{Trigger, Window};
use snapshot::{DumpKind, Measure, ProcessKey, Time};
use std::time::Duration;

/// Something that the loop has to do or to show.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// From now on, report the end of a process as [`Event::Exited`](super::Event::Exited): a rule is about it.
    Watch(ProcessKey),
    /// From now on, sample these values of a process at this interval. Replaces the last such command for
    /// the process. Without values, stop.
    Sample {
        /// The process.
        process: ProcessKey,
        /// The values, sorted.
        measures: Vec<Measure>,
        /// The time between two samples.
        every: Duration,
    },
    /// Sample a process now, besides its regular samples: a condition may have held long enough.
    SampleNow(ProcessKey),
    /// From now on, report these events of a process, and attach to it as far as they need it. Replaces
    /// the last such command for the process.
    Attach {
        /// The process.
        process: ProcessKey,
        /// The events to report.
        wake: WakeFor,
    },
    /// No event of a process has to be reported any more.
    Detach(ProcessKey),
    /// Take a dump, and report its end as [`Event::DumpFinished`](super::Event::DumpFinished).
    Dump(DumpRequest),
    /// Show what met a condition; nothing else is done.
    Tell(Note),
    /// Show the stack of the trigger's thread, or of all threads if the trigger names none.
    LogStack(Note),
    /// Show the exception.
    LogException(Note),
    /// Start a program.
    Run {
        /// The path of the program and its arguments, separated by blanks.
        program: String,
        /// The reason.
        note: Note,
    },
    /// Show that a trigger did nothing.
    Suppressed(Suppressed),
    /// Show a line: `Exception: E0434352.CLR`.
    Log {
        /// The process that it is about.
        process: ProcessKey,
        /// The line, without control characters even if the target's own strings have some.
        text: String,
    },
    /// First-chance exceptions come too fast to judge each (a storm), or no longer do.
    Storm {
        /// The process.
        process: ProcessKey,
        /// `true` if the storm begins: from now on, count exceptions where they happen and report one a
        /// second. `false` if it is over.
        active: bool,
        /// The number of exceptions in the last second.
        rate: u32,
    },
    /// Show all exceptions of a process that has ended.
    Exceptions {
        /// The process.
        process: ProcessKey,
        /// One row for each name, most frequent first.
        table: Vec<ExceptionCount>,
    },
    /// A rule is over: it will not do anything any more.
    RuleFinished {
        /// The rule.
        rule: RuleId,
        /// Why it is over.
        why: FinishReason,
        /// The number of dumps that it has written.
        dumps: u32,
    },
}

/// A dump that the loop has to take.
#[derive(Clone, Debug, PartialEq)]
pub struct DumpRequest {
    /// Identifies the dump when its end is reported.
    pub id: DumpId,
    /// The process to dump.
    pub process: ProcessKey,
    /// The kinds of dump to write, one file each, smallest first.
    pub kinds: Vec<DumpKind>,
    /// Why it is done: what met the condition.
    pub trigger: Trigger,
    /// The rule that asks for it.
    pub rule: RuleId,
    /// The index of the clause in its rule.
    pub clause: usize,
    /// The index, in its clause, of the condition that was met; in a series, of the condition that began
    /// the series.
    pub condition: usize,
    /// The number of this dump among those of its rule, from 1. Failed dumps are not counted.
    pub number: u32,
    /// Its number among those of its rule of the same process.
    pub number_of_process: u32,
    /// Another dump of the same process that is still being written. This one begins when that one has
    /// ended, and until then the target stands still at its event.
    pub behind: Option<DumpId>,
}

/// An action that is no dump, and why it is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// The process that it is about.
    pub process: ProcessKey,
    /// The rule that asks for it.
    pub rule: RuleId,
    /// The index of the clause in its rule.
    pub clause: usize,
    /// Why it is done: what met the condition.
    pub trigger: Trigger,
}

/// A trigger that did nothing, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Suppressed {
    /// The process in which it happened.
    pub process: ProcessKey,
    /// The rule whose condition was met.
    pub rule: RuleId,
    /// The index of the clause in its rule.
    pub clause: usize,
    /// What happened.
    pub trigger: Trigger,
    /// Why nothing was done.
    pub why: SuppressReason,
    /// How often this has happened in a row. Only the 1st, 10th, 100th … time is reported.
    pub times: u64,
}

/// Why a trigger did nothing. Its text says it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuppressReason {
    /// The clause has acted this often, which is its limit.
    ClauseLimit(u32),
    /// The rule has taken this many dumps, which is its limit.
    RuleLimit(u32),
    /// The rule has taken as many dumps as it may in this time; when the next one may begin, if ever.
    Window(Window, Option<Duration>),
    /// A dump of the same process is still being written.
    Busy,
    /// As many dumps of the same process as may be are being copied; when it is tried again at the earliest.
    Copying(Duration),
    /// The action that just begins for another condition of the clause is one for this as well.
    Together,
    /// The last dump failed, and nothing is tried before this time has passed.
    Resting(Duration),
    /// Exceptions come too fast to judge each of them.
    Storm,
}

/// Why a rule is over. Its text says it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// It has acted as often as its limits allow.
    CountReached,
    /// Its process has ended.
    TargetExited,
    /// The system denies access to its process.
    Refused,
    /// It could act only once, and that failed.
    Failed,
    /// It was removed.
    Removed,
}

/// How often an exception has come in a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionCount {
    /// `CODE.NAME`, without the message.
    pub name: String,
    /// How often it came, first chance and second chance together.
    pub count: u64,
    /// How often nobody handled it (second chance).
    pub unhandled: u64,
    /// When it came first.
    pub first: Time,
    /// When it came last.
    pub last: Time,
}
