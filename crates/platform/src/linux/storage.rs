//! Whether a file system stores files at all.

use super::proc::{self, mounts};
use crate::{Error, ErrorKind, Result};
use std::path::Path;

/// Kinds of file systems that show what the kernel has, in which nobody can make files with content of their own (their
/// pages in Documentation/filesystems). Files of hugetlbfs can be mapped, and not written to.
const NO_STORES: [&str; 18] = [
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "debugfs",
    "tracefs",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "bpf",
    "pstore",
    "devpts",
    "mqueue",
    "configfs",
    "efivarfs",
    "binfmt_misc",
    "fusectl",
    "hugetlbfs",
];

/// See [`crate::expect_storage`].
pub(crate) fn expect_storage(folder: &Path) -> Result<()> {
    let mounts = proc::read_file(rustix::fs::CWD, "/proc/self/mountinfo").unwrap_or_default();
    let kind = mounts::kind_at(&mounts, folder).unwrap_or_default();
    if !NO_STORES.contains(&kind.as_str()) {
        return Ok(());
    }
    let what = format!("{} is on {kind}, which stores no files", folder.display());
    Err(Error::new(ErrorKind::Disk, what).advise("Name a folder on a disk."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n38_what_shows_the_kernel_stores_no_dumps() {
        for folder in ["/proc", "/proc/self/x/y", "/sys/dumps"] {
            let refused = expect_storage(Path::new(folder)).expect_err(folder);
            assert!(refused.what.contains("stores no files"), "{refused}");
        }
        for folder in ["/var/lib/firstchance/crashes", "/tmp", "/dev/shm", "/"] {
            expect_storage(Path::new(folder)).expect(folder);
        }
    }
}
