//! Levels: what can be true of a process for some time, such as `cpu > 85%`.

use crate::units;
use snapshot::Measure;
use std::{fmt, time::Duration};

/// Something that can be true for some time. It is sampled at intervals, without an attachment to the
/// process.
#[derive(Clone, Debug, PartialEq)]
pub enum Level {
    /// A measured value is on one side of a threshold.
    Compare {
        /// What is measured.
        gauge: Gauge,
        /// The side of the threshold that the value has to be on.
        comparison: Comparison,
        /// The threshold, in the gauge's [`Unit`]; finite.
        threshold: f64,
    },
    /// The process does not answer.
    Hang,
    /// An HTTP request takes too long.
    Http {
        /// The address that is requested.
        url: String,
        /// The level holds if the answer takes longer than this.
        slower_than: Duration,
    },
}

impl Level {
    /// What has to be sampled to judge the level: the value itself first.
    pub fn measures(&self) -> Vec<Measure> {
        match self {
            Level::Compare { gauge, .. } => gauge.measures(),
            Level::Hang => vec![Measure::Hang],
            Level::Http { url, .. } => vec![Measure::Http(url.clone())],
        }
    }

    /// Whether the level holds with `value`: in the gauge's unit for a comparison; 1 for a hang; in
    /// milliseconds for an HTTP request.
    pub fn holds(&self, value: f64) -> bool {
        match self {
            Level::Compare {
                comparison,
                threshold,
                ..
            } => comparison.holds(value, *threshold),
            Level::Hang => value >= 1.0,
            Level::Http { slower_than, .. } => value > slower_than.as_secs_f64() * 1000.0,
        }
    }

    /// A value of the level as a person reads it: `97%`, `2.1GiB`, `no answer`.
    pub fn show(&self, value: f64) -> String {
        match self {
            Level::Compare { gauge, .. } => gauge.unit().show(value),
            Level::Hang if value >= 1.0 => "hangs".to_owned(),
            Level::Hang => "answers".to_owned(),
            Level::Http { .. } if value.is_infinite() => "no answer".to_owned(),
            Level::Http { .. } => format!("{value:.0}ms"),
        }
    }
}

/// A measured value that a threshold can be set for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Gauge {
    /// CPU time, as a percentage of all processors: 100 % is the whole machine (ProcDump's `-c`).
    Cpu,
    /// CPU time, as a percentage of one processor: two busy threads use 200 % (`-c` with `-u`).
    CoreCpu,
    /// CPU time of the process, as a percentage of what its control group lets it have: its quota of processors.
    CpuOfLimit,
    /// The process's own memory, in RAM or swapped out (ProcDump's commit, `-m`): what it shares with others
    /// counts in part, as [`Measure::Memory`] says.
    Memory,
    /// What the control group of the process uses of its limit of memory, in percent. It is the use of the
    /// whole group, because that is what the kernel kills for, whichever of its processes has grown.
    MemoryOfLimit,
    /// Resident memory, shared pages included.
    Rss,
    /// Resident memory, shared pages included, and what is swapped out (`-m` of ProcDump for Linux).
    RssAndSwap,
    /// The size of the address space.
    Virtual,
    /// The number of threads.
    Threads,
    /// The number of open descriptors (Linux) or handles (Windows).
    Handles,
    /// A counter of the system, by name (ProcDump's `-p`).
    Counter(String),
}

