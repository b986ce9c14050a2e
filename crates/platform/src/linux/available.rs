//! Whether a figure of a process can be had at all. Whoever waits for one that cannot waits in vain, so
//! it is said before, with what there is instead.

use super::{
    cgroup::{Groups, limits},
    counter_files::{self, Missing, groups_with_files},
    counter_list::KNOWN,
    counters::Counters,
    proc::ProcDir,
    windows_counters::WindowsPath,
};
use crate::{Error, ErrorKind, Result};
use snapshot::{Measure, ProcessKey};
use std::fs;

/// The most names that are listed in a sentence.
const MOST: usize = 30;

/// See [`Host::expect`](crate::Host::expect).
pub(crate) fn expect(process: Option<ProcessKey>, measure: &Measure) -> Result<()> {
    let dir = match process {
        Some(key) => ProcDir::open(key)?,
        None if is_of_group(measure) => return Ok(()),
        None => ProcDir::open_pid(std::process::id())?,
    };
    let why_not = match measure {
        Measure::Counter(path) if path.starts_with('\\') => windows_counter(&dir, path),
        Measure::Counter(path) => {
            counter_files::look_up(&dir, path.strip_suffix("/s").unwrap_or(path))
                .err()
                .map(|missing| sentence(&dir, path, &missing))
        }
        Measure::MemoryOfLimit if limits::memory(&Groups::of(&dir)).is_none() => {
            Some(no_limit(&dir, "memory", "`memory >= 2GiB`"))
        }
        Measure::CpuLimit if limits::processors(&Groups::of(&dir)).is_none() => {
            Some(no_limit(&dir, "processors", "`cpu >= 85%`"))
        }
        _ => None,
    };
    why_not.map_or(Ok(()), |what| Err(Error::new(ErrorKind::Unsupported, what)))
}

/// Whether a figure depends on the control group of a process.
fn is_of_group(measure: &Measure) -> bool {
    match measure {
        Measure::MemoryOfLimit | Measure::CpuLimit => true,
        Measure::Counter(path) => path.starts_with("cgroup/"),
        _ => false,
    }
}

fn no_limit(dir: &ProcDir, what: &str, instead: &str) -> String {
    format!(
        "process {} has no limit of {what}: neither its control group nor one above it has one, as far as they \
         can be seen here; {instead} is without a limit",
        dir.key
    )
}

fn sentence(dir: &ProcDir, path: &str, missing: &Missing) -> String {
    let there_is = match missing {
        Missing::Notation => {
            "it is neither a file of /proc or /sys, nor `cgroup/FILE`, nor `\\Process(…)\\…`; \
             `firstchance counters` lists counters"
                .to_owned()
        }
        Missing::File(why) => format!("{why}; `firstchance counters` lists counters"),
        Missing::OfGroup(name) => format!("process {} {}", dir.key, files_of_groups(dir, name)),
        Missing::Line(text) => format!("the file has no such line or column; {}", lines(text)),
        Missing::Number => "what is there is no number".to_owned(),
    };
    format!("there is no counter {path}: {there_is}")
}

/// What files the groups have of the controller of this one.
fn files_of_groups(dir: &ProcDir, name: &str) -> String {
    let controller = name.split('.').next().unwrap_or(name);
    let folders = groups_with_files(dir, name);
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
    let names = files
        .flatten()
        .map(|file| file.file_name().to_string_lossy().into_owned());
    let mut own: Vec<String> = names.filter(|name| name.starts_with(controller)).collect();
    own.sort();
    match own.is_empty() {
        true => format!("is in no control group with files of `{controller}`"),
        false => format!("has a control group with {}", listed(&own)),
    }
}

/// What a text has lines of. It may be that of a hostile process: only plain words are shown.
fn lines(text: &str) -> String {
    let name = |line: &str| {
        line.split([' ', '\t', ':', '='])
            .next()
            .unwrap_or("")
            .to_owned()
    };
    let is_plain = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic());
    let mut names: Vec<String> = text.lines().map(name).filter(is_plain).collect();
    names.dedup();
    format!("its lines begin with {}", listed(&names))
}

fn listed(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(MOST)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len() > MOST {
        true => format!("{shown}, …"),
        false => shown,
    }
}

/// Why there is no counter with a path of Windows; `None` if there is one.
fn windows_counter(dir: &ProcDir, path: &str) -> Option<String> {
    let parts = WindowsPath::of(path);
    let Some(known) = parts.filter(WindowsPath::is_known) else {
        return Some(no_such_counter(path, parts));
    };
    let instance = known.instance.filter(|_| known.is_of_process())?;
    let stat = dir.stat().ok()?;
    let is_there = Counters::default().has_instance(dir, instance, &stat);
    (!is_there).then(|| format!("there is no counter {path}: no process is called {instance}"))
}

fn no_such_counter(path: &str, parts: Option<WindowsPath<'_>>) -> String {
    let nearest = parts.and_then(|parts| parts.nearest());
    let nearest = nearest.map(|nearest| format!("; the nearest is {nearest}"));
    let known = KNOWN.iter().map(|(path, _)| path.to_string());
    let known: Vec<String> = known.filter(|known| known.starts_with('\\')).collect();
    format!(
        "Linux has no counter {path}{}; of Windows' own, it has {}",
        nearest.unwrap_or_default(),
        listed(&known)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why_not(path: &str) -> String {
        let own = ProcDir::open_pid(std::process::id()).expect("we live").key;
        let expected = expect(Some(own), &Measure::Counter(path.to_owned()));
        expected.err().map(|error| error.what).unwrap_or_default()
    }

    #[test]
    fn n25_what_cannot_be_had_is_told_with_what_there_is() {
        for (path, words) in [
            ("/proc/meminfo:MemAvailable", ""),
            ("/proc/stat:ctxt/s", ""),
            ("/proc/PID/stat:10/s", ""),
            (r"\process(*)\thread count", ""),
            (r"\Processor(_Total)\% Processor Time", ""),
            (
                "/proc/meminfo:MemAvailible",
                "MemTotal, MemFree, MemAvailable",
            ),
            ("/proc/PID/no-such-file", "No such file"),
            ("/proc/loadavg:9", "no such line or column"),
            ("/proc/version", "no number"),
            ("memory.current", "neither a file of /proc"),
            ("/proc/../etc/passwd", "neither a file of /proc"),
            (
                "cgroup/nothing.current",
                "no control group with files of `nothing`",
            ),
            (
                r"\Process(*)\Thraed Count",
                r"it has \Process(*)\% Processor Time",
            ),
            (r"\Memory\Available MBytes", ""),
            (r"\Process(*)\IO Data Bytes/sec", ""),
            (
                r"\Memory\Available GBytes",
                r"the nearest is \Memory\Available Bytes",
            ),
            (
                r"\Process(no such program)\Thread Count",
                "no process is called no such program",
            ),
        ] {
            let told = why_not(path);
            assert!(
                told.contains(words) && told.is_empty() == words.is_empty(),
                "{path}: {told}"
            );
        }
    }

    #[test]
    fn n25_without_a_process_only_what_all_have_is_judged() {
        let of = |path: &str| expect(None, &Measure::Counter(path.to_owned()));
        assert!(of("cgroup/nothing.current").is_ok());
        assert!(of("/proc/PID/nothing").is_err());
        assert!(expect(None, &Measure::MemoryOfLimit).is_ok());
    }
}
