//! The block of lines that ProcDump shows before it watches a process. Scripts read it, so that it must have
//! the same lines, labels and columns.

use super::{Dialect, Monitor, names};
use policy::{Chance, Comparison, Condition, ExceptionFilter, Gauge, Level, Match, Target};
use std::fmt::Write;

/// The lines before a process is watched, without ProcDump's banner. `name` and `pid` are those of the process,
/// `image` is the path of its program, `folder` and `file` are the place of its dumps.
///
/// ProcDump does not show them for a dump that is taken at once (see [`Monitor::is_manual`]). ProcDump for Linux tells
/// before them how the run is ended, ProcDump for Windows behind them.
pub(crate) fn header(
    monitor: &Monitor,
    name: &str,
    pid: u32,
    image: &str,
    folder: &str,
    file: Option<&str>,
) -> String {
    let lines = match monitor.dialect {
        Dialect::Windows => windows(monitor, name, pid, image, folder, file),
        Dialect::Linux => linux(monitor, name, pid, folder, file),
    };
    let width = match monitor.dialect {
        Dialect::Windows => 23,
        Dialect::Linux => 40,
    };
    let mut text = String::new();
    for (label, value) in lines {
        let label = if label.is_empty() {
            String::new()
        } else {
            format!("{label}:")
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label:width$}{value}");
    }
    match monitor.dialect {
        Dialect::Windows => {
            text + "\nPress Ctrl-C to end monitoring without terminating the process.\n"
        }
        Dialect::Linux => text,
    }
}

/// Whether the lines are the same whichever process is watched: ProcDump for Linux shows them before it has found one.
pub(crate) fn is_of_several(monitor: &Monitor) -> bool {
    let is_named = !matches!(whom(monitor, "", 0), ("Process", _));
    monitor.dialect == Dialect::Linux && is_named
}

/// Labels and their values. A line without a label continues the one before.
type Lines = Vec<(&'static str, String)>;

fn windows(
    monitor: &Monitor,
    name: &str,
    pid: u32,
    image: &str,
    folder: &str,
    file: Option<&str>,
) -> Lines {
    let facts = Facts(monitor);
    let mut lines = vec![
        ("Process", format!("{name} ({pid})")),
        ("Process image", image.to_owned()),
        ("CPU threshold", facts.cpu()),
        ("Performance counter", facts.counters()),
        ("Commit threshold", facts.memory()),
        ("Threshold seconds", facts.seconds()),
        (
            "Hung window check",
            enabled(facts.any(|c| is_level(c, &Level::Hang))),
        ),
        ("Log debug strings", enabled(monitor.debug_strings)),
        ("Exception monitor", facts.exceptions().to_owned()),
    ];
    lines.extend(facts.filters());
    lines.extend([
        (
            "Terminate monitor",
            enabled(facts.any(|c| *c == Condition::Exit)),
        ),
        ("Cloning type", facts.cloning().to_owned()),
        ("Concurrent limit", or_none(monitor.clones)),
        ("Avoid outage", facts.avoid_outage().to_owned()),
        ("Number of dumps", facts.dumps().to_string()),
        ("Dump folder", with_separator(folder)),
        (
            "Dump filename/mask",
            file.unwrap_or(names::default(monitor.rule.is_about_several()))
                .to_owned(),
        ),
        ("Queue to WER", enabled(monitor.windows.wer)),
        ("Kill after dump", enabled(monitor.kill_after)),
    ]);
    lines
}

fn linux(monitor: &Monitor, name: &str, pid: u32, folder: &str, file: Option<&str>) -> Lines {
    let facts = Facts(monitor);
    let poll = monitor.poll.map_or(1000, |poll| poll.as_millis());
    let mut lines = vec![
        whom(monitor, name, pid),
        ("CPU Threshold", facts.cpu_plain()),
        ("Commit Threshold", facts.memory_plain()),
        ("Thread Threshold", facts.plain(&Gauge::Threads)),
        ("File Descriptor Threshold", facts.plain(&Gauge::Handles)),
        // Refused as not built yet, so that they never have a value.
        ("GC Generation", "n/a".to_owned()),
        ("Resource tracking", "n/a".to_owned()),
        ("Resource tracking sample rate", "n/a".to_owned()),
        (facts.signal_label(), facts.signals()),
        ("Exception monitor", facts.exceptions_plain().to_owned()),
    ];
    lines.extend(facts.filters_plain());
    lines.extend([
        ("Polling Interval (ms)", poll.to_string()),
        ("Threshold (s)", monitor.seconds.to_string()),
        ("Number of Dumps", facts.dumps().to_string()),
        ("Output directory", folder.to_owned()),
    ]);
    if let Some(file) = file {
        lines.push(("Custom name for core dumps", format!("{file}_<counter>")));
    }
    lines
}

/// The line that says which processes are watched.
fn whom(monitor: &Monitor, name: &str, pid: u32) -> (&'static str, String) {
    match &monitor.rule.target {
        Target::Group(group) => ("Process Group", group.to_string()),
        Target::Name(name) if monitor.wait => ("Process Name", name.clone()),
        _ => ("Process", format!("{name} ({pid})")),
    }
}

/// The values of the lines, from the rule.
struct Facts<'a>(&'a Monitor);

