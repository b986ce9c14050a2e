//! How much memory is left.

use super::{
    cgroup::{Groups, limits},
    proc::{ProcDir, values},
};

/// See [`crate::memory_left`].
pub(crate) fn memory_left() -> Option<u64> {
    let own = ProcDir::open_pid(std::process::id()).ok();
    let of_groups = own.and_then(|own| limits::headroom(&Groups::of(&own)));
    of_groups.into_iter().chain(of_machine()).min()
}

/// The bytes that are left to the machine, if the kernel tells.
pub(super) fn of_machine() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    values::find(&text, "MemAvailable").map(|bytes| bytes as u64)
}
