use crate::Time;
use std::time::Duration;

/// A figure that can be sampled of a process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// CPU time used so far.
    Cpu,
    /// Private commit: `RssAnon + VmSwap` on Linux, `PrivateUsage` on Windows.
    Memory,
    /// Resident memory (working set).
    Rss,
    /// Address space.
    Virtual,
    /// Threads.
    Threads,
    /// Open descriptors or handles.
    Handles,
    /// A named counter of the system, under its opaque path.
    Counter(String),
    /// Whether the target hangs (1) or not (0).
    Hang,
    /// Milliseconds that an HTTP probe of this URL took (infinite: no answer).
    Http(String),
}

/// Raw figures of one process at one time; what was not asked for is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Time,
    /// CPU time the process has used since it started, all threads, user and kernel.
    pub cpu: Option<Duration>,
    /// The other measures: sizes in bytes, counts, finished counter values.
    pub values: Vec<(Measure, f64)>,
}

impl Sample {
    /// The value of `measure`, if it was sampled. CPU is cumulative seconds.
    pub fn value(&self, measure: &Measure) -> Option<f64> {
        match measure {
            Measure::Cpu => self.cpu.map(|cpu| cpu.as_secs_f64()),
            other => self
                .values
                .iter()
                .find(|(m, _)| m == other)
                .map(|(_, v)| *v),
        }
    }
}
