//! The pid namespace that firstchance runs in. Programs in the kernel see the pids of the machine; in a namespace of its
//! own, as in a container, firstchance sees others. The kernel tells of starts only in that of the machine.

use std::{fs, io, os::unix::fs::MetadataExt as _};

/// A pid namespace that is not that of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PidNamespace {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// The inode of the machine's pid namespace (`PROC_PID_INIT_INO` of `linux/proc_ns.h`).
const OF_MACHINE: u64 = 0xEFFF_FFFC;

impl PidNamespace {
    /// Returns the namespace that we run in; `None` if it is that of the machine.
    pub(crate) fn ours() -> Option<Self> {
        let found = fs::metadata("/proc/self/ns/pid").ok()?;
        let ours = Self {
            device: found.dev(),
            inode: found.ino(),
        };
        (ours.inode != OF_MACHINE).then_some(ours)
    }
}

/// Checks that a pid means the same process to the kernel and to us.
///
/// # Errors
/// If it does not.
pub(crate) fn expect_pids_of_the_machine() -> io::Result<()> {
    match PidNamespace::ours() {
        None => Ok(()),
        Some(_) => Err(io::Error::other(
            "firstchance runs in a pid namespace of its own, as in a container",
        )),
    }
}
