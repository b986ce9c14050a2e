//! Files under a temporary name, each of which its writer holds by a lock (flock(2)). The kernel takes the lock off when
//! the writer closes the file or ends, in whatever way.

use super::{regular_files::open_regular, sys::lazy_file::LazyFile};
use crate::FileBytes;
use rustix::{
    fs::{
        AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, fchmod, flock, fstat, openat,
        statat, unlinkat,
    },
    io::retry_on_intr,
};
use std::{fs::File, io, os::fd::OwnedFd, path::Path, sync::Arc};

/// Makes the file and locks it for as long as it is open, by which others see that its writer
/// lives. Somebody who clears up may get the lock first, and removes the file then: we make another
/// one.
pub(super) fn create(folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let private = Mode::RUSR | Mode::WUSR;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
    loop {
        let file = openat(folder, name, flags, private)?;
        fchmod(&file, private)?;
        // Some network file systems have no locks. Nobody clears up there either.
        let _ = retry_on_intr(|| flock(&file, FlockOperation::LockExclusive));
        if is_named(folder, name, &fstat(&file)?) {
            return Ok(file);
        }
    }
}

/// Returns whether this name in the folder is this very file.
fn is_named(folder: &OwnedFd, name: &str, file: &rustix::fs::Stat) -> bool {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|found| identity(&found) == identity(file))
}

/// Whether a writer holds a file, or that cannot be told.
pub(crate) fn is_held(path: &Path) -> bool {
    // A shared lock, so that several who look do not take each other for a writer.
    let look = FlockOperation::NonBlockingLockShared;
    open_regular(path, OFlags::NOFOLLOW).map_or(true, |(file, _)| flock(&file, look).is_err())
}

/// Removes a file of ours that no process writes any more, if `left_over` says so of its content.
/// Returns whether it was removed.
pub(crate) fn remove_left_over(
    path: &Path,
    left_over: &dyn Fn(FileBytes) -> bool,
) -> io::Result<bool> {
    let (folder, name) = parts(path)?;
    remove_unheld(&folder, name, &|file, found| {
        let content = || LazyFile::new(file.try_clone().ok()?, found.st_size as usize).ok();
        found.st_uid == rustix::process::geteuid().as_raw()
            && content().is_some_and(|content| left_over(Arc::new(content)))
    })
}

/// Removes a file, unless a writer holds it. Returns whether it was removed.
pub(crate) fn remove_part(path: &Path) -> io::Result<bool> {
    let (folder, name) = parts(path)?;
    remove_unheld(&folder, name, &|_, _| true)
}

/// Removes what a run that was killed has left under this name, if it is a regular file. Failures are ignored.
pub(super) fn remove_stale(folder: &OwnedFd, name: &str) {
    let _ = remove_unheld(folder, name, &|_, _| true);
}

/// Removes a regular file that nobody holds, if it may go. It is held by us meanwhile, so that the name is nobody else's.
fn remove_unheld(
    folder: &OwnedFd,
    name: &str,
    may_go: &dyn Fn(&File, &Stat) -> bool,
) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file: File = openat(folder, name, flags, Mode::empty())?.into();
    let found = fstat(&file)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile
        || flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
        || !is_named(folder, name, &found)
        || !may_go(&file, &found)
    {
        return Ok(false);
    }
    unlinkat(folder, name, AtFlags::empty())?;
    Ok(true)
}

fn parts(path: &Path) -> io::Result<(OwnedFd, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let directory = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder.unwrap_or(Path::new(".")), directory, Mode::empty())?;
    Ok((folder, name))
}

pub(super) fn identity(found: &rustix::fs::Stat) -> (u64, u64) {
    (found.st_dev, found.st_ino)
}
