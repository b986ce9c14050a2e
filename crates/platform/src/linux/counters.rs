//! Counters: what a Linux administrator would look up, and Windows' own names for what both have.
//!
//! A path is `FILE[:KEY[.PART]][/s]`. FILE lies under `/proc` or `/sys`; `/proc/PID/…` is the
//! target's own, `cgroup/…` lies in the target's control group (v2, else the v1 controller that
//! the file's name begins with). KEY names a line (`MemAvailable`, `some`) or a column (`2`),
//! PART a part of the line (`avg10`). `/s` makes a rate of it.

use super::proc::{ProcDir, machine, stat::Stat, status};
use snapshot::{ProcessKey, Time};
use std::{collections::HashMap, fs, path::PathBuf};

/// Counters and what they were when last read, for rates.
#[derive(Default)]
pub(crate) struct Counters {
    last: HashMap<(ProcessKey, String), (Time, f64)>,
    /// `name#N`, resolved once: the N-th of that name then stands for it.
    instances: HashMap<String, Option<u32>>,
}

/// Counters that are listed; any other file of `/proc` and `/sys` can be named too.
pub(crate) const KNOWN: [(&str, &str); 40] = [
    (
        r"\Process(*)\% Processor Time",
        "CPU of the process, of one processor",
    ),
    (r"\Process(*)\Private Bytes", "private memory"),
    (r"\Process(*)\Working Set", "resident memory"),
    (r"\Process(*)\Virtual Bytes", "address space"),
    (r"\Process(*)\Thread Count", "threads"),
    (r"\Process(*)\Handle Count", "open descriptors"),
    (r"\Process(*)\ID Process", "pid"),
    (r"\Processor(_Total)\% Processor Time", "CPU of the machine"),
    (
        "/proc/PID/io:rchar/s",
        "bytes read by system calls, a second",
    ),
    (
        "/proc/PID/io:wchar/s",
        "bytes written by system calls, a second",
    ),
    (
        "/proc/PID/io:read_bytes/s",
        "bytes read from disks, a second",
    ),
    (
        "/proc/PID/io:write_bytes/s",
        "bytes written to disks, a second",
    ),
    ("/proc/PID/stat:10/s", "minor page faults, a second"),
    ("/proc/PID/stat:12/s", "major page faults, a second"),
    (
        "/proc/PID/status:voluntary_ctxt_switches/s",
        "context switches, a second",
    ),
    (
        "/proc/PID/status:nonvoluntary_ctxt_switches/s",
        "preemptions, a second",
    ),
    ("/proc/PID/status:VmSwap", "swapped memory"),
    ("/proc/PID/status:VmPeak", "largest address space so far"),
    ("/proc/PID/status:VmHWM", "largest resident memory so far"),
    ("/proc/PID/oom_score", "the out-of-memory killer's score"),
    ("cgroup/memory.current", "memory of the control group"),
    ("cgroup/memory.stat:anon", "its anonymous memory"),
    ("cgroup/memory.events:oom_kill", "out-of-memory kills in it"),
    (
        "cgroup/memory.usage_in_bytes",
        "memory of the control group (v1)",
    ),
    (
        "cgroup/cpu.stat:usage_usec/s",
        "CPU microseconds of the control group, a second",
    ),
    (
        "cgroup/cpu.stat:nr_throttled/s",
        "periods in which it was throttled, a second",
    ),
    (
        "cgroup/cpu.pressure:some.avg10",
        "share of time some task waited for CPU, %",
    ),
    (
        "cgroup/memory.pressure:some.avg10",
        "share of time some task waited for memory, %",
    ),
    (
        "cgroup/io.pressure:some.avg10",
        "share of time some task waited for disks, %",
    ),
    ("cgroup/pids.current", "tasks of the control group"),
    ("/proc/pressure/cpu:some.avg10", "the same for the machine"),
    (
        "/proc/pressure/memory:full.avg10",
        "share of time all tasks waited for memory, %",
    ),
    (
        "/proc/pressure/io:full.avg10",
        "share of time all tasks waited for disks, %",
    ),
    ("/proc/loadavg:1", "load of the last minute"),
    (
        "/proc/meminfo:MemAvailable",
        "memory that can be had without swapping",
    ),
    ("/proc/meminfo:Dirty", "memory waiting to be written"),
    ("/proc/stat:procs_running", "runnable tasks"),
    (
        "/proc/stat:ctxt/s",
        "context switches of the machine, a second",
    ),
    (
        "/proc/vmstat:pgmajfault/s",
        "major page faults of the machine, a second",
    ),
    ("/proc/sys/fs/file-nr:1", "open files of the machine"),
];

