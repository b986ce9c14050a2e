//! The limits of the control groups of a process: each group above it has a limit of its own, and the
//! one that is reached first counts. Files are those of
//! `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/memory.rst`, `scheduler/sched-bwc.rst`.

use super::{Folder, Groups};
use crate::linux::proc::values::find;
use snapshot::Time;
use std::{collections::HashMap, fs, path::Path, time::Duration};

/// What a group uses of its limit of memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryUse {
    /// Without the pages of files that were not used lately.
    pub(crate) used: u64,
    pub(crate) limit: u64,
}

impl MemoryUse {
    /// Returns the used part of the limit: 1 is all of it.
    pub(crate) fn share(self) -> f64 {
        self.used as f64 / self.limit.max(1) as f64
    }
}

/// What groups have used of their limits of memory a moment ago: processes of one group are sampled
/// one after the other.
#[derive(Default)]
pub(crate) struct RecentUse {
    at: Time,
    shares: HashMap<String, Option<f64>>,
}

/// How old a use may be. It is less than the time between two samples of a process.
const MOMENT: Duration = Duration::from_millis(5);

impl RecentUse {
    /// Returns the used part of the limit, as [`memory`] finds it.
    pub(crate) fn share(&mut self, groups: &Groups<'_>, now: Time) -> Option<f64> {
        if now.since(self.at) > MOMENT {
            self.at = now;
            self.shares.clear();
        }
        if let Some(share) = self.shares.get(&groups.text) {
            return *share;
        }
        let share = memory(groups).map(MemoryUse::share);
        self.shares.insert(groups.text.clone(), share);
        share
    }
}

/// The names of the files in which a kind of hierarchy tells of memory.
struct MemoryFiles {
    /// The limits. In v2, a group is held back so hard above `memory.high` that it hardly comes to
    /// `memory.max`: the lower one counts.
    limits: &'static [&'static str],
    used: &'static str,
    /// The line of `memory.stat` with the pages of files that were not used lately.
    inactive: &'static str,
}

const V1: MemoryFiles = MemoryFiles {
    limits: &["memory.limit_in_bytes"],
    used: "memory.usage_in_bytes",
    inactive: "total_inactive_file",
};

const V2: MemoryFiles = MemoryFiles {
    limits: &["memory.max", "memory.high"],
    used: "memory.current",
    inactive: "inactive_file",
};

/// The least value that stands for no limit in v1, which has `LONG_MAX` rounded down to a page.
const UNLIMITED: u64 = i64::MAX as u64 & !0xffff;

/// Returns the use of that group that has used most of its limit; `None` if no group has a limit.
pub(crate) fn memory(groups: &Groups<'_>) -> Option<MemoryUse> {
    let uses = uses(groups)?.into_iter();
    uses.max_by(|a, b| a.share().total_cmp(&b.share()))
}

/// Returns what each group upwards uses that has a limit; `None` if memory is not counted.
fn uses(groups: &Groups<'_>) -> Option<Vec<MemoryUse>> {
    let (files, folder) = match groups.v1("memory") {
        Some(folder) => (V1, folder),
        None => (V2, groups.v2()?),
    };
    Some(
        folder
            .upwards()
            .filter_map(|folder| files.read(folder))
            .collect(),
    )
}

/// Returns the bytes that are left to that group which has the least left; `None` if no group has a limit.
pub(crate) fn headroom(groups: &Groups<'_>) -> Option<u64> {
    let left = uses(groups)?.into_iter();
    left.map(|group| group.limit.saturating_sub(group.used))
        .min()
}

/// Returns whether the kernel kills all processes of a group of them together, where one would be killed because memory is short
/// (`memory.oom.group`, which v1 does not have).
pub(crate) fn are_killed_together(groups: &Groups<'_>) -> bool {
    let folder = groups.v2();
    folder.is_some_and(|folder| {
        let mut folders = folder.upwards();
        folders.any(|folder| number(folder, "memory.oom.group") == Some(1))
    })
}

/// Returns how many processors' time the groups may use, by the smallest quota; `None` if none has
/// a quota.
pub(crate) fn processors(groups: &Groups<'_>) -> Option<f64> {
    let smallest = |folder: Folder, read: fn(&Path) -> Option<f64>| {
        folder.upwards().filter_map(read).min_by(f64::total_cmp)
    };
    match groups.v1("cpu") {
        Some(folder) => smallest(folder, quota_v1),
        None => smallest(groups.v2()?, quota_v2),
    }
}

impl MemoryFiles {
    /// Returns what a group uses; `None` if it has no limit.
    fn read(&self, folder: &Path) -> Option<MemoryUse> {
        let limits = self.limits.iter().filter_map(|name| number(folder, name));
        let limit = limits.min().filter(|limit| *limit < UNLIMITED)?;
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let inactive = find(&stat, self.inactive).unwrap_or(0.0) as u64;
        let used = number(folder, self.used)?.saturating_sub(inactive);
        Some(MemoryUse { used, limit })
    }
}

/// Reads `cpu.cfs_quota_us`, -1 for none, and `cpu.cfs_period_us`.
fn quota_v1(folder: &Path) -> Option<f64> {
    let quota = number(folder, "cpu.cfs_quota_us")?;
    let period = number(folder, "cpu.cfs_period_us")?;
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

/// Reads `cpu.max`: `max 100000` or `50000 100000`.
fn quota_v2(folder: &Path) -> Option<f64> {
    let text = fs::read_to_string(folder.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period) = (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// Reads a file that is one number; `None` if it is another text, such as `max`.
fn number(folder: &Path, name: &str) -> Option<u64> {
    fs::read_to_string(folder.join(name))
        .ok()?
        .trim()
        .parse()
        .ok()
}