impl Facts<'_> {
    /// The number of dumps in all: each threshold of a list takes one.
    fn dumps(&self) -> u32 {
        let limits = self.0.rule.clauses.iter().filter_map(|clause| clause.limit);
        limits.map(|limit| limit.times).sum()
    }

    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.0.rule.clauses.iter().flat_map(|clause| &clause.when)
    }

    fn any(&self, wanted: impl Fn(&Condition) -> bool) -> bool {
        self.conditions().any(wanted)
    }

    /// The thresholds for the gauges that `wanted` selects.
    fn thresholds(&self, wanted: impl Fn(&Gauge) -> bool) -> Vec<(&Gauge, Comparison, f64)> {
        let mut found = Vec::new();
        for condition in self.conditions() {
            let Condition::Holds { all, .. } = condition else {
                continue;
            };
            for level in all {
                match level {
                    Level::Compare {
                        gauge,
                        comparison,
                        threshold,
                    } if wanted(gauge) => {
                        found.push((gauge, *comparison, *threshold));
                    }
                    _ => {}
                }
            }
        }
        found
    }

    fn cpu(&self) -> String {
        let cpu = self.thresholds(|g| matches!(g, Gauge::Cpu | Gauge::CoreCpu));
        listed(cpu.iter().map(|(gauge, sign, percent)| {
            let of = if **gauge == Gauge::Cpu {
                "system"
            } else {
                "single core"
            };
            format!("{sign} {percent}% of {of}")
        }))
    }

    fn cpu_plain(&self) -> String {
        let cpu = self.thresholds(|g| matches!(g, Gauge::Cpu | Gauge::CoreCpu));
        listed(
            cpu.iter()
                .map(|(_, sign, percent)| format!("{sign} {percent}%")),
        )
    }

    fn memory(&self) -> String {
        let memory = self.memory_thresholds();
        listed(memory.iter().map(|(sign, size)| format!("{sign} {size}")))
    }

    /// The sign once, before the list, unless there are several.
    fn memory_plain(&self) -> String {
        let memory = self.memory_thresholds();
        if memory.iter().any(|(sign, _)| *sign != memory[0].0) {
            return self.memory();
        }
        let sign = memory.first().map(|(sign, _)| format!("{sign} "));
        let sizes = memory.into_iter().map(|(_, size)| size);
        sign.unwrap_or_default() + &listed_by(",", sizes)
    }

    fn memory_thresholds(&self) -> Vec<(Comparison, String)> {
        let memory = self.thresholds(|g| matches!(g, Gauge::Memory | Gauge::RssAndSwap));
        let megabytes = |bytes: f64| format!("{} MB", bytes / (1u64 << 20) as f64);
        let memory = memory.into_iter();
        memory
            .map(|(_, sign, bytes)| (sign, megabytes(bytes)))
            .collect()
    }

    fn counters(&self) -> String {
        let counters = self.thresholds(|g| matches!(g, Gauge::Counter(_)));
        listed(counters.iter().map(|(gauge, sign, number)| match gauge {
            Gauge::Counter(path) => format!("{path} {sign} {number}"),
            _ => String::new(),
        }))
    }

    fn plain(&self, gauge: &Gauge) -> String {
        let thresholds = self.thresholds(|g| g == gauge);
        listed(thresholds.iter().map(|(_, _, number)| number.to_string()))
    }

    fn seconds(&self) -> String {
        match self.thresholds(|_| true).is_empty() {
            true => "n/a".to_owned(),
            false => self.0.seconds.to_string(),
        }
    }

    fn signal_label(&self) -> &'static str {
        match self.any(|c| matches!(c, Condition::Signal(_))) {
            true => "Signal(s)",
            false => "Signal",
        }
    }

    fn signals(&self) -> String {
        let signals = self.conditions().filter_map(|condition| match condition {
            Condition::Signal(number) => Some(number.to_string()),
            _ => None,
        });
        listed_by(",", signals)
    }

    fn exception(&self) -> Option<&ExceptionFilter> {
        self.conditions().find_map(|condition| match condition {
            Condition::Exception(filter) => Some(filter),
            _ => None,
        })
    }

    fn exceptions(&self) -> &'static str {
        match self.exception().map(|filter| filter.chance) {
            None => "Disabled",
            Some(Chance::Unhandled) => "Unhandled",
            Some(Chance::Any) => "First Chance+Unhandled",
            Some(Chance::First) => "First Chance",
        }
    }

    fn exceptions_plain(&self) -> &'static str {
        if self.exception().is_some() {
            "On"
        } else {
            "n/a"
        }
    }

    /// The lines for `-f` and `-fx` of ProcDump for Linux.
    fn filters_plain(&self) -> Lines {
        let Some(filter) = self.exception() else {
            return Vec::new();
        };
        let include = texts(&filter.include).join(",");
        let include = Some(include).filter(|text| !text.is_empty());
        let exclude = texts(&filter.exclude).join(",");
        let exclude = Some(exclude).filter(|text| !text.is_empty());
        let included = ("Exception filter", include.unwrap_or("n/a".to_owned()));
        let excluded = exclude.map(|text| ("Exclude filter", text));
        [included].into_iter().chain(excluded).collect()
    }

    /// The lines for `-f` and `-fx`, at least four. With `-f ""`, which shows everything and dumps nothing,
    /// ProcDump says that everything is included and excluded.
    fn filters(&self) -> Lines {
        let Some(filter) = self.exception() else {
            return Vec::new();
        };
        let mut include = texts(&filter.include);
        let mut exclude = texts(&filter.exclude);
        let shows = include.iter().any(String::is_empty);
        include.retain(|text| !text.is_empty());
        if include.is_empty() {
            include.push("*".to_owned());
            exclude.extend(shows.then(|| "*".to_owned()));
        }
        let line = |text| ("", text);
        let mut lines = vec![("Exception filter", "[Includes]".to_owned())];
        lines.extend(include.into_iter().map(line));
        lines.push(line("[Excludes]".to_owned()));
        lines.extend(exclude.into_iter().map(line));
        lines
    }

    fn cloning(&self) -> &'static str {
        if self.0.clones.is_some() {
            "Clone"
        } else {
            "Disabled"
        }
    }

    fn avoid_outage(&self) -> &'static str {
        match self.0.clones {
            None => "n/a",
            Some(_) if self.0.rule.limits.avoid_outage => "Enabled",
            Some(_) => "Disabled",
        }
    }
}

/// Filters as they were given.
fn texts(filters: &[Match]) -> Vec<String> {
    let text = |m: &Match| match m {
        Match::Text(pattern) => pattern.text().to_owned(),
        other => other.to_string(),
    };
    filters.iter().map(text).collect()
}

fn is_level(condition: &Condition, wanted: &Level) -> bool {
    matches!(condition, Condition::Holds { all, .. } if all.contains(wanted))
}

fn enabled(on: bool) -> String {
    if on { "Enabled" } else { "Disabled" }.to_owned()
}

fn or_none(number: Option<u32>) -> String {
    number.map_or("n/a".to_owned(), |number| number.to_string())
}

fn listed(items: impl Iterator<Item = String>) -> String {
    listed_by(", ", items)
}

fn listed_by(separator: &str, items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() {
        "n/a".to_owned()
    } else {
        items.join(separator)
    }
}

fn with_separator(folder: &str) -> String {
    let separator = if folder.contains('\\') { '\\' } else { '/' };
    match folder.ends_with(['/', '\\']) {
        true => folder.to_owned(),
        false => format!("{folder}{separator}"),
    }
}
