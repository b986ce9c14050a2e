//! What goes into the engine: the facts that rules are judged by.

use crate::Identity;
use snapshot::{ProcessKey, Sample, TargetEvent};
use std::{fmt, time::Duration};

/// The settings of a [`RuleSet`](super::RuleSet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The number of processors of the machine, which `cpu` is a percentage of; at least 1.
    pub cpus: u32,
    /// The time between two samples of a process (`--poll`).
    pub poll: Duration,
    /// If a process has more first-chance exceptions a second than this, they are only counted.
    pub storm: u32,
}

impl Settings {
    /// The defaults: a sample every second, and a storm above 1,000 exceptions a second.
    pub const fn new(cpus: u32) -> Self {
        Self {
            cpus,
            poll: Duration::from_secs(1),
            storm: 1000,
        }
    }
}

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// This process was found running when the machine was searched.
    Found(Identity),
    /// This process has just started, or has become another program by exec.
    Started(Identity),
    /// This process has ended.
    Exited(ProcessKey),
    /// This process cannot be watched: the system denies access to it, a debugger has it, or following
    /// it failed. Its rules stop watching it, and a rule about this one process is over.
    Refused(ProcessKey),
    /// The values that were sampled of a process.
    Sample(ProcessKey, Sample),
    /// Something that an attached process did.
    Target(ProcessKey, TargetEvent),
    /// First-chance exceptions that were only counted during a storm: each name with its count.
    Counted(ProcessKey, Vec<(String, u64)>),
    /// A dump that was requested has ended.
    DumpFinished {
        /// The id from its [`DumpRequest`](super::DumpRequest).
        id: DumpId,
        /// Whether it was written.
        outcome: Outcome,
    },
    /// The deadline has come, or time has passed for another reason.
    Tick,
}

/// How a dump ended. The end of every dump that was requested must be reported: until then it counts
/// against the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was written and is stored.
    Written,
    /// It failed, with this message. It does not count, and may be tried again after a pause.
    Failed(String),
    /// It was given up, with this reason (timeout, user, end of the target). It does not count.
    Cancelled(String),
    /// It was not begun, as too many dumps of the process were being copied and its thread must not stand for those. It does
    /// not count.
    Skipped,
}

/// Identifies a rule of a [`RuleSet`](super::RuleSet). No number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// Identifies a dump that a [`RuleSet`](super::RuleSet) requested. No number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DumpId(pub u64);

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for DumpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
