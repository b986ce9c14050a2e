//! Performance counters: what a Linux administrator would look up in `/proc` and `/sys`, and
//! Windows' own names for what both systems have.
//!
//! A path is `FILE[:KEY[.PART]][/s]`. FILE is a file below `/proc` or `/sys`; `/proc/PID/…` stands
//! for the target's own files, and `cgroup/…` for files of the target's control group (v2, else the
//! v1 controller with which the file's name begins). KEY names a line (`MemAvailable`, `some`) or a
//! column (`2`), PART a part of the line (`avg10`). `/s` makes a rate per second of it.

use super::{
    counter_files::{busy_time_per_processor, look_up},
    own_memory,
    proc::{ProcDir, machine, stat::Stat, status},
};
use crate::instance::bare;
use snapshot::{ProcessKey, Time};
use std::collections::HashMap;

/// The last values of counters, from which rates are computed.
#[derive(Default)]
pub(crate) struct Counters {
    last: HashMap<(ProcessKey, String), (Time, f64)>,
    /// The pid that `name#N` stands for. It is looked up once, and stays the same then.
    instances: HashMap<String, Option<u32>>,
}

impl Counters {
    /// Returns the value of a counter; `None` if there is no such counter. A rate needs two
    /// readings, so its first is `None`.
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
        let value = look_up(dir, plain).ok()?;
        if rate {
            self.rate(dir.key, path, value, now)
        } else {
            Some(value)
        }
    }

    /// Returns whether an instance of `\Process(INSTANCE)` means any process.
    pub(crate) fn has_instance(&mut self, dir: &ProcDir, instance: &str, stat: &Stat) -> bool {
        self.instance(dir, instance, stat).is_some()
    }

    /// Forgets the values of a process that has ended.
    pub(crate) fn forget(&mut self, key: ProcessKey) {
        self.last.retain(|(process, _), _| *process != key);
    }

    /// Returns the growth per second since the last reading; `None` if the value fell, as it does
    /// when a counter is reset.
    fn rate(&mut self, key: ProcessKey, path: &str, value: f64, now: Time) -> Option<f64> {
        let (then, before) = self.last.insert((key, path.to_owned()), (now, value))?;
        let seconds = now.since(then).as_secs_f64();
        (seconds > 0.0 && value >= before).then(|| (value - before) / seconds)
    }

    /// Returns the value of a counter with a Windows path, without its leading backslash.
    fn windows(&mut self, dir: &ProcDir, path: &str, stat: &Stat, now: Time) -> Option<f64> {
        let (object, counter) = path.rsplit_once('\\')?;
        let (object, instance) = object.strip_suffix(')')?.split_once('(')?;
        match object.to_ascii_lowercase().as_str() {
            "processor" if counter.eq_ignore_ascii_case("% processor time") => {
                let busy = busy_time_per_processor()?;
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
            "private bytes" => Some(own_memory::own(dir, &status_text()?) as f64),
            "working set" => status::bytes(&status_text()?, "VmRSS").map(|bytes| bytes as f64),
            "virtual bytes" => Some(stat.virtual_bytes as f64),
            "thread count" => Some(f64::from(stat.threads)),
            "handle count" => dir.descriptors().map(|count| count as f64),
            "id process" => Some(f64::from(dir.key.pid)),
            _ => None,
        }
    }

    /// Returns the process that an instance of `\Process(INSTANCE)` means: `Some(None)` is the
    /// target itself, for `*` or its own name; otherwise it is the N-th process of that name.
    /// `None` if there is no such process.
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
    let exe = dir.link("exe").unwrap_or_default();
    let exe = exe.strip_suffix(" (deleted)").unwrap_or(&exe);
    let started_as = super::facts::strings(&dir.read("cmdline").unwrap_or_default());
    let own = super::facts::name_of(exe, &stat.comm, &started_as);
    bare(&own) == bare(name) || bare(&stat.comm) == bare(name)
}

/// Returns the pid of the N-th process of that name, in ascending order of pids.
fn nth_of_name(name: &str, number: usize) -> Option<u32> {
    let pids = super::proc::all_pids().unwrap_or_default();
    let named = pids.into_iter().filter(|&pid| {
        let dir = ProcDir::open_pid(pid as u32);
        dir.is_ok_and(|dir| dir.stat().is_ok_and(|stat| is_named(&dir, &stat, name)))
    });
    named.map(|pid| pid as u32).nth(number)
}

#[cfg(test)]
mod tests {
    use super::*;

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
