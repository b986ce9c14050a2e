//! Values in files of `/proc` and `/sys` that a counter names as `FILE[:KEY[.PART]]`; the notation is
//! described in [`counters`](super::counters).

use super::{
    cgroup::Groups,
    proc::{ProcDir, machine, values},
};
use std::{fs, path::PathBuf};

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

/// Returns the value that `FILE[:KEY[.PART]]` names; `None` if there is none.
pub(super) fn look_up(dir: &ProcDir, path: &str) -> Option<f64> {
    let (file, key) = match path.split_once(':') {
        Some((file, key)) => (file, Some(key)),
        None => (path, None),
    };
    let text = read(dir, file)?;
    match key {
        None => values::first_number(text.split_ascii_whitespace()),
        Some(key) => values::find(&text, key),
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

/// Returns the folder of the target's control group that has this file: in the unified hierarchy
/// (v2), else of the v1 controller with which the file's name begins (`memory.usage_in_bytes`:
/// memory).
fn cgroup_folder(dir: &ProcDir, name: &str) -> Option<PathBuf> {
    let groups = Groups::of(dir);
    let v1 = name
        .split('.')
        .next()
        .and_then(|controller| groups.v1(controller));
    let folders = groups.v2().into_iter().chain(v1).map(|folder| folder.path);
    { folders }.find(|folder| folder.join(name).exists())
}
