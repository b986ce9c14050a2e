//! Counters by the paths that Windows has for them: `\Process(INSTANCE)\COUNTER`, `\Memory\COUNTER`.

use super::{
    counter_files::{busy_time_per_processor, look_up},
    counter_list::KNOWN,
    own_memory,
    proc::{ProcDir, machine, stat::Stat, status},
};

/// How a value is made of what files say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// The sum, times this.
    Times(f64),
    /// The growth of the sum in a second.
    PerSecond,
}
use Scale::{PerSecond, Times};

const IO_READ: &str = "/proc/PID/io:rchar";
const IO_WRITE: &str = "/proc/PID/io:wchar";
const IO_READS: &str = "/proc/PID/io:syscr";
const IO_WRITES: &str = "/proc/PID/io:syscw";
const AVAILABLE: &[&str] = &["/proc/meminfo:MemAvailable"];

/// Counters whose values files say, as they are named in [`counters`](super::counters): object, counter, and what is
/// added up. Those of a process that need more are in [`of_process`].
const OF_FILES: [(&str, &str, &[&str], Scale); 18] = [
    (
        "process",
        "io data bytes/sec",
        &[IO_READ, IO_WRITE],
        PerSecond,
    ),
    ("process", "io read bytes/sec", &[IO_READ], PerSecond),
    ("process", "io write bytes/sec", &[IO_WRITE], PerSecond),
    (
        "process",
        "io data operations/sec",
        &[IO_READS, IO_WRITES],
        PerSecond,
    ),
    ("process", "io read operations/sec", &[IO_READS], PerSecond),
    (
        "process",
        "io write operations/sec",
        &[IO_WRITES],
        PerSecond,
    ),
    (
        "process",
        "page faults/sec",
        &["/proc/PID/stat:10", "/proc/PID/stat:12"],
        PerSecond,
    ),
    (
        "process",
        "working set peak",
        &["/proc/PID/status:VmHWM"],
        Times(1.0),
    ),
    (
        "process",
        "virtual bytes peak",
        &["/proc/PID/status:VmPeak"],
        Times(1.0),
    ),
    ("memory", "available bytes", AVAILABLE, Times(1.0)),
    ("memory", "available kbytes", AVAILABLE, Times(1.0 / 1024.0)),
    (
        "memory",
        "available mbytes",
        AVAILABLE,
        Times(1.0 / 1_048_576.0),
    ),
    (
        "memory",
        "committed bytes",
        &["/proc/meminfo:Committed_AS"],
        Times(1.0),
    ),
    (
        "memory",
        "commit limit",
        &["/proc/meminfo:CommitLimit"],
        Times(1.0),
    ),
    (
        "memory",
        "page faults/sec",
        &["/proc/vmstat:pgfault"],
        PerSecond,
    ),
    (
        "system",
        "context switches/sec",
        &["/proc/stat:ctxt"],
        PerSecond,
    ),
    (
        "system",
        "processor queue length",
        &["/proc/stat:procs_running"],
        Times(1.0),
    ),
    ("system", "system up time", &["/proc/uptime:1"], Times(1.0)),
];

/// A path of Windows in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WindowsPath<'p> {
    pub(super) object: &'p str,
    /// What is in parentheses behind the object, if anything.
    pub(super) instance: Option<&'p str>,
    pub(super) counter: &'p str,
}

impl<'p> WindowsPath<'p> {
    /// Returns the parts of a path; `None` if it is none of Windows.
    pub(super) fn of(path: &'p str) -> Option<Self> {
        // The name of a process may have a parenthesis, a counter has none in its own.
        let (object, counter) = path.strip_prefix('\\')?.rsplit_once('\\')?;
        let (object, instance) = match object.strip_suffix(')') {
            Some(object) => {
                let (object, instance) = object.split_once('(')?;
                (object, Some(instance))
            }
            None => (object, None),
        };
        Some(Self {
            object,
            instance,
            counter,
        })
    }

    /// Returns whether it is about processes.
    pub(super) fn is_of_process(&self) -> bool {
        self.object.eq_ignore_ascii_case("process")
    }

    /// Returns whether it names a counter that Linux answers.
    pub(super) fn is_known(&self) -> bool {
        known().any(|known| {
            self.object.eq_ignore_ascii_case(known.object)
                && self.counter.eq_ignore_ascii_case(known.counter)
                && self.instance.is_some() == known.instance.is_some()
        })
    }

