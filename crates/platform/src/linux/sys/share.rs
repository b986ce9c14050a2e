//! Blocks that several files have in common, where the file system can do that: btrfs, XFS and others.

use rustix::fs::fstatfs;
use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd as _},
};

/// The file systems that may be able to do it, by their numbers (statfs(2)). XFS may be made without it (`mkfs.xfs -m reflink=0`),
/// and an overlay can do what the file system below it can.
const ABLE: [u32; 5] = [
    0x9123_683E, // btrfs
    0x5846_5342, // XFS
    0xCA45_1A4E, // bcachefs
    0x7461_636F, // OCFS2
    0x794C_7630, // overlayfs
];

/// Returns whether the file system of a file may be able to do it.
pub(crate) fn is_likely(file: impl AsFd) -> bool {
    fstatfs(file).is_ok_and(|found| ABLE.contains(&(found.f_type as u32)))
}

/// Makes `len` bytes at `offset` of `file` the same blocks as those at `from` of `earlier` (ioctl_ficlonerange(2)).
///
/// # Errors
/// If the file system cannot do it, the two files are on different ones, or the ranges are no whole blocks.
pub(crate) fn share(
    file: &File,
    offset: u64,
    earlier: &File,
    from: u64,
    len: u64,
) -> io::Result<()> {
    let range = libc::file_clone_range {
        src_fd: earlier.as_raw_fd().into(),
        src_offset: from,
        src_length: len,
        dest_offset: offset,
    };
    // SAFETY: the kernel reads this structure alone; both descriptors are open during the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::FICLONERANGE, &raw const range) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
