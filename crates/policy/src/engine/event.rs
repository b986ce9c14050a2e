use crate::Identity;
use snapshot::{ProcessKey, Sample, TargetEvent};
use std::{fmt, time::Duration};

/// What a [`RuleSet`](super::RuleSet) has to know of the machine and of its own doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Processors that `cpu` is a percentage of; at least 1.
    pub cpus: u32,
    /// How often levels are sampled (`--poll`).
    pub poll: Duration,
    /// First-chance exceptions a second and process above which they are only counted.
    pub storm: u32,
}

impl Settings {
    /// Sampling every second, and a storm from 1,000 exceptions a second on.
    pub const fn new(cpus: u32) -> Self {
        Self {
            cpus,
            poll: Duration::from_secs(1),
            storm: 1000,
        }
    }
}

/// A fact that rules are judged by.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// This process was running when it was looked for first.
    Found(Identity),
    /// This process started while it was looked for, or became somebody else by exec.
    Started(Identity),
    /// This process is gone.
    Exited(ProcessKey),
    /// The system does not let us touch this process, and will not later either: no rule is about
    /// it any more. A rule about this one process is over.
    Refused(ProcessKey),
    /// What was sampled of a process.
    Sample(ProcessKey, Sample),
    /// What an attached process did.
    Target(ProcessKey, TargetEvent),
    /// First-chance exceptions that were only counted, during a storm: name and how many.
    Counted(ProcessKey, Vec<(String, u64)>),
    /// A dump that was asked for is over.
    DumpFinished {
        /// Which.
        id: DumpId,
        /// How it went.
        outcome: Outcome,
    },
    /// The deadline has come, or just time has passed.
    Tick,
}

/// How a dump went. Every dump that was asked for must be answered, so that counts and slots
/// cannot leak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored.
    Written,
    /// It is not, because of this; it does not count and may be tried again after a pause.
    Failed(String),
    /// It was given up on purpose (deadline, user, target gone); it does not count.
    Cancelled(String),
}

/// A rule of a [`RuleSet`](super::RuleSet), for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// A dump that a [`RuleSet`](super::RuleSet) asked for, for good.
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
