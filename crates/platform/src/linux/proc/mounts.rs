//! The file systems that a process has mounted, from `mountinfo` (proc_pid_mountinfo(5)): which of them may keep a reader
//! waiting for ever.
//!
//! Any user can mount a FUSE server, and an overlay above one, in namespaces of their own, and unmount them while their
//! files stay mapped. What is certain is a file system of a kind that only root can mount, and what is mounted where we
//! are.

use super::read_file;
use std::{
    collections::HashSet,
    fs::File,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The file systems that need a server, by the beginnings of their kinds.
const REMOTE: [&str; 10] = [
    "fuse", "nfs", "cifs", "smb", "9p", "ceph", "afs", "lustre", "gfs", "virtiofs",
];

/// File systems on disks.
const DISKS: [&str; 15] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "squashfs", "erofs",
    "iso9660", "vfat", "exfat", "ntfs3", "jfs",
];

/// Devices (major << 32 | minor) whose files nobody has to provide first.
#[derive(Clone, Debug, Default)]
pub(crate) struct QuickDevices {
    /// Disks.
    disks: HashSet<u64>,
    /// File systems in memory. A page that is not there yet may be guarded by userfaultfd.
    memory: HashSet<u64>,
}

impl QuickDevices {
    /// Finds them for a process with this `mountinfo`.
    pub(crate) fn of(mountinfo: &[u8]) -> Self {
        let own = read_file(rustix::fs::CWD, "/proc/self/mountinfo").unwrap_or_default();
        let (theirs, ours) = (devices(mountinfo), devices(&own));
        let mut found = Self::default();
        for (device, kind) in theirs.iter().chain(&ours) {
            match kind.as_str() {
                "tmpfs" | "ramfs" => drop(found.memory.insert(*device)),
                kind if DISKS.contains(&kind) => drop(found.disks.insert(*device)),
                _ => {}
            }
        }
        let overlays = ours.iter().filter(|(_, kind)| kind == "overlay");
        found.disks.extend(overlays.map(|(device, _)| *device));
        found.memory.extend(memfds());
        found
    }

    /// Whether a page of such a file can be read at once; `is_there` says whether it is in memory already.
    pub(crate) fn may_read(&self, device: u64, is_there: bool) -> bool {
        self.disks.contains(&device) || is_there && self.memory.contains(&device)
    }

    /// Whether a file of this device can be opened and read.
    pub(crate) fn may_open(&self, device: u64) -> bool {
        self.may_read(device, true)
    }
}

/// Returns the devices of file systems whose server may never answer.
pub(crate) fn remote_devices(mountinfo: &[u8]) -> Vec<u64> {
    let is_remote = |kind: &str| REMOTE.iter().any(|name| kind.starts_with(name));
    let found = devices(mountinfo).into_iter();
    found
        .filter(|(_, kind)| is_remote(kind))
        .map(|(device, _)| device)
        .collect()
}

/// The kind of the file system that a path lies on, by its text alone: no server is asked. Links in it are not followed.
pub(crate) fn kind_at(mountinfo: &[u8], path: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(mountinfo);
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let point = PathBuf::from(left.split(' ').nth(4)?.replace("\\040", " "));
        let kind = right.split(' ').next()?.to_owned();
        path.starts_with(&point).then_some((point, kind))
    };
    // Of several mounts on one folder, the last hides the others; so does `max_by_key` choose.
    let above = text.lines().filter_map(mount);
    let nearest = above.max_by_key(|(point, _)| point.components().count());
    nearest.map(|(_, kind)| kind)
}

/// The device of files without a name (memfd_create(2)), which is mounted nowhere. It is always the same.
fn memfds() -> Option<u64> {
    static DEVICE: OnceLock<Option<u64>> = OnceLock::new();
    *DEVICE.get_or_init(device_of_memfd)
}

fn device_of_memfd() -> Option<u64> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let file: File = rustix::fs::memfd_create(c"device", flags).ok()?.into();
    let device = file.metadata().ok()?.dev();
    Some(crate::linux::files::device_number(device))
}

/// Parses lines as in `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`: devices and kinds.
fn devices(mountinfo: &[u8]) -> Vec<(u64, String)> {
    let text = String::from_utf8_lossy(mountinfo);
    let device = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let kind = right.split(' ').next()?;
        let (major, minor) = left.split(' ').nth(2)?.split_once(':')?;
        let device = major.parse::<u64>().ok()? << 32 | minor.parse::<u64>().ok()?;
        Some((device, kind.to_owned()))
    };
    text.lines().filter_map(device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c4_fuse_and_nfs_are_remote_and_ext4_is_not() {
        let text = b"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:99 / /m rw master:1 - fuse.sshfs x rw\n3 1 0:50 / /n rw - nfs4 h:/ rw\n";
        assert_eq!(remote_devices(text), [99, 50]);
    }

    #[test]
    fn n38_the_nearest_mount_above_a_path_tells_its_kind() {
        let text = b"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /proc rw - proc proc rw\n\
            3 1 0:6 / /a\\040b rw - tmpfs t rw\n4 3 0:7 / /a\\040b rw master:1 - xfs t rw\n";
        for (path, kind) in [
            ("/proc/x", "proc"),
            ("/process", "ext4"),
            ("/a b/c", "xfs"),
            ("/", "ext4"),
        ] {
            assert_eq!(
                kind_at(text, Path::new(path)).as_deref(),
                Some(kind),
                "{path}"
            );
        }
        assert_eq!(kind_at(b"", Path::new("/")), None);
    }

    #[test]
    fn n32_only_what_nobody_else_answers_for_is_quick() {
        let text = b"1 0 8:1 / / rw - ext4 /dev/a rw\n\
            2 1 0:900 / /t rw - tmpfs t rw\n\
            3 1 0:901 / /f rw - fuse x rw\n\
            4 1 0:902 / /o rw - overlay o rw\n";
        let quick = QuickDevices::of(text);
        assert!(quick.may_read(8 << 32 | 1, false));
        assert!(quick.may_read(900, true) && !quick.may_read(900, false));
        assert!(!quick.may_read(901, true), "a server");
        assert!(!quick.may_read(902, true), "an overlay that we do not have");
        let own = std::env::current_exe().and_then(std::fs::metadata);
        let device = crate::linux::files::device_number(own.expect("this test").dev());
        assert!(quick.may_open(device));
    }
}
