//! A disk that is small.

use std::{path::Path, process::Command};

use super::folder;

/// A small file system of its own, unmounted with the test.
pub(crate) struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// Of so many bytes: `4m`.
    ///
    /// # Panics
    /// Without the right to mount.
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

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}
