//! Values in files of `/proc` and `/sys` that a counter names as `FILE[:KEY[.PART]]`; the notation is
//! described in [`counters`](super::counters).

use super::{
    cgroup::Groups,
    proc::{ProcDir, machine, values},
};
use std::{fs, io, path::PathBuf};

/// Returns the time that the processors have been busy so far, in seconds per processor
/// (`/proc/stat`, line `cpu`: user, nice, system, idle, iowait, irq, softirq, steal).
pub(super) fn busy_time_per_processor() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> = text
        .lines()
        .next()?
        .split_ascii_whitespace()
        .skip(1)
        .filter_map(|t| t.parse().ok())
        .collect();
    let busy: u64 = ticks.iter().take(8).sum::<u64>() - ticks.get(3)? - ticks.get(4)?;
    let processors = machine::processors(text.as_bytes());
    Some(busy as f64 / machine::ticks() as f64 / f64::from(processors))
}

/// Why a path names no value.
#[derive(Debug)]
pub(super) enum Missing {
    /// It is no path of a counter.
    Notation,
    /// A file cannot be read, and why.
    File(String),
    /// No control group of the process has a file of this name.
    OfGroup(String),
    /// The file with this text has no such line, part or column.
    Line(String),
    /// What is there is no number.
    Number,
}

type Found<T> = Result<T, Missing>;

/// Returns the value that `FILE[:KEY[.PART]]` names.
///
/// # Errors
/// What is missing, if there is none.
pub(super) fn look_up(dir: &ProcDir, path: &str) -> Found<f64> {
    let (file, key) = match path.split_once(':') {
        Some((file, key)) => (file, Some(key)),
        None => (path, None),
    };
    let text = read(dir, file)?;
    match key {
        None => values::first_number(text.split_ascii_whitespace()).ok_or(Missing::Number),
        Some(key) => values::find(&text, key).ok_or(Missing::Line(text)),
    }
}

fn read(dir: &ProcDir, file: &str) -> Found<String> {
    let failed = |error: io::Error| Missing::File(format!("reading {file} failed: {error}"));
    if file.split('/').any(|part| part == "..") {
        return Err(Missing::Notation);
    }
    if let Some(own) = file.strip_prefix("/proc/PID/") {
        let text = dir.read(own).map_err(failed)?;
        return String::from_utf8(text).map_err(|_| Missing::Number);
    }
    if let Some(name) = file.strip_prefix("cgroup/") {
        let mut folders = groups_with_files(dir, name).into_iter();
        let path = folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.exists()));
        let path = path.ok_or_else(|| Missing::OfGroup(name.to_owned()))?;
        return fs::read_to_string(path).map_err(failed);
    }
    match file.starts_with("/proc/") || file.starts_with("/sys/") {
        true => fs::read_to_string(file).map_err(failed),
        false => Err(Missing::Notation),
    }
}

/// Returns the folders of the target's control groups in which this file is looked for: in the unified
/// hierarchy (v2), then in that of the v1 controller with which the file's name begins
/// (`memory.usage_in_bytes`: memory).
pub(super) fn groups_with_files(dir: &ProcDir, name: &str) -> Vec<PathBuf> {
    let groups = Groups::of(dir);
    let controller = name.split('.').next().unwrap_or(name);
    let both = [groups.v2(), groups.v1(controller)];
    both.into_iter()
        .flatten()
        .map(|folder| folder.path)
        .collect()
}