    /// Returns which known counter is the most like it: the one that has most of its words.
    pub(super) fn nearest(&self) -> Option<String> {
        let words = words_of(self);
        let likeness = |known: &WindowsPath<'_>| {
            let other = words_of(known);
            let same = words.iter().filter(|word| other.contains(word)).count();
            let of_object = known.object.eq_ignore_ascii_case(self.object);
            2 * (same + usize::from(of_object)) as isize - other.len() as isize
        };
        // The first of those that are alike.
        let best = known().map(|known| (likeness(&known), known));
        let best = best.reduce(|best, next| if next.0 > best.0 { next } else { best })?;
        Some(match best.1.instance {
            Some(instance) => format!(r"\{}({instance})\{}", best.1.object, best.1.counter),
            None => format!(r"\{}\{}", best.1.object, best.1.counter),
        })
    }

    /// Returns the files whose values are added up for it, and what is made of the sum.
    pub(super) fn files(&self) -> Option<(&'static [&'static str], Scale)> {
        let found = OF_FILES.iter().find(|(object, counter, ..)| {
            self.object.eq_ignore_ascii_case(object) && self.counter.eq_ignore_ascii_case(counter)
        })?;
        Some((found.2, found.3))
    }
}

/// The counters of Windows that are listed.
fn known() -> impl Iterator<Item = WindowsPath<'static>> {
    KNOWN.iter().filter_map(|(path, _)| WindowsPath::of(path))
}

fn words_of(path: &WindowsPath<'_>) -> Vec<String> {
    let both = format!("{} {}", path.object, path.counter).to_ascii_lowercase();
    let words = both.split(|c: char| !c.is_ascii_alphanumeric() && c != '%');
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// Returns the sum of what these files say of a process.
pub(super) fn sum(dir: &ProcDir, files: &[&str]) -> Option<f64> {
    files.iter().map(|file| look_up(dir, file).ok()).sum()
}

/// Returns the value of a counter of the machine that no file says as it is, and what is made of it.
pub(super) fn of_processors(counter: &str) -> Option<f64> {
    let is_busy = counter.eq_ignore_ascii_case("% processor time");
    is_busy.then(busy_time_per_processor)?
}

/// What a counter of a process says.
pub(super) enum OfProcess {
    /// The value itself.
    Value(f64),
    /// A sum, of which the growth in a second is the value.
    Sum(f64),
}

/// Returns the value of a counter of a process that no file says as it is.
pub(super) fn of_process(dir: &ProcDir, counter: &str, stat: &Stat) -> Option<OfProcess> {
    let status_text = || dir.read("status").ok();
    let percent = |ticks| OfProcess::Sum(machine::ticks_to_duration(ticks).as_secs_f64() * 100.0);
    let value = match &counter.to_ascii_lowercase()[..] {
        "% processor time" => return Some(percent(stat.user_ticks + stat.kernel_ticks)),
        "% user time" => return Some(percent(stat.user_ticks)),
        "% privileged time" => return Some(percent(stat.kernel_ticks)),
        "private bytes" => own_memory::own(dir, &status_text()?) as f64,
        "working set" => status::bytes(&status_text()?, "VmRSS")? as f64,
        "virtual bytes" => stat.virtual_bytes as f64,
        "thread count" => f64::from(stat.threads),
        "handle count" => dir.descriptors()? as f64,
        "id process" => f64::from(dir.key.pid),
        _ => return None,
    };
    Some(OfProcess::Value(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n48_a_path_has_parts_and_a_nearest_one() {
        let path = WindowsPath::of(r"\Process(a (b)_77)\IO Data Bytes/sec").expect("a path");
        assert_eq!(path.instance, Some("a (b)_77"));
        assert!(path.is_known() && path.files().is_some());
        assert_eq!(WindowsPath::of("/proc/meminfo:MemFree"), None);
        for (unknown, nearest) in [
            (r"\Memory\Available GBytes", r"\Memory\Available Bytes"),
            (
                r"\Process(x)\IO Other Bytes/sec",
                r"\Process(*)\IO Data Bytes/sec",
            ),
            (
                r"\Processor(_Total)\% User Time",
                r"\Processor(_Total)\% Processor Time",
            ),
            (r"\Process(x)\Thraed Count", r"\Process(*)\Thread Count"),
        ] {
            let path = WindowsPath::of(unknown).expect("a path");
            assert!(!path.is_known(), "{unknown}");
            assert_eq!(path.nearest().as_deref(), Some(nearest), "{unknown}");
        }
    }

    #[test]
    fn n48_every_counter_that_is_answered_is_listed() {
        for (object, counter, ..) in OF_FILES {
            let instance = (object == "process").then_some("*");
            let path = WindowsPath {
                object,
                instance,
                counter,
            };
            assert!(path.is_known(), "{object} {counter}");
        }
        assert!(known().all(|known| known.files().is_some() || known.instance.is_some()));
    }
}
