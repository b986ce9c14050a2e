//! The space of a file system (statvfs(3)).

use crate::Space;
use rustix::fs::{Mode, OFlags, fstatvfs};
use std::{fs::File, io, path::Path};

/// Returns the space of the file system that `folder` is on.
pub(crate) fn at(folder: &Path) -> io::Result<Space> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    of(&rustix::fs::open(folder, flags, Mode::empty())?.into())
}

/// Returns the space of the file system that a file is on.
pub(crate) fn of(file: &File) -> io::Result<Space> {
    let found = fstatvfs(file)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space {
        free: bytes(found.f_bavail),
        total: bytes(found.f_blocks),
    })
}
