//! Measuring a program: how long it takes, and the most memory of it and its children.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The figures of one run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// The time from its start to its end.
    pub(crate) wall: Duration,
    /// The longest time for which the target did not run while the tool ran.
    pub(crate) pause: Option<Duration>,
    /// How long a fork(2) of the target took: the mean of one before the tool ran and one after.
    pub(crate) fork: Option<Duration>,
    /// The most memory that the tool and its children had at once, in bytes.
    pub(crate) memory: u64,
    /// The size of the file, in bytes.
    pub(crate) bytes: u64,
}

/// The time between two looks at the tool's memory.
const LOOK: Duration = Duration::from_millis(5);

/// Runs a command to its end and measures it.
///
/// # Errors
/// If it cannot be started or fails.
pub(crate) fn run(command: &mut Command) -> Result<Measured> {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let mut child = quiet.spawn().with_context(|| format!("{command:?}"))?;
    let memory = watch(&mut child)?;
    let wall = start.elapsed();
    match child.wait()? {
        status if status.success() => Ok(Measured {
            wall,
            memory,
            ..Measured::default()
        }),
        status => bail!("{command:?}: {status}"),
    }
}

/// Runs a command whose output matters only when it fails.
///
/// # Errors
/// If it cannot be started or fails; contains its output.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    anyhow::ensure!(output.status.success(), "{command:?}: {said}");
    Ok(())
}

/// Waits for the end of a process; returns the most memory that it and its children had.
fn watch(child: &mut Child) -> Result<u64> {
    let mut most = 0;
    while child.try_wait()?.is_none() {
        most = most.max(family_memory(child.id()));
        std::thread::sleep(LOOK);
    }
    Ok(most)
}

/// The largest memory so far of a process and of all its children, in bytes.
fn family_memory(pid: u32) -> u64 {
    let children = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(children).unwrap_or_default();
    let of_children = children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok());
    own_memory(pid) + of_children.map(family_memory).sum::<u64>()
}

/// `VmHWM` of a process, in bytes.
pub(crate) fn own_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// CPU time that a process has used so far (fields 14 and 15 of proc_pid_stat(5), in ticks of
/// 10 ms).
///
/// # Errors
/// If it has ended.
pub(crate) fn cpu_of(pid: u32) -> Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest = text.rsplit_once(')').context("no stat line")?.1;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// The size of the only file in `folder`.
///
/// # Errors
/// If there is none.
pub(crate) fn size_of_file_in(folder: &Path) -> Result<u64> {
    let mut files = std::fs::read_dir(folder)?.flatten();
    let file = files.next().context("the tool left no file")?;
    Ok(file.metadata()?.len())
}

/// The median.
pub(crate) fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3, 1, 2]), Some(2));
        assert_eq!(median(vec![1.0, 9.0, 2.0, 8.0, 5.0]), Some(5.0));
        assert_eq!(median(Vec::<u8>::new()), None);
    }
}
