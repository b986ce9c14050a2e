//! Performance counters: what a Linux administrator would look up in `/proc` and `/sys`, and
//! Windows' own names for what both systems have.
//!
//! A path is `FILE[:KEY[.PART]][/s]`. FILE is a file below `/proc` or `/sys`; `/proc/PID/…` stands
//! for the target's own files, and `cgroup/…` for files of the target's control group (v2, else the
//! v1 controller with which the file's name begins). KEY names a line (`MemAvailable`, `some`) or a
//! column (`2`), PART a part of the line (`avg10`). `/s` makes a rate per second of it.

use super::{
    counter_files::look_up,
    proc::{ProcDir, stat::Stat},
    windows_counters::{OfProcess, Scale, WindowsPath, of_process, of_processors, sum},
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
        if path.starts_with('\\') {
            return self.windows(dir, path, stat, now);
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

    /// Returns the value of a counter with a path of Windows.
    fn windows(&mut self, dir: &ProcDir, path: &str, stat: &Stat, now: Time) -> Option<f64> {
        let parts = WindowsPath::of(path).filter(WindowsPath::is_known)?;
        if !parts.is_of_process() {
            return self.windows_of_machine(dir, path, parts, now);
        }
        let other = self.instance(dir, parts.instance?, stat)?;
        let dir = other.as_ref().unwrap_or(dir);
        if parts.files().is_some() {
            return self.windows_of_files(dir, dir.key, path, parts, now);
        }
        let stat = dir.stat().ok()?;
        match of_process(dir, parts.counter, &stat)? {
            OfProcess::Value(value) => Some(value),
            OfProcess::Sum(sum) => self.rate(dir.key, path, sum, now),
        }
    }

    fn windows_of_machine(
        &mut self,
        dir: &ProcDir,
        path: &str,
        parts: WindowsPath<'_>,
        now: Time,
    ) -> Option<f64> {
        if parts.files().is_some() {
            return self.windows_of_files(dir, ProcessKey::default(), path, parts, now);
        }
        let busy = of_processors(parts.counter)?;
        let rate = self.rate(ProcessKey::default(), path, busy, now)?;
        Some((rate * 100.0).min(100.0))
    }

    /// Returns the value of a counter that files say, of a process or of the machine (`whose`).
    fn windows_of_files(
        &mut self,
        dir: &ProcDir,
        whose: ProcessKey,
        path: &str,
        parts: WindowsPath<'_>,
        now: Time,
    ) -> Option<f64> {
        let (files, scale) = parts.files()?;
        let sum = sum(dir, files)?;
        match scale {
            Scale::Times(factor) => Some(sum * factor),
            Scale::PerSecond => self.rate(whose, path, sum, now),
        }
    }

    /// Returns the process that an instance of `\Process(INSTANCE)` means: `Some(None)` is the
    /// target itself, for `*` or its own name; otherwise it is the N-th process of that name (`name#N`), or the one with
    /// that pid (`name_PID`).
    /// `None` if there is no such process.
    fn instance(&mut self, dir: &ProcDir, instance: &str, stat: &Stat) -> Option<Option<ProcDir>> {
        let (name, number) = match instance.rsplit_once('#') {
            Some((name, number)) => (name, Some(number.parse::<usize>().ok()?)),
            None => (instance, None),
        };
        if number.is_none() && (name == "*" || is_named(dir, stat, name)) {
            return Some(None);
        }
        if let Some(pid) = pid_of_name(name).filter(|_| number.is_none()) {
            return ProcDir::open_pid(pid).ok().map(Some);
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

/// Returns the pid that an instance `name_PID` means, if that process has this name.
fn pid_of_name(instance: &str) -> Option<u32> {
    let (name, pid) = instance.rsplit_once('_')?;
    let dir = ProcDir::open_pid(pid.parse().ok()?).ok()?;
    let stat = dir.stat().ok()?;
    is_named(&dir, &stat, name).then_some(dir.key.pid)
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
