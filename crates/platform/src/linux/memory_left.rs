//! How much memory is left.

use super::{
    cgroup::{Groups, limits},
    proc::{ProcDir, values},
};

/// See [`crate::memory_left`].
pub(crate) fn memory_left() -> Option<u64> {
    of_own_groups().into_iter().chain(of_machine()).min()
}

/// The bytes that are left to our control groups; `None` if none has a limit.
pub(super) fn of_own_groups() -> Option<u64> {
    let own = ProcDir::open_pid(std::process::id()).ok()?;
    limits::headroom(&Groups::of(&own))
}

/// The bytes that are left to the machine, if the kernel tells.
pub(super) fn of_machine() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    values::find(&text, "MemAvailable").map(|bytes| bytes as u64)
}