impl Counters {
    /// The value of a counter now; a rate needs two readings, so that its first is nothing.
    pub(crate) fn read(
        &mut self,
        dir: &ProcDir,
        path: &str,
        stat: &Stat,
        now: Time,
    ) -> Option<f64> {
        if let Some(rest) = path.strip_prefix('\\') {
            return self.windows(dir, rest, stat, now);
        }
        let (plain, rate) = match path.strip_suffix("/s") {
            Some(plain) => (plain, true),
            None => (path, false),
        };
        let value = look_up(dir, plain)?;
        if rate {
            self.rate(dir.key, path, value, now)
        } else {
            Some(value)
        }
    }

    /// Forgets a process that is gone.
    pub(crate) fn forget(&mut self, key: ProcessKey) {
        self.last.retain(|(process, _), _| *process != key);
    }

    /// Growth a second since the last reading; one that fell began anew.
    fn rate(&mut self, key: ProcessKey, path: &str, value: f64, now: Time) -> Option<f64> {
        let (then, before) = self.last.insert((key, path.to_owned()), (now, value))?;
        let seconds = now.since(then).as_secs_f64();
        (seconds > 0.0 && value >= before).then(|| (value - before) / seconds)
    }

    fn windows(&mut self, dir: &ProcDir, path: &str, stat: &Stat, now: Time) -> Option<f64> {
        let (object, counter) = path.rsplit_once('\\')?;
        let (object, instance) = object.strip_suffix(')')?.split_once('(')?;
        match object.to_ascii_lowercase().as_str() {
            "processor" if counter.eq_ignore_ascii_case("% processor time") => {
                let busy = busy_share_of_machine()?;
                let rate = self.rate(ProcessKey::default(), path, busy, now)?;
                Some((rate * 100.0).min(100.0))
            }
            "process" => {
                let other = self.instance(dir, instance, stat)?;
                let dir = other.as_ref().unwrap_or(dir);
                let stat = dir.stat().ok()?;
                self.process_counter(dir, counter, path, &stat, now)
            }
            _ => None,
        }
    }

    fn process_counter(
        &mut self,
        dir: &ProcDir,
        counter: &str,
        path: &str,
        stat: &Stat,
        now: Time,
    ) -> Option<f64> {
        let status_text = || dir.read("status").ok();
        match counter.to_ascii_lowercase().as_str() {
            "% processor time" => {
                let used = machine::ticks_to_duration(stat.user_ticks + stat.kernel_ticks);
                self.rate(dir.key, path, used.as_secs_f64() * 100.0, now)
            }
            "private bytes" => Some(status::private(&status_text()?) as f64),
            "working set" => status::bytes(&status_text()?, "VmRSS").map(|bytes| bytes as f64),
            "virtual bytes" => Some(stat.virtual_bytes as f64),
            "thread count" => Some(f64::from(stat.threads)),
            "handle count" => dir.descriptors().map(|count| count as f64),
            "id process" => Some(f64::from(dir.key.pid)),
            _ => None,
        }
    }

