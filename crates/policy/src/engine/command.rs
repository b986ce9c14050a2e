use super::{DumpId, RuleId};
use crate::{Chance, ExceptionFilter, Filter, Place, Trigger, Window};
use snapshot::{DumpKind, Exception, Measure, ProcessKey, TargetEvent, Time};
use std::time::Duration;

/// What the loop has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// From now on, sample this of a process so often; replaces what was said before. Nothing to
    /// measure: stop.
    Sample {
        /// Of which process.
        process: ProcessKey,
        /// What, sorted.
        measures: Vec<Measure>,
        /// How often.
        every: Duration,
    },
    /// Sample a process once more, now: a condition may have held long enough.
    SampleNow(ProcessKey),
    /// From now on, attach to a process as far as these events need it; replaces what was said
    /// before.
    Attach {
        /// To which process.
        process: ProcessKey,
        /// What has to be reported.
        wake: WakeFor,
    },
    /// Nothing of a process has to be reported any more.
    Detach(ProcessKey),
    /// Take a dump. The answer is [`Event::DumpFinished`](super::Event::DumpFinished).
    Dump(DumpRequest),
    /// Put the stack of the thread, or of all threads where none is named, into the log.
    LogStack(Note),
    /// Put the exception into the log.
    LogException(Note),
    /// Start a program.
    Run {
        /// Its path, then its arguments, with blanks between them.
        program: String,
        /// Why.
        note: Note,
    },
    /// A trigger that did nothing.
    Suppressed(Suppressed),
    /// A line for people: `Exception: E0434352.CLR`.
    Log {
        /// About which process.
        process: ProcessKey,
        /// Without control characters, whatever the target put into its strings.
        text: String,
    },
    /// First-chance exceptions come too fast; or no longer do.
    Storm {
        /// In which process.
        process: ProcessKey,
        /// Begins: count them where they happen, and report one a second. Or it is over.
        active: bool,
        /// Exceptions in the last second.
        rate: u32,
    },
    /// All exceptions of a process that is gone, most frequent first.
    Exceptions {
        /// Which process.
        process: ProcessKey,
        /// One row for each name.
        table: Vec<ExceptionCount>,
    },
    /// A rule will never do anything any more.
    RuleFinished {
        /// Which.
        rule: RuleId,
        /// Why.
        why: Finish,
        /// Dumps it has written.
        dumps: u32,
    },
}

/// A dump that is to be taken.
#[derive(Clone, Debug, PartialEq)]
pub struct DumpRequest {
    /// What its end is reported under.
    pub id: DumpId,
    /// Of which process.
    pub process: ProcessKey,
    /// What it holds: one file of each kind, smallest first.
    pub kinds: Vec<DumpKind>,
    /// Why.
    pub trigger: Trigger,
    /// By which rule.
    pub rule: RuleId,
    /// By which of its clauses, from 0.
    pub clause: usize,
    /// By which condition of that clause, from 0; in a series, by the one that began it.
    pub condition: usize,
    /// The how-many-th dump of the rule this is, from 1; one that failed is not counted.
    pub number: u32,
    /// Another dump of the same process that is still being written: this one comes after it, and
    /// the target stays at its event until then.
    pub behind: Option<DumpId>,
}

/// Why something is done that is no dump.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// To which process.
    pub process: ProcessKey,
    /// By which rule.
    pub rule: RuleId,
    /// By which of its clauses, from 0.
    pub clause: usize,
    /// Why.
    pub trigger: Trigger,
}

/// A trigger that did nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Suppressed {
    /// In which process.
    pub process: ProcessKey,
    /// By which rule.
    pub rule: RuleId,
    /// By which of its clauses, from 0.
    pub clause: usize,
    /// What happened.
    pub trigger: Trigger,
    /// Why nothing was done.
    pub why: Why,
    /// How often in a row; said at the 1st, 10th, 100th … time.
    pub times: u64,
}

