//! Triggers sorted into kinds, each with a word that programs can rely on.

use super::Trigger;
use crate::{Condition, Gauge, Level};
use std::fmt::{self, Display, Formatter};

/// The kind of a trigger: one word in JSON and in records. `TRIGGER` in the name of a dump is made
/// from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerKind {
    /// A dump was asked for at once.
    Manual,
    /// CPU time of the process.
    Cpu,
    /// Private, resident or virtual memory.
    Memory,
    /// The number of threads.
    Threads,
    /// The number of open descriptors (Linux) or handles (Windows).
    Handles,
    /// A counter of the system.
    Counter,
    /// A target that does not answer.
    Hang,
    /// A page that answers too slowly or not at all.
    Http,
    /// Time alone (`every 30s`).
    Time,
    /// An exception, or a signal that is a fault.
    Exception,
    /// A signal that is not a fault.
    Signal,
    /// A breakpoint.
    Breakpoint,
    /// An image that was mapped or unmapped.
    Module,
    /// A thread that began or ended.
    Thread,
    /// A debug string.
    DebugString,
    /// The end of the process.
    Exit,
}

impl Trigger {
    /// Its kind. Of several levels that hold together, the first decides.
    pub fn kind(&self) -> TriggerKind {
        match self {
            Self::Manual => TriggerKind::Manual,
            Self::Level { condition, .. } => level_kind(condition),
            Self::Every(_) => TriggerKind::Time,
            Self::Exception(_) => TriggerKind::Exception,
            Self::Signal { .. } => TriggerKind::Signal,
            Self::Breakpoint { .. } => TriggerKind::Breakpoint,
            Self::ModuleLoad(_) | Self::ModuleUnload(_) => TriggerKind::Module,
            Self::ThreadStart(_) | Self::ThreadExit(_) => TriggerKind::Thread,
            Self::DebugString(_) => TriggerKind::DebugString,
            Self::Exit { .. } => TriggerKind::Exit,
        }
    }
}

impl TriggerKind {
    /// The word for it in JSON and in records: `cpu`, `memory`, `exception` …
    pub const fn word(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Threads => "threads",
            Self::Handles => "handles",
            Self::Counter => "counter",
            Self::Hang => "hang",
            Self::Http => "http",
            Self::Time => "time",
            Self::Exception => "exception",
            Self::Signal => "signal",
            Self::Breakpoint => "breakpoint",
            Self::Module => "module",
            Self::Thread => "thread",
            Self::DebugString => "debug-string",
            Self::Exit => "exit",
        }
    }
}

impl Display for TriggerKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

fn level_kind(condition: &Condition) -> TriggerKind {
    let Condition::Holds { all, .. } = condition else {
        return TriggerKind::Manual;
    };
    match all.first() {
        Some(Level::Compare { gauge, .. }) => match gauge {
            Gauge::Cpu | Gauge::CoreCpu | Gauge::CpuOfLimit => TriggerKind::Cpu,
            Gauge::Memory
            | Gauge::MemoryOfLimit
            | Gauge::Rss
            | Gauge::RssAndSwap
            | Gauge::Virtual => TriggerKind::Memory,
            Gauge::Threads => TriggerKind::Threads,
            Gauge::Handles => TriggerKind::Handles,
            Gauge::Counter(_) => TriggerKind::Counter,
        },
        Some(Level::Hang) => TriggerKind::Hang,
        Some(Level::Http { .. }) => TriggerKind::Http,
        None => TriggerKind::Manual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::Exception;

    fn kind_of(when: &str) -> TriggerKind {
        let condition = crate::parse_when(when).unwrap().remove(0);
        let values = vec![1.0];
        Trigger::Level { condition, values }.kind()
    }

    #[test]
    fn a_trigger_has_a_word_whatever_it_says() {
        assert_eq!(kind_of("cpu > 1%"), TriggerKind::Cpu);
        assert_eq!(kind_of("rss > 1MiB and threads > 1"), TriggerKind::Memory);
        assert_eq!(kind_of("hang for 5s"), TriggerKind::Hang);
        let exception = Exception {
            name: "cpu".to_owned(),
            thread: 7,
            ..Exception::default()
        };
        let trigger = Trigger::Exception(exception);
        assert_eq!(trigger.kind().word(), "exception");
        assert_eq!(trigger.thread(), Some(7));
    }
}
