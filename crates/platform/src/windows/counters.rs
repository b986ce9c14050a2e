//! Performance counters: those of `\Process(…)` by our own sampler, all others by PDH
//! (<https://learn.microsoft.com/windows/win32/perfctrs/using-the-pdh-functions-to-consume-counter-data>).
//!
//! ProcDump's users name `\Process(w3wp)\Private Bytes`; for PDH the instance `w3wp` is whichever
//! process of that name started first. Here the target's own name, or `*`, means the target;
//! `name#N`, `name_PID` and `_Total` mean what they mean for PDH.

use super::{facts::base_name, list, measure::value, pdh::Pdh, process::Process};
use crate::{Error, ErrorKind, Result, instance::bare};
use snapshot::{Measure, ProcessKey, Time, WallTime};
use std::collections::HashMap;

/// The instance that is the sum of all others.
const TOTAL: &str = "_Total";

/// The last values of counters, from which rates are computed.
#[derive(Default)]
pub(crate) struct Counters {
    last: HashMap<(ProcessKey, String), (Time, f64)>,
    /// The pid that `name#N` stands for. It is looked up once, and stays the same then.
    instances: HashMap<String, Option<u32>>,
    pdh: Pdh,
}

/// The counters that `firstchance counters` lists, and what they count. Any other path of PDH can
/// be named too.
pub(crate) const KNOWN: [(&str, &str); 22] = [
    (
        r"\Process(*)\% Processor Time",
        "CPU of the process, of one processor",
    ),
    (r"\Process(*)\Private Bytes", "private memory"),
    (r"\Process(*)\Working Set", "resident memory"),
    (r"\Process(*)\Virtual Bytes", "address space"),
    (r"\Process(*)\Thread Count", "threads"),
    (r"\Process(*)\Handle Count", "open handles"),
    (r"\Process(*)\ID Process", "pid"),
    (r"\Process(*)\Elapsed Time", "seconds since it started"),
    (r"\Processor(_Total)\% Processor Time", "CPU of the machine"),
    (
        r"\System\Processor Queue Length",
        "threads that wait for a processor",
    ),
    (
        r"\System\Context Switches/sec",
        "context switches of the machine, a second",
    ),
    (r"\System\Processes", "processes of the machine"),
    (
        r"\System\System Up Time",
        "seconds since the machine started",
    ),
    (
        r"\Memory\Available Bytes",
        "memory that can be had without swapping",
    ),
    (
        r"\Memory\Committed Bytes",
        "committed memory of the machine",
    ),
    (
        r"\Memory\% Committed Bytes In Use",
        "its share of what can be committed",
    ),
    (
        r"\Memory\Pages/sec",
        "pages read and written for lack of memory, a second",
    ),
    (
        r"\PhysicalDisk(_Total)\Avg. Disk sec/Transfer",
        "seconds that a disk access takes",
    ),
    (
        r"\PhysicalDisk(_Total)\% Disk Time",
        "share of time the disks were busy, %",
    ),
    (
        r"\TCPv4\Connections Established",
        "open connections of the machine",
    ),
    (
        r"\.NET CLR Memory(_Global_)\% Time in GC",
        "share of time .NET Framework collects garbage, %",
    ),
    (
        r"\.NET CLR Exceptions(_Global_)\# of Exceps Thrown / sec",
        ".NET Framework's exceptions, a second",
    ),
];

/// Checks that there is a counter. One of `\Process(INSTANCE)` is not asked for at PDH, which does not
/// know all of the instances that are known here.
///
/// # Errors
/// If there is none, with what there is.
pub(crate) fn expect(path: &str) -> Result<()> {
    if process_counter(path).is_some() || Pdh::default().has(path) {
        return Ok(());
    }
    let what = format!("Windows has no counter {path}");
    let advice =
        "`firstchance counters` lists those that are often used, `typeperf -q` all of them.";
    Err(Error::new(ErrorKind::Unsupported, what).advise(advice))
}

impl Counters {
    /// Returns the value of a counter; `None` if there is no such counter. A rate needs two
    /// readings, so its first is `None`.
    pub(crate) fn read(&mut self, process: &Process, path: &str, now: Time) -> Option<f64> {
        let Some((instance, counter)) = process_counter(path) else {
            return self.pdh.read(path);
        };
        if self.is_target(process, instance) {
            return self.own_counter(process, path, counter, now);
        }
        if instance.eq_ignore_ascii_case(TOTAL) {
            return self.total(path, counter, now);
        }
        let pid = self.nth(instance)?;
        let other = Process::open_pid(pid).ok()?;
        self.own_counter(&other, path, counter, now)
    }

    /// Forgets the values of a process that has ended.
    pub(crate) fn forget(&mut self, key: ProcessKey) {
        self.last.retain(|(process, _), _| *process != key);
    }