/// Why a trigger did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The clause has done what it may.
    ClauseLimit(u32),
    /// The rule has its dumps.
    RuleLimit(u32),
    /// Too many dumps in too short a time.
    Window(Window),
    /// A dump of the process is still being written.
    Busy,
    /// The last dump failed; the next is tried when this much time has passed.
    Resting(Duration),
    /// Exceptions come too fast to look at each.
    Storm,
}

/// Why a rule is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It has done all that it may.
    CountReached,
    /// Its process is gone.
    TargetExited,
    /// Its process may not be touched.
    Refused,
    /// There was one thing to do, and it went wrong.
    Failed,
    /// It was taken away.
    Removed,
}

/// What of an attached process has to be reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WakeFor {
    /// Exceptions that one of these filters [wakes for](ExceptionFilter::wakes_for).
    pub exceptions: Vec<ExceptionFilter>,
    /// Signals, by number.
    pub signals: Vec<i32>,
    /// Places, with the number they are reported under.
    pub breakpoints: Vec<(u32, Place)>,
    /// Modules that are mapped and that one of these filters lets pass.
    pub module_loads: Vec<Filter>,
    /// Modules that are unmapped.
    pub module_unloads: Vec<Filter>,
    /// Threads that begin.
    pub thread_starts: bool,
    /// Threads that end.
    pub thread_exits: bool,
    /// Debug strings that one of these filters lets pass.
    pub debug_strings: Vec<Filter>,
    /// The end of the process, while its memory still stands.
    pub exit: bool,
    /// Something is done at one of these, for which the process has to stand.
    pub acts: bool,
}

impl WakeFor {
    /// Whether an exception has to be reported.
    pub fn wakes_for(&self, exception: &Exception) -> bool {
        self.exceptions
            .iter()
            .any(|filter| filter.wakes_for(exception))
    }

    /// Whether exceptions are wanted before any handler has seen them.
    pub fn wants_first_chance(&self) -> bool {
        let unhandled = |filter: &ExceptionFilter| filter.chance == Chance::Unhandled;
        !self.exceptions.iter().all(unhandled)
    }

    /// Whether any exception that nobody handles has to be reported.
    pub fn wants_unhandled(&self) -> bool {
        let mut filters = self.exceptions.iter();
        filters.any(|filter| filter.chance != Chance::First)
    }

    /// Whether anything is to be done at an exception, but to show it.
    pub fn acts_on_exception(&self, exception: &Exception) -> bool {
        let mut filters = self.exceptions.iter();
        self.acts && filters.any(|filter| filter.matches(exception))
    }

    /// Whether anything is to be done at a debug string, but to show it.
    pub fn acts_on(&self, debug_string: &str) -> bool {
        let mut filters = self.debug_strings.iter();
        self.acts && filters.any(|filter| filter.passes(debug_string))
    }

    /// Whether the end of the process has to be reported.
    pub fn wants_end(&self) -> bool {
        let ends = self
            .breakpoints
            .iter()
            .any(|(_, place)| *place == Place::Exit);
        self.exit || ends
    }

    /// Whether two exceptions of one type may be judged differently, for what they say.
    pub fn reads_messages(&self) -> bool {
        self.exceptions.iter().any(ExceptionFilter::reads_messages)
    }

    /// Whether an image that comes or goes has to be reported.
    pub fn wants_module(&self, event: &TargetEvent) -> bool {
        let passes =
            |filters: &[Filter], path: &str| filters.iter().any(|filter| filter.passes_path(path));
        match event {
            TargetEvent::ModuleLoad { path, .. } => passes(&self.module_loads, path),
            TargetEvent::ModuleUnload { path, .. } => passes(&self.module_unloads, path),
            _ => false,
        }
    }

    /// Whether nothing has to be reported.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How often an exception was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionCount {
    /// `CODE.NAME`, without the message.
    pub name: String,
    /// How often, at either chance.
    pub count: u64,
    /// How often of these it was the last moment.
    pub unhandled: u64,
    /// When first.
    pub first: Time,
    /// When last.
    pub last: Time,
}