    /// The process that an instance means: the target where its own name (or `*`) is given, else
    /// the N-th of that name, looked up once. `Some(None)` is the target.
    fn instance(&mut self, dir: &ProcDir, instance: &str, stat: &Stat) -> Option<Option<ProcDir>> {
        let (name, number) = match instance.rsplit_once('#') {
            Some((name, number)) => (name, Some(number.parse::<usize>().ok()?)),
            None => (instance, None),
        };
        if number.is_none() && (name == "*" || is_named(dir, stat, name)) {
            return Some(None);
        }
        let pid = *self
            .instances
            .entry(instance.to_owned())
            .or_insert_with(|| nth_of_name(name, number.unwrap_or(0)));
        ProcDir::open_pid(pid?).ok().map(Some)
    }
}

fn is_named(dir: &ProcDir, stat: &Stat, name: &str) -> bool {
    let bare = |name: &str| {
        name.to_ascii_lowercase()
            .trim_end_matches(".exe")
            .to_owned()
    };
    let exe = dir.link("exe").unwrap_or_default();
    let exe = exe.strip_suffix(" (deleted)").unwrap_or(&exe);
    let started_as = super::facts::strings(&dir.read("cmdline").unwrap_or_default());
    let own = super::facts::name_of(exe, &stat.comm, &started_as);
    bare(&own) == bare(name) || bare(&stat.comm) == bare(name)
}

/// The pid of the N-th process of that name, in the order of pids.
pub(crate) fn nth_of_name(name: &str, number: usize) -> Option<u32> {
    let proc = rustix::fs::open(
        "/proc",
        rustix::fs::OFlags::RDONLY,
        rustix::fs::Mode::empty(),
    );
    let pids = numbers_in_proc(proc.ok()?);
    let named = pids.into_iter().filter(|&pid| {
        let dir = ProcDir::open_pid(pid as u32);
        dir.is_ok_and(|dir| dir.stat().is_ok_and(|stat| is_named(&dir, &stat, name)))
    });
    named.map(|pid| pid as u32).nth(number)
}

fn numbers_in_proc(proc: std::os::fd::OwnedFd) -> Vec<i32> {
    super::proc::numbers_in(&proc, ".").unwrap_or_default()
}

/// Busy time of all processors so far, in seconds a processor (`/proc/stat`, line `cpu`: user,
/// nice, system, idle, iowait, irq, softirq, steal).
fn busy_share_of_machine() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> = text
        .lines()
        .next()?
        .split_ascii_whitespace()
        .skip(1)
        .filter_map(|t| t.parse().ok())
        .collect();
    let busy: u64 = ticks.iter().take(8).sum::<u64>() - ticks.get(3)? - ticks.get(4)?;
    let cpus = text
        .lines()
        .filter(|line| line.starts_with("cpu"))
        .count()
        .max(2)
        - 1;
    Some(busy as f64 / machine::ticks() as f64 / cpus as f64)
}

/// A value in a file; `None` where there is no such thing.
fn look_up(dir: &ProcDir, path: &str) -> Option<f64> {
    let (file, key) = match path.split_once(':') {
        Some((file, key)) => (file, Some(key)),
        None => (path, None),
    };
    let text = read(dir, file)?;
    match key {
        None => first_number(text.split_ascii_whitespace()),
        Some(key) => find(&text, key),
    }
}

fn read(dir: &ProcDir, file: &str) -> Option<String> {
    if file.split('/').any(|part| part == "..") {
        return None;
    }
    if let Some(own) = file.strip_prefix("/proc/PID/") {
        return String::from_utf8(dir.read(own).ok()?).ok();
    }
    if let Some(name) = file.strip_prefix("cgroup/") {
        return fs::read_to_string(cgroup_folder(dir, name)?.join(name)).ok();
    }
    (file.starts_with("/proc/") || file.starts_with("/sys/"))
        .then(|| fs::read_to_string(file).ok())?
}