    /// Returns the sum of a counter over all processes. If PDH does not have it (the object `Process`
    /// can be disabled, and Wine lacks it), it is the sum over those that we may open.
    fn total(&mut self, path: &str, counter: &str, now: Time) -> Option<f64> {
        if self.pdh.has(path) {
            return self.pdh.read(path);
        }
        let listed = list::listed().ok()?;
        let open = listed
            .iter()
            .filter_map(|one| Process::open_pid(one.pid).ok());
        let open: Vec<Process> = open.collect();
        self.last.retain(|(key, known), _| {
            known != path || open.iter().any(|process| process.key == *key)
        });
        let values = open
            .iter()
            .filter_map(|process| self.own_counter(process, path, counter, now));
        values.reduce(|sum, value| sum + value)
    }

    fn own_counter(
        &mut self,
        process: &Process,
        path: &str,
        counter: &str,
        now: Time,
    ) -> Option<f64> {
        let times = process.times().ok()?;
        let (user, kernel) = (times.user.as_secs_f64(), times.kernel.as_secs_f64());
        let mut share = |seconds: f64| self.rate(process.key, path, seconds * 100.0, now);
        match counter.to_ascii_lowercase().as_str() {
            "% processor time" => share(user + kernel),
            "% user time" => share(user),
            "% privileged time" => share(kernel),
            "private bytes" | "page file bytes" => value(process, &Measure::Memory),
            "working set" => value(process, &Measure::Rss),
            "virtual bytes" => value(process, &Measure::Virtual),
            "thread count" => value(process, &Measure::Threads),
            "handle count" => value(process, &Measure::Handles),
            "id process" => Some(f64::from(process.key.pid)),
            "elapsed time" => Some(age(process)),
            _ => self.pdh.read(path),
        }
    }

    /// Returns the growth per second since the last reading; `None` if the value fell.
    fn rate(&mut self, key: ProcessKey, path: &str, value: f64, now: Time) -> Option<f64> {
        let (then, before) = self.last.insert((key, path.to_owned()), (now, value))?;
        let seconds = now.since(then).as_secs_f64();
        (seconds > 0.0 && value >= before).then(|| (value - before) / seconds)
    }

    /// Returns whether an instance means the target.
    fn is_target(&self, process: &Process, instance: &str) -> bool {
        let own = bare(base_name(&process.image().unwrap_or_default()));
        let is_own = |(name, pid)| bare(name) == own && pid == process.key.pid;
        instance == "*" || bare(instance) == own || name_and_pid(instance).is_some_and(is_own)
    }

    /// Returns the pid that the instance `name`, `name#N` or `name_PID` means.
    fn nth(&mut self, instance: &str) -> Option<u32> {
        let find = || {
            let (name, number) = match instance.rsplit_once('#') {
                Some((name, number)) => (name, number.parse().ok()?),
                None => (instance, 0),
            };
            let listed = list::listed().ok()?;
            let named = |name| {
                listed
                    .iter()
                    .filter(move |one| bare(&one.name) == bare(name))
            };
            let nth = named(name).map(|one| one.pid).nth(number);
            nth.or_else(|| {
                let (name, pid) = name_and_pid(instance)?;
                named(name).any(|one| one.pid == pid).then_some(pid)
            })
        };
        let known = self.instances.entry(instance.to_owned());
        *known.or_insert_with(find)
    }
}

/// Splits `\Process(INSTANCE)\COUNTER` into instance and counter.
fn process_counter(path: &str) -> Option<(&str, &str)> {
    let (object, counter) = path.strip_prefix('\\')?.rsplit_once('\\')?;
    let (object, instance) = object.strip_suffix(')')?.split_once('(')?;
    object
        .eq_ignore_ascii_case("process")
        .then_some((instance, counter))
}

/// Splits `NAME_PID`, as Windows calls the instances if its `ProcessNameFormat` is 2.
fn name_and_pid(instance: &str) -> Option<(&str, u32)> {
    let (name, pid) = instance.rsplit_once('_')?;
    Some((name, pid.parse().ok()?))
}

/// Returns for how many seconds the process has existed.
fn age(process: &Process) -> f64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let started = WallTime::from_filetime(process.key.start).0 as f64 / 1e9;
    (now.as_secs_f64() - started).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_counters_are_told_from_others() {
        let parts = process_counter(r"\process(w3wp#2)\Private Bytes");
        assert_eq!(parts, Some(("w3wp#2", "Private Bytes")));
        assert_eq!(process_counter(r"\System\Processes"), None);
        assert_eq!(process_counter(r"\Processor(_Total)\% Idle Time"), None);
        assert_eq!(bare("W3WP.exe"), "w3wp");
        assert_eq!(bare("GRÖSSE.EXE"), "grösse");
        assert_eq!(name_and_pid("my_app_42"), Some(("my_app", 42)));
        assert_eq!(name_and_pid("my_app"), None);
    }
}
