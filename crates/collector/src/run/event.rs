use crate::{Step, Written};
use platform::{Error, HostEvent};
use policy::DumpId;
use snapshot::{EndStatus, Exception, ProcessKey, TargetEvent};
use std::time::{Duration, Instant};

/// Everything that a [`Runner`](super::Runner) is told, by whomever.
pub(super) enum Event {
    /// The machine reports a process that ended or started.
    Host(HostEvent),
    /// The thread that follows a process reports.
    Follower(FollowerId, FollowerEvent),
    /// A dump moved on.
    Step(DumpId, ProcessKey, Step),
    /// A dump is over, whole or not. Each dump that was ordered brings this once, or that it was skipped.
    DumpFinished(Finished),
    /// A dump was not begun, as too many of the process are being copied: the other answer to an order.
    DumpSkipped(DumpId, ProcessKey),
    /// The stack that was asked for of this process. Each request brings this once.
    Stack(ProcessKey, Vec<String>),
    /// A program that a rule has started is over. Each that was started brings this once.
    Program(ProgramEnded),
    /// Somebody outside gives an order through [`RunnerHandle`](super::RunnerHandle).
    Order(OutsideOrder),
}

/// One following of one process: the next one of the same process has another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FollowerId {
    pub(super) key: ProcessKey,
    pub(super) number: u64,
}

/// What the thread that follows a process reports.
pub(super) enum FollowerEvent {
    /// Everything that could be had is armed.
    Armed,
    /// What could not be had, or what it costs, in sentences.
    Notice(Vec<String>),
    /// The process did this, and stands until it is let go on, unless it is gone. With the time when the kernel reported it,
    /// where that is known.
    Did(TargetEvent, Option<Instant>),
    /// The process did this and goes on: nothing is to be done but to show it. With the time as above.
    Seen(TargetEvent, Option<Instant>),
    /// The process dies of this exception, which was seen, and which no filter wants.
    LeftOut(Exception),
    /// Exceptions that went by without being looked at, by name.
    Counted(Vec<(String, u64)>),
    /// Where the first exception of a name came from.
    FirstStack { name: String, frames: Vec<String> },
    /// The process is followed no more, or could not be; the last report of each follower.
    Ended(Option<Error>),
}

/// An order from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutsideOrder {
    /// End the run.
    Cancel,
    /// Look at the time: it has gone on. A simulated clock has no other way to tell.
    Look,
}

/// A dump that is over.
pub(super) struct Finished {
    pub(super) id: DumpId,
    pub(super) process: ProcessKey,
    pub(super) number: u32,
    pub(super) dumps: Vec<Written>,
    pub(super) error: Option<Error>,
}

/// A program that was started for an event of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) process: ProcessKey,
    /// Its own pid.
    pub(super) pid: u32,
    /// Its command line.
    pub(super) text: String,
}

/// How a program has ended.
pub(super) struct ProgramEnded {
    pub(super) program: Program,
    pub(super) status: Option<EndStatus>,
    pub(super) took: Duration,
    pub(super) last_line: String,
}
