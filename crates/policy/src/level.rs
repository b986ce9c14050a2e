use crate::units;
use snapshot::Measure;
use std::{fmt, time::Duration};

/// Something that can be so for a while: it is polled, and nothing is attached for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Level {
    /// A figure stands above or below a threshold.
    Compare {
        /// Which figure.
        gauge: Gauge,
        /// On which side of the threshold it has to stand.
        comparison: Comparison,
        /// The threshold, in the gauge's [`Unit`]; finite.
        threshold: f64,
    },
    /// The target does not answer.
    Hang,
    /// An HTTP probe takes too long.
    Http {
        /// What is asked for.
        url: String,
        /// How long an answer may take.
        slower_than: Duration,
    },
}

impl Level {
    /// What has to be sampled for it.
    pub fn measure(&self) -> Measure {
        match self {
            Level::Compare { gauge, .. } => gauge.measure(),
            Level::Hang => Measure::Hang,
            Level::Http { url, .. } => Measure::Http(url.clone()),
        }
    }

    /// Whether `value` satisfies it: in the gauge's unit for a comparison, as sampled otherwise.
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

    /// A value of it as a person reads it: `97%`, `2.1GiB`, `no answer`.
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

/// A figure that a threshold can be set on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Gauge {
    /// CPU of all processors together: 100 % is the whole machine (ProcDump's `-c`).
    Cpu,
    /// CPU of one processor: a process with two busy threads has 200 % (`-c` with `-u`).
    CoreCpu,
    /// Private commit (`-m`).
    Memory,
    /// Resident memory.
    Rss,
    /// Address space.
    Virtual,
    /// Threads.
    Threads,
    /// Open descriptors or handles.
    Handles,
    /// A named counter of the system (`-p`).
    Counter(String),
}

impl Gauge {
    /// The gauges that are one word, with that word.
    pub const WORDS: [(&'static str, Gauge); 7] = [
        ("cpu", Gauge::Cpu),
        ("core-cpu", Gauge::CoreCpu),
        ("memory", Gauge::Memory),
        ("rss", Gauge::Rss),
        ("virtual", Gauge::Virtual),
        ("threads", Gauge::Threads),
        ("handles", Gauge::Handles),
    ];

    /// What its threshold is counted in.
    pub fn unit(&self) -> Unit {
        match self {
            Gauge::Cpu | Gauge::CoreCpu => Unit::Percent,
            Gauge::Memory | Gauge::Rss | Gauge::Virtual => Unit::Bytes,
            Gauge::Threads | Gauge::Handles => Unit::Count,
            Gauge::Counter(_) => Unit::Number,
        }
    }

    fn measure(&self) -> Measure {
        match self {
            Gauge::Cpu | Gauge::CoreCpu => Measure::Cpu,
            Gauge::Memory => Measure::Memory,
            Gauge::Rss => Measure::Rss,
            Gauge::Virtual => Measure::Virtual,
            Gauge::Threads => Measure::Threads,
            Gauge::Handles => Measure::Handles,
            Gauge::Counter(path) => Measure::Counter(path.clone()),
        }
    }
}

/// What a threshold is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Hundredths.
    Percent,
    /// Bytes.
    Bytes,
    /// Whole things.
    Count,
    /// Whatever the counter counts.
    Number,
}

impl Unit {
    /// A threshold, exactly: `85%`, `2GiB`, `10000`.
    pub(crate) fn print(self, value: f64) -> String {
        match self {
            Unit::Percent => format!("{value}%"),
            Unit::Bytes => units::print_size(value as u64),
            Unit::Count | Unit::Number => value.to_string(),
        }
    }

    /// A measured value, as exactly as a person wants it: `97%`, `2.13GiB`.
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

/// On which side of a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `>=`
    AtLeast,
    /// `>`
    Above,
    /// `<=`
    AtMost,
    /// `<`
    Below,
}

impl Comparison {
    /// All four, the longer sign before the shorter one that begins it.
    pub const ALL: [Comparison; 4] = [
        Comparison::AtLeast,
        Comparison::Above,
        Comparison::AtMost,
        Comparison::Below,
    ];

    /// Its sign.
    pub const fn sign(self) -> &'static str {
        match self {
            Comparison::AtLeast => ">=",
            Comparison::Above => ">",
            Comparison::AtMost => "<=",
            Comparison::Below => "<",
        }
    }

    /// Whether `value` stands on this side of `threshold`. What is no number stands on none.
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
