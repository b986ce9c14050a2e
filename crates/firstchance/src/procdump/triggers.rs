//! Turns the switches for triggers into conditions.

use super::{
    Dialect, UsageError,
    arguments::{Arguments, hint_of_pid},
    numbers::{ANY, parsed, whole},
    switches::{Id, get},
};
use policy::{
    Chance, Comparison, Condition, ExceptionFilter, Filter, Gauge, Level, Match, Pattern,
};
use snapshot::{OperatingSystem, signal_number};
use std::time::Duration;

/// A window hangs if it has not answered for this long: the limit that Windows itself uses.
const HANG: Duration = Duration::from_secs(5);

/// The signal that no tracer is told of (ptrace(2)).
const SIGKILL: i32 = 9;

/// The switches of one command line, to be read as triggers.
pub(super) struct Triggers<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) dialect: Dialect,
    pub(super) system: OperatingSystem,
    /// How long a threshold has to be passed without a break.
    pub(super) lasting: Duration,
}

type Result<T> = std::result::Result<T, UsageError>;

impl Triggers<'_> {
    /// Returns the conditions that share the limit of `-n`, and those that take one dump each: the thresholds
    /// of a list (`-m 100,200,300`).
    pub(super) fn read(&self) -> Result<(Vec<Condition>, Vec<Condition>)> {
        let mut together = Vec::new();
        let mut each = Vec::new();
        for id in self.arguments.ids() {
            let conditions = self.of(id)?;
            let is_list = matches!(id, Id::Memory | Id::MemoryBelow | Id::GcMemory);
            match is_list && conditions.len() > 1 {
                true => each.extend(conditions),
                false => together.extend(conditions),
            }
        }
        Ok((together, each))
    }

    /// The conditions of one switch. Empty if it is no trigger.
    fn of(&self, id: Id) -> Result<Vec<Condition>> {
        use Comparison::{AtLeast, Below};
        let event = |condition| Ok(vec![condition]);
        match id {
            Id::Cpu => self.cpu(id, AtLeast),
            Id::CpuBelow => self.cpu(id, Below),
            Id::Memory => self.memory(id, AtLeast),
            Id::MemoryBelow => self.memory(id, Below),
            Id::Counter => self.counter(id, "", AtLeast),
            Id::CounterBelow => self.counter(id, "", Below),
            Id::DotnetCounter => self.counter(id, "dotnet:", AtLeast),
            Id::DotnetCounterBelow => self.counter(id, "dotnet:", Below),
            Id::Threads => self.count(id, Gauge::Threads),
            Id::Descriptors => self.count(id, Gauge::Handles),
            Id::Hang => event(Condition::Holds {
                all: vec![Level::Hang],
                lasting: HANG,
            }),
            Id::Exception => event(self.exception()),
            Id::ModuleLoad => event(Condition::ModuleLoad(self.filter())),
            Id::ModuleUnload => event(Condition::ModuleUnload(self.filter())),
            Id::ThreadStart => event(Condition::ThreadStart),
            Id::ThreadExit => event(Condition::ThreadExit),
            Id::DebugString => event(Condition::DebugString(self.filter())),
            Id::Exit => event(Condition::Exit),
            Id::Signal => self.signals(),
            Id::GcMemory => self.gc_memory(),
            Id::GcGeneration => self.gc_generation(),
            _ => Ok(Vec::new()),
        }
    }

    fn cpu(&self, id: Id, comparison: Comparison) -> Result<Vec<Condition>> {
        let core = self.arguments.has(Id::CoreOrUninstall) || self.dialect == Dialect::Linux;
        let percent: f64 = self.number(id, "a percentage")?;
        if percent < 0.0 {
            let message = format!(
                "-{} {percent}: a percentage cannot be below 0",
                get(id).name
            );
            return Err(UsageError(message));
        }
        if !core && percent > 100.0 {
            let message = format!(
                "-{} {percent}: all processors together have 100 %; -u counts in one processor",
                get(id).name
            );
            return Err(UsageError(message));
        }
        let gauge = if core { Gauge::CoreCpu } else { Gauge::Cpu };
        Ok(vec![self.level(gauge, comparison, percent)])
    }

    fn memory(&self, id: Id, comparison: Comparison) -> Result<Vec<Condition>> {
        let mebibytes = self.arguments.list(id).into_iter();
        let gauge = self.commit();
        let level = |text| Ok(self.level(gauge.clone(), comparison, mebibytes_of(id, text)?));
        mebibytes.map(level).collect()
    }

    /// What is called commit. ProcDump for Linux adds up the fields `rss` and `nswap` of `/proc/PID/stat`, of which
    /// the kernel fills in the first alone (proc_pid_stat(5)); the swapped pages that it means are in `status`.
    fn commit(&self) -> Gauge {
        match (self.dialect, self.system) {
            (Dialect::Linux, OperatingSystem::Linux) => Gauge::RssAndSwap,
            _ => Gauge::Memory,
        }
    }

    fn counter(&self, id: Id, prefix: &str, comparison: Comparison) -> Result<Vec<Condition>> {
        let values = self.arguments.values(id).unwrap_or_default();
        let [name, threshold] = values else {
            return Ok(Vec::new());
        };
        let hint = hint_of_pid(id, Some(name), self.dialect);
        let hinted = |UsageError(text)| UsageError(format!("{text}{hint}"));
        let threshold = parsed::<f64>(id, threshold, "a number").map_err(hinted)?;
        let gauge = Gauge::Counter(format!("{prefix}{name}"));
        Ok(vec![self.level(gauge, comparison, threshold)])
    }

    fn count(&self, id: Id, gauge: Gauge) -> Result<Vec<Condition>> {
        let given = self.arguments.value(id).unwrap_or_default();
        let count = whole(id, given, ANY, "a whole number")?;
        Ok(vec![self.level(
            gauge,
            Comparison::AtLeast,
            f64::from(count),
        )])
    }

    fn level(&self, gauge: Gauge, comparison: Comparison, threshold: f64) -> Condition {
        let level = Level::Compare {
            gauge,
            comparison,
            threshold,
        };
        Condition::Holds {
            all: vec![level],
            lasting: self.lasting,
        }
    }

    fn exception(&self) -> Condition {
        let any = self.arguments.value(Id::Exception).is_some();
        let chance = match (self.dialect, any) {
            (Dialect::Linux, _) => Chance::First,
            (Dialect::Windows, true) => Chance::Any,
            (Dialect::Windows, false) => Chance::Unhandled,
        };
        let Filter { include, exclude } = self.filter();
        let texts = |patterns: Vec<Pattern>| {
            let signals: Vec<_> = patterns.iter().filter_map(|p| self.signal_of(p)).collect();
            let all = patterns.into_iter().chain(signals);
            all.map(Match::Text).collect()
        };
        Condition::Exception(ExceptionFilter {
            chance,
            include: texts(include),
            exclude: texts(exclude),
        })
    }

    /// The name of the signal whose number is the filter: signals are printed by their names.
    fn signal_of(&self, filter: &Pattern) -> Option<Pattern> {
        let number = filter.text().parse().ok();
        let number = number.filter(|_| self.system == OperatingSystem::Linux)?;
        let name = snapshot::signal_name(number);
        signal_number(&name).map(|_| Pattern::new(name))
    }

    fn filter(&self) -> Filter {
        let patterns = |id| {
            let texts = self.arguments.list(id).into_iter();
            texts.map(|text| Pattern::new(without_0x(text))).collect()
        };
        Filter {
            include: patterns(Id::Include),
            exclude: patterns(Id::Exclude),
        }
    }

    fn signals(&self) -> Result<Vec<Condition>> {
        let signal = |text: &str| match signal_number(text.trim()) {
            Some(SIGKILL) => Err(UsageError(format!(
                "-sig {text}: the kernel lets nobody see SIGKILL before it ends the process; -t dumps at its end"
            ))),
            Some(number) => Ok(Condition::Signal(number)),
            None => Err(UsageError(format!("-sig {text}: not a signal"))),
        };
        self.arguments
            .list(Id::Signal)
            .into_iter()
            .map(signal)
            .collect()
    }

    fn gc_memory(&self) -> Result<Vec<Condition>> {
        let all = self.arguments.value(Id::GcMemory).unwrap_or_default();
        let (heap, list) = all.split_once(':').unwrap_or(("", all));
        let known = ["", "0", "1", "2", "LOH", "POH"];
        if !known.iter().any(|name| name.eq_ignore_ascii_case(heap)) {
            let message = format!("-gcm {all}: the heaps are 0, 1, 2, LOH and POH");
            return Err(UsageError(message));
        }
        let name = match heap {
            "" => "dotnet:gc-heap-size".to_owned(),
            heap => format!("dotnet:gc-heap-size[{}]", heap.to_uppercase()),
        };
        let level = |text| {
            let bytes = mebibytes_of(Id::GcMemory, text)?;
            Ok(self.level(Gauge::Counter(name.clone()), Comparison::AtLeast, bytes))
        };
        list.split(',').map(level).collect()
    }

    fn gc_generation(&self) -> Result<Vec<Condition>> {
        let id = Id::GcGeneration;
        let given = self.arguments.value(id).unwrap_or_default();
        let generation = whole(id, given, 0..=2, "a generation")?;
        let gauge = Gauge::Counter(format!("dotnet:gc-running[{generation}]"));
        let changes = [(Comparison::AtLeast, 1.0), (Comparison::Below, 1.0)];
        let changes = changes.map(|(comparison, n)| self.level(gauge.clone(), comparison, n));
        Ok(changes.into())
    }

    fn number<T: std::str::FromStr>(&self, id: Id, what: &str) -> Result<T> {
        parsed(id, self.arguments.value(id).unwrap_or_default(), what)
    }
}

fn mebibytes_of(id: Id, text: &str) -> Result<f64> {
    let mebibytes = whole(id, text.trim(), ANY, "a number of MiB")?;
    Ok((u64::from(mebibytes) << 20) as f64)
}

/// Removes `0x` from a code: exceptions are printed as `C0000005`, and a filter is looked for in the printed
/// text.
fn without_0x(text: &str) -> &str {
    let digits = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    let is_code = |d: &&str| !d.is_empty() && d.chars().all(|c| c.is_ascii_hexdigit());
    digits.filter(is_code).unwrap_or(text)
}
