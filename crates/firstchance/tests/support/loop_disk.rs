//! A file system of a kind in a file, for tests of what only some can do.

use std::{path::PathBuf, process::Command};

use super::{folder, judges::judge};

/// A file system on a loop device. It is unmounted when this is dropped.
pub(crate) struct LoopDisk {
    folder: tempfile::TempDir,
}

impl LoopDisk {
    /// Makes one of `bytes` by a command (`mkfs.xfs -q`), which the Debian package has, and mounts it.
    ///
    /// # Panics
    /// If the command is not there, or the test may not mount.
    pub(crate) fn new(make: &[&str], package: &str, bytes: u64) -> LoopDisk {
        judge(make[0], package);
        let disk = LoopDisk { folder: folder() };
        let (image, mount) = (disk.folder.path().join("image"), disk.mount());
        std::fs::create_dir(&mount).expect("a folder");
        let file = std::fs::File::create(&image).expect("a file");
        file.set_len(bytes).expect("a sparse file");
        must(Command::new(make[0]).args(&make[1..]).arg(&image));
        let mut command = Command::new("mount");
        must(command.args(["-o", "loop"]).arg(&image).arg(&mount));
        disk
    }

    /// Where it is mounted.
    pub(crate) fn mount(&self) -> PathBuf {
        self.folder.path().join("mount")
    }

    /// The bytes that are in use.
    pub(crate) fn used(&self) -> u64 {
        must(Command::new("sync").arg("-f").arg(self.mount()));
        let mut df = Command::new("df");
        let output = df.args(["--output=used", "-B1"]).arg(self.mount()).output();
        let output = String::from_utf8(output.expect("it is there").stdout).expect("text");
        let used = output.lines().last().expect("a number");
        used.trim().parse().expect("a number")
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // Lazily, because a process may still have a file open for a moment.
        let mut command = Command::new("umount");
        let _ = command.arg("--lazy").arg(self.mount()).status();
    }
}

/// Runs a command that has to succeed.
pub(crate) fn must(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
}
