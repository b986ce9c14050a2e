//! A small file system, for tests with a full disk.

use std::{path::Path, process::Command};

use super::folder;

/// A small file system in memory. It is unmounted when this is dropped.
pub(crate) struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// Mounts one of this size: `4m`.
    ///
    /// # Panics
    /// If the test may not mount.
    pub(crate) fn new(size: &str) -> Self {
        let folder = folder();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "test"])
            .arg(folder.path())
            .status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "mounting needs root"
        );
        Self(folder)
    }

    /// The folder that it is mounted on.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}