impl Gauge {
    /// The gauges that are written as one word, with that word.
    pub const WORDS: [(&'static str, Gauge); 8] = [
        ("cpu", Gauge::Cpu),
        ("core-cpu", Gauge::CoreCpu),
        ("memory", Gauge::Memory),
        ("rss", Gauge::Rss),
        ("rss+swap", Gauge::RssAndSwap),
        ("virtual", Gauge::Virtual),
        ("threads", Gauge::Threads),
        ("handles", Gauge::Handles),
    ];

    /// The unit of the gauge's thresholds and values.
    pub fn unit(&self) -> Unit {
        match self {
            Gauge::Cpu | Gauge::CoreCpu | Gauge::CpuOfLimit | Gauge::MemoryOfLimit => Unit::Percent,
            Gauge::Memory | Gauge::Rss | Gauge::RssAndSwap | Gauge::Virtual => Unit::Bytes,
            Gauge::Threads | Gauge::Handles => Unit::Count,
            Gauge::Counter(_) => Unit::Number,
        }
    }

    /// The gauge of which this one is a part of the limit: `cpu` for `cpu … of limit`.
    pub(crate) fn limited(&self) -> Option<Gauge> {
        match self {
            Gauge::CpuOfLimit => Some(Gauge::Cpu),
            Gauge::MemoryOfLimit => Some(Gauge::Memory),
            _ => None,
        }
    }

    /// The same gauge as a part of the limit, if it has one.
    pub(crate) fn of_limit(&self) -> Option<Gauge> {
        let all = [Gauge::CpuOfLimit, Gauge::MemoryOfLimit];
        all.into_iter()
            .find(|gauge| gauge.limited().as_ref() == Some(self))
    }

    fn measures(&self) -> Vec<Measure> {
        match self {
            Gauge::CpuOfLimit => vec![Measure::Cpu, Measure::CpuLimit],
            other => vec![other.measure()],
        }
    }

    fn measure(&self) -> Measure {
        match self {
            Gauge::Cpu | Gauge::CoreCpu | Gauge::CpuOfLimit => Measure::Cpu,
            Gauge::MemoryOfLimit => Measure::MemoryOfLimit,
            Gauge::Memory => Measure::Memory,
            Gauge::Rss => Measure::Rss,
            Gauge::RssAndSwap => Measure::RssAndSwap,
            Gauge::Virtual => Measure::Virtual,
            Gauge::Threads => Measure::Threads,
            Gauge::Handles => Measure::Handles,
            Gauge::Counter(path) => Measure::Counter(path.clone()),
        }
    }
}

/// The unit of a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Percent.
    Percent,
    /// Bytes, printed with a unit of size.
    Bytes,
    /// A whole number of things, such as threads.
    Count,
    /// The unit of the counter, which is not known here.
    Number,
}

impl Unit {
    /// Prints a threshold exactly: `85%`, `2GiB`, `10000`.
    pub(crate) fn print(self, value: f64) -> String {
        match self {
            Unit::Percent => format!("{value}%"),
            Unit::Bytes => units::print_size(value as u64),
            Unit::Count | Unit::Number => value.to_string(),
        }
    }

    /// Prints a measured value, rounded as a person wants it: `97%`, `2.13GiB`.
    fn show(self, value: f64) -> String {
        let step = |name, size: u64| format!("{:.2}{name}", value / size as f64);
        match self {
            Unit::Percent if value < 10.0 => format!("{value:.1}%"),
            Unit::Percent => format!("{value:.0}%"),
            Unit::Bytes if value >= (1u64 << 30) as f64 => step("GiB", 1 << 30),
            Unit::Bytes if value >= (1u64 << 20) as f64 => step("MiB", 1 << 20),
            Unit::Bytes => step("KiB", 1 << 10),
            Unit::Count | Unit::Number => ((value * 100.0).round() / 100.0).to_string(),
        }
    }
}

/// A side of a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// At or above it: `>=`.
    AtLeast,
    /// Above it: `>`.
    Above,
    /// At or below it: `<=`.
    AtMost,
    /// Below it: `<`.
    Below,
}

impl Comparison {
    /// All four. A sign comes before a shorter sign that it begins with.
    pub const ALL: [Comparison; 4] = [
        Comparison::AtLeast,
        Comparison::Above,
        Comparison::AtMost,
        Comparison::Below,
    ];

    /// The sign of the comparison, as rules write it.
    pub const fn sign(self) -> &'static str {
        match self {
            Comparison::AtLeast => ">=",
            Comparison::Above => ">",
            Comparison::AtMost => "<=",
            Comparison::Below => "<",
        }
    }

    /// Whether `value` is on this side of `threshold`. NaN is on no side.
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Comparison::AtLeast => value >= threshold,
            Comparison::Above => value > threshold,
            Comparison::AtMost => value <= threshold,
            Comparison::Below => value < threshold,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sign())
    }
}
