//! A small file system, for tests with a full disk.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::folder;

/// A small file system in memory. It is unmounted when this is dropped.
pub(crate) struct Tmpfs {
    path: PathBuf,
    /// The folder that was made for it, if one was.
    _folder: Option<tempfile::TempDir>,
}

impl Tmpfs {
    /// Mounts one of this size: `4m`.
    ///
    /// # Panics
    /// If the test may not mount.
    pub(crate) fn new(size: &str) -> Self {
        let folder = folder();
        let mut mounted = Self::on(folder.path(), size);
        mounted._folder = Some(folder);
        mounted
    }

    /// Mounts one of this size on a folder.
    pub(crate) fn on(path: &Path, size: &str) -> Self {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "test"])
            .arg(path)
            .status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "mounting needs root"
        );
        Self {
            path: path.to_owned(),
            _folder: None,
        }
    }

    /// The folder that it is mounted on.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}