/// Where the target's control group shows the file: the unified hierarchy (v2), else the v1
/// controller that the file's name begins with (`memory.usage_in_bytes` → memory).
fn cgroup_folder(dir: &ProcDir, name: &str) -> Option<PathBuf> {
    let text = String::from_utf8(dir.read("cgroup").ok()?).ok()?;
    let line = |wanted: &dyn Fn(&str) -> bool| {
        text.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let controllers = fields.nth(1)?;
            wanted(controllers).then(|| fields.next().map(str::to_owned))?
        })
    };
    let controller = name.split('.').next()?;
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let unified = line(&|controllers| controllers.is_empty());
    let folders = unified
        .into_iter()
        .flat_map(|path| roots.map(|root| join(root, &path)));
    let v1 = line(&|controllers| controllers.split(',').any(|c| c == controller));
    let v1 = v1.map(|path| join(&format!("/sys/fs/cgroup/{controller}"), &path));
    folders.chain(v1).find(|folder| folder.join(name).exists())
}

fn join(root: &str, path: &str) -> PathBuf {
    PathBuf::from(format!("{root}{path}"))
}

/// `MemAvailable`, `some.avg10`, `anon`, or the number of a column of the first line.
pub(crate) fn find(text: &str, key: &str) -> Option<f64> {
    if let Ok(column) = key.parse::<usize>() {
        // A process's own name in `stat` may hold blanks: columns count after it.
        let (skipped, rest) = match text.rfind(')') {
            Some(close) => (2, &text[close + 1..]),
            None => (0, text),
        };
        let at = column.checked_sub(skipped + 1)?;
        return rest.split_ascii_whitespace().nth(at)?.parse().ok();
    }
    let (name, part) = match key.split_once('.') {
        Some((name, part)) => (name, Some(part)),
        None => (key, None),
    };
    text.lines().find_map(|line| {
        let mut words = line.split([' ', '\t', ':']).filter(|word| !word.is_empty());
        if words.next()? != name {
            return None;
        }
        let rest: Vec<&str> = words.collect();
        match part {
            Some(part) => rest
                .iter()
                .find_map(|word| word.strip_prefix(part)?.strip_prefix('=')?.parse().ok()),
            None if rest.last() == Some(&"kB") => {
                first_number(rest.into_iter()).map(|n| n * 1024.0)
            }
            None => first_number(rest.into_iter()),
        }
    })
}

fn first_number<'w>(mut words: impl Iterator<Item = &'w str>) -> Option<f64> {
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_line_by_part_and_by_column() {
        let pressure = "some avg10=1.25 avg60=0.00 total=9\nfull avg10=0.50 avg60=0.00 total=3\n";
        assert_eq!(find(pressure, "full.avg10"), Some(0.5));
        assert_eq!(
            find("MemTotal: 10 kB\nMemAvailable:   4 kB\n", "MemAvailable"),
            Some(4096.0)
        );
        assert_eq!(
            find("usage_usec 77\nnr_throttled 3\n", "nr_throttled"),
            Some(3.0)
        );
        assert_eq!(find("1.50 0.70 0.30 1/99 123\n", "1"), Some(1.5));
        assert_eq!(find("9 (a b) c) S 1 2 3\n", "4"), Some(1.0));
        assert_eq!(find("x 1", "y"), None);
    }

    #[test]
    fn every_listed_counter_is_well_formed() {
        for (path, what) in KNOWN {
            let file = path.trim_end_matches("/s").split(':').next().unwrap_or("");
            let known = [r"\Process", "/proc/", "/sys/", "cgroup/"];
            assert!(known.iter().any(|start| file.starts_with(start)), "{path}");
            assert!(!what.is_empty());
        }
    }

    #[test]
    fn g2_a_counter_that_falls_gives_no_rate() {
        let mut counters = Counters::default();
        let key = ProcessKey { pid: 1, start: 1 };
        assert_eq!(counters.rate(key, "x", 10.0, Time::from_secs(1)), None);
        assert_eq!(
            counters.rate(key, "x", 30.0, Time::from_secs(3)),
            Some(10.0)
        );
        assert_eq!(counters.rate(key, "x", 5.0, Time::from_secs(4)), None);
        assert_eq!(counters.rate(key, "x", 6.0, Time::from_secs(5)), Some(1.0));
    }
}
