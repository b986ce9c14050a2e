//! Files that dumps are written to, and files that are read although others may have made them.
//!
//! Everything is done relative to an open folder and without following links (openat(2),
//! `O_NOFOLLOW`), so that nobody can redirect us while we work. A partial file is [held](held_files) as long
//! as its writer lives.

use super::{
    acl,
    held_files::{self, identity},
    regular_files::{open_regular, open_regular_as, open_regular_below},
    space,
    sys::{lazy_file::LazyFile, page_cache, share},
};
use crate::{FileBytes, FileIdentity, MakeContent, Trusted, failpoint, lock};
use rustix::fs::{
    AtFlags, FallocateFlags, FileType, Mode, OFlags, RenameFlags, StatxFlags, fallocate, fstat,
    linkat, makedev, openat, renameat, renameat_with, statat, statx, unlinkat,
};
use snapshot::{Range, Region};
use std::{
    fs::File,
    io::{self, Read},
    ops,
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// A file that is being written, and the folder that it is in.
#[derive(Debug)]
pub(crate) struct RawOutput {
    folder: OwnedFd,
    partial: String,
    file: File,
    /// The same file opened for direct writes, past the page cache; `None` if the file system does
    /// not support that.
    direct: Option<File>,
    /// How many bytes were written so far.
    written: AtomicU64,
    /// Where small parts were written that were not waited for.
    cached: Cached,
}

/// A range of a file that has bytes in the page cache, and how many.
#[derive(Debug, Default)]
struct Cached(Mutex<(Range, u64)>);

impl Cached {
    /// Adds a range with so many bytes. Returns the whole range if they are too many to stay in the cache.
    fn add(&self, range: Range, bytes: u64) -> Option<Range> {
        let mut cached = lock(&self.0);
        let (whole, sum) = &mut *cached;
        match whole.is_empty() {
            _ if bytes == 0 => return None,
            true => *whole = range,
            false => *whole = Range::new(whole.start.min(range.start), whole.end.max(range.end)),
        }
        *sum += bytes;
        (*sum > UNWAITED).then(|| std::mem::take(&mut *cached).0)
    }
}

/// The alignment of direct writes in bytes: the largest logical block size of common disks.
const BLOCK: usize = 4096;
/// The number of bytes from which on a write is waited for, where it cannot go past the page cache.
const LARGE: usize = 64 << 10;
/// How many bytes of each file may stay in the page cache until it is synced. A whole small dump does: its target stood for
/// 6 ms, of which 5 were those of the disk.
const UNWAITED: u64 = 4 << 20;

/// Makes the file that is to be called `name` in `folder`, under the temporary name `partial`. Only its owner can read it, whatever the umask.
///
/// # Errors
/// `AlreadyExists` if `name` exists and may not be overwritten, or `partial` does; where `name` may be, only if somebody
/// writes to `partial`, or it is no regular file.
pub(crate) fn create_output(
    folder: &Path,
    name: &str,
    partial: String,
    overwrite: bool,
) -> io::Result<RawOutput> {
    let directory = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, directory, Mode::empty())?;
    expect_free(&folder, name, overwrite)?;
    if overwrite {
        held_files::remove_stale(&folder, &partial);
    }
    let file = held_files::create(&folder, &partial)?;
    let past_cache = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::DIRECT;
    let opened = failpoint("direct")
        .and_then(|()| Ok(openat(&folder, &partial, past_cache, Mode::empty())?));
    let direct = opened
        .ok()
        .map(File::from)
        .filter(|direct| is_same(direct, &file));
    Ok(RawOutput {
        folder,
        partial,
        file: file.into(),
        direct,
        written: AtomicU64::new(0),
        cached: Cached::default(),
    })
}

/// Checks that a file may get this name: nothing has it, or a regular file that may be overwritten.
fn expect_free(folder: &OwnedFd, name: &str, overwrite: bool) -> io::Result<()> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile => {
            match overwrite {
                true => Ok(()),
                false => Err(io::ErrorKind::AlreadyExists.into()),
            }
        }
        Ok(found) if is_device(&found) => Err(io::Error::other(
            "it is a device; `-o -` writes to standard output",
        )),
        Ok(_) if overwrite => Err(io::Error::other("it exists and is no regular file")),
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_device(found: &rustix::fs::Stat) -> bool {
    let kind = FileType::from_raw_mode(found.st_mode);
    matches!(kind, FileType::CharacterDevice | FileType::BlockDevice)
}

/// Returns whether both are the same file, so that nobody has replaced it meanwhile.
fn is_same(one: &File, other: &OwnedFd) -> bool {
    match (fstat(one), fstat(other)) {
        (Ok(one), Ok(other)) => identity(&one) == identity(&other),
        _ => false,
    }
}

impl RawOutput {
    /// See [`OutFile::is_private`](crate::OutFile::is_private).
    pub(crate) fn is_private(&self) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        let found = self.file.metadata();
        found.is_ok_and(|found| found.permissions().mode() & 0o077 == 0)
    }

    /// See [`OutFile::allow_reader`](crate::OutFile::allow_reader).
    pub(crate) fn allow_reader(&self, uid: u32) -> io::Result<()> {
        acl::allow(&self.folder, uid, acl::ENTER)?;
        acl::allow(&self.file, uid, acl::READ)
    }

    /// See [`OutFile::reserve`](crate::OutFile::reserve).
    pub(crate) fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()> {
        match fallocate(&self.file, FallocateFlags::empty(), offset, bytes) {
            Ok(()) => Ok(()),
            // Some file systems cannot do it (ZFS, some network file systems): check the free space
            // instead.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => self.expect_room(bytes),
            Err(error) => Err(error.into()),
        }
    }

    /// Fails if the file system has less than `bytes` free.
    pub(crate) fn expect_room(&self, bytes: u64) -> io::Result<()> {
        match space::of(&self.file)?.free < bytes {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    /// See [`OutFile::give_back`](crate::OutFile::give_back).
    pub(crate) fn give_back(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(&self.file, hole, offset, bytes)?)
    }

    /// Writes all of `bytes`. Behind the first few MiB, whole blocks go past the page cache: the dump of a large process
    /// would push everything else out of it, and is written faster so.
    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let len = bytes.len() as u64;
        if self.written.fetch_add(len, Ordering::Relaxed) + len <= UNWAITED {
            return self.file.write_all_at(bytes, offset);
        }
        let aligned = offset.is_multiple_of(BLOCK as u64)
            && bytes.len().is_multiple_of(BLOCK)
            && bytes.as_ptr().addr().is_multiple_of(BLOCK);
        match self.direct.as_ref().filter(|_| aligned) {
            Some(direct) => match direct.write_all_at(bytes, offset) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                    self.write_through_cache(offset, bytes)
                }
                result => result,
            },
            None => self.write_through_cache(offset, bytes),
        }
    }

    /// See [`OutFile::write_parts`](crate::OutFile::write_parts). Small ones are waited for together: one by one that took ten
    /// times as long.
    pub(crate) fn write_parts(
        &self,
        offset: u64,
        bytes: &[u8],
        parts: &[ops::Range<usize>],
    ) -> io::Result<()> {
        let is_small = |part: &ops::Range<usize>| parts.len() > 1 && part.len() < LARGE;
        for part in parts {
            let (at, content) = (offset + part.start as u64, &bytes[part.clone()]);
            match is_small(part) {
                true => self.file.write_all_at(content, at)?,
                false => self.write_at(at, content)?,
            }
        }
        let small = parts.iter().filter(|part| is_small(part));
        let small: usize = small.map(|part| part.len()).sum();
        let range = Range::new(offset, offset + bytes.len() as u64);
        match self.cached.add(range, small as u64) {
            Some(range) => page_cache::write_out(&self.file, range.start, range.len() as usize),
            None => Ok(()),
        }
    }

    /// Writes through the page cache, but leaves nothing large in it. Its pages count as memory of our
    /// control group, and in a container that is the target's: a dump near its limit would have the
    /// kernel kill.
    fn write_through_cache(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        match bytes.len() < LARGE {
            true => Ok(()),
            false => page_cache::write_out(&self.file, offset, bytes.len()),
        }
    }

    /// See [`OutFile::may_share`](crate::OutFile::may_share).
    pub(crate) fn may_share(&self) -> bool {
        share::is_likely(&self.file)
    }

    /// See [`OutFile::share`](crate::OutFile::share).
    pub(crate) fn share(&self, offset: u64, earlier: &File, from: u64, len: u64) -> io::Result<()> {
        share::share(&self.file, offset, earlier, from, len)
    }

    pub(crate) fn identity(&self) -> io::Result<FileIdentity> {
        Ok(state_of(&self.file.metadata()?))
    }

    /// Reads up to as many bytes as `buffer` has. Nothing of them stays in the page cache.
    pub(crate) fn read_some(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, offset)?;
        page_cache::drop_read(&self.file, offset, count);
        Ok(count)
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()?;
        // Only an advice: what was not waited for is on the disk now, and need not stay in memory.
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed);
        Ok(())
    }

    /// Renames the file to `name`. In a folder that others may write to, somebody may have put
    /// another file in the place of ours: that one gets no name from us.
    ///
    /// # Errors
    /// `AlreadyExists` if `name` exists and may not be replaced.
    pub(crate) fn publish(&self, name: &str, replace: bool) -> io::Result<()> {
        self.must_be_ours(&self.partial)?;
        match replace {
            true => renameat(&self.folder, &self.partial, &self.folder, name)?,
            false => self.take_free_name(name)?,
        }
        let _ = rustix::fs::fsync(&self.folder);
        match self.must_be_ours(name) {
            // It had its name: who keeps the limits of the folder may have deleted it at once.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            checked => checked,
        }
    }

    /// Renames the file, unless the name is taken. FUSE, NFS and 9p refuse a rename that must not replace (EINVAL,
    /// renameat2(2)); there a link does it, and where there are no links, a rename over an empty file of our own.
    fn take_free_name(&self, name: &str) -> io::Result<()> {
        let (folder, partial) = (&self.folder, &self.partial);
        let flags = RenameFlags::NOREPLACE;
        let renamed = failpoint("rename")
            .and_then(|()| Ok(renameat_with(folder, partial, folder, name, flags)?));
        let Err(error) = renamed else { return Ok(()) };
        if error.kind() == io::ErrorKind::AlreadyExists {
            return Err(error);
        }
        let linked = failpoint("link")
            .and_then(|()| Ok(linkat(folder, partial, folder, name, AtFlags::empty())?));
        match linked {
            Ok(()) => Ok(unlinkat(folder, partial, AtFlags::empty())?),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            Err(_) => self.replace_our_own(name),
        }
    }

    /// Takes the name with an empty file, and renames the file over that.
    fn replace_our_own(&self, name: &str) -> io::Result<()> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let placeholder = openat(&self.folder, name, flags, Mode::RUSR | Mode::WUSR)?;
        let found = statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if identity(&found) != identity(&fstat(&placeholder)?) {
            return Err(io::Error::other("somebody put another file in its place"));
        }
        let renamed = renameat(&self.folder, &self.partial, &self.folder, name);
        if renamed.is_err() {
            let _ = unlinkat(&self.folder, name, AtFlags::empty());
        }
        Ok(renamed?)
    }

    fn must_be_ours(&self, name: &str) -> io::Result<()> {
        let found = statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if identity(&found) == identity(&fstat(&self.file)?) {
            return Ok(());
        }
        Err(io::Error::other(
            "somebody put another file in its place; the folder is not safe",
        ))
    }

    /// Whether the file still has its temporary name.
    pub(crate) fn is_there(&self) -> bool {
        self.must_be_ours(&self.partial).is_ok()
    }

    /// Removes the partial file. Failures are ignored.
    pub(crate) fn remove(&self) {
        let _ = unlinkat(&self.folder, &self.partial, AtFlags::empty());
    }
}

/// Opens the file that is behind a mapping of a process.
pub(crate) fn open_mapped(pid: u32, region: &Region) -> Option<FileBytes> {
    open_file(&mapped_path(pid, region)?, None).ok()
}

/// Returns a path by which the file behind a mapping can be opened: in `/proc/PID/map_files` if we
/// may, which also works for a deleted file or another mount namespace; else its own path, if that
/// still is the same file.
pub(crate) fn mapped_path(pid: u32, region: &Region) -> Option<PathBuf> {
    let range = region.range;
    let link = format!("/proc/{pid}/map_files/{:x}-{:x}", range.start, range.end);
    let by_path = || {
        let found = std::fs::metadata(&region.name).ok()?;
        // Names and inodes are the process's choice; root must not be led to another file by them. (The device may
        // differ on btrfs and overlayfs.)
        let is_there =
            device_number(found.dev()) == region.device || !rustix::process::geteuid().is_root();
        let same = found.ino() == region.inode && found.is_file();
        (same && is_there).then(|| PathBuf::from(&region.name))
    };
    // The process may have executed another program since, of which another file is mapped there.
    let name = std::fs::read_link(&link).unwrap_or_default();
    let name = name.to_string_lossy();
    let is_it = name.strip_suffix(" (deleted)").unwrap_or(&name) == region.name;
    let is_there = is_it && std::fs::metadata(&link).is_ok_and(|found| found.is_file());
    if is_there {
        Some(link.into())
    } else {
        by_path()
    }
}

/// A device of stat(2) as a [`Region`] has it: the major number in the upper half.
pub(super) fn device_number(device: rustix::fs::Dev) -> u64 {
    u64::from(rustix::fs::major(device)) << 32 | u64::from(rustix::fs::minor(device))
}

/// Returns what was found if it is the file of a region: its device and inode. Nobody's server is asked.
///
/// # Errors
/// If it is another file.
pub(super) fn expect_of(region: &Region, found: OwnedFd) -> io::Result<OwnedFd> {
    let unasked = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = statx(&found, "", unasked, StatxFlags::TYPE | StatxFlags::INO)?;
    let device = device_number(makedev(stat.stx_dev_major, stat.stx_dev_minor));
    match (device, stat.stx_ino) == region.file_key() {
        true => Ok(found),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Opens a regular file; what is looked at is read. `user` is who has to be able to read it, if we are root.
pub(crate) fn open_file(path: &Path, user: Option<u32>) -> io::Result<FileBytes> {
    let user = user.filter(|user| *user != 0 && rustix::process::geteuid().is_root());
    let (file, found) = match user {
        Some(user) => open_regular_as(path, user)?,
        None => open_regular(path, OFlags::empty())?,
    };
    Ok(Arc::new(LazyFile::new(file, found.st_size as usize)?))
}

/// See [`crate::open_file_below`].
pub(crate) fn open_file_below(folder: &Path, path: &Path) -> io::Result<FileBytes> {
    let (file, found) = open_regular_below(folder, path)?;
    Ok(Arc::new(LazyFile::new(file, found.st_size as usize)?))
}

/// See [`crate::made_content`].
pub(crate) fn made_content(len: u64, make: MakeContent) -> io::Result<FileBytes> {
    Ok(Arc::new(LazyFile::made(make, len as usize)?))
}

/// What was written to a file of ours.
pub(crate) fn content_of(file: File, len: u64) -> io::Result<FileBytes> {
    Ok(Arc::new(LazyFile::new(file, len as usize)?))
}

/// Opens a regular file that must not be a link.
pub(crate) fn open_plain(path: &Path) -> io::Result<File> {
    Ok(open_regular(path, OFlags::NOFOLLOW)?.0)
}

/// See [`crate::open_unchanged`].
pub(crate) fn open_unchanged(path: &Path, wanted: &FileIdentity) -> io::Result<File> {
    let file = open_plain(path)?;
    match is_unchanged(&file, wanted) {
        true => Ok(file),
        false => Err(io::Error::other("it was changed or replaced")),
    }
}

/// See [`crate::is_unchanged`].
pub(crate) fn is_unchanged(file: &File, wanted: &FileIdentity) -> bool {
    file.metadata()
        .is_ok_and(|found| state_of(&found) == *wanted)
}

/// What tells a file and the state of its content from all others. The time of the last change of the inode tells also of
/// content that was written through a mapping and of a time that was set back.
pub(super) fn state_of(found: &std::fs::Metadata) -> FileIdentity {
    let changed = found.ctime().wrapping_mul(1_000_000_000) + found.ctime_nsec();
    FileIdentity([
        found.dev() as i64,
        found.ino() as i64,
        found.size() as i64,
        found.mtime(),
        changed,
    ])
}

/// See [`crate::is_own`].
pub(crate) fn is_own(path: &Path) -> bool {
    owner_of(path) == Some(rustix::process::geteuid().as_raw())
}

/// See [`crate::owner_of`].
pub(crate) fn owner_of(path: &Path) -> Option<u32> {
    Some(path.metadata().ok()?.uid())
}

/// The bytes that a file takes on the disk.
pub(crate) fn on_disk(file: &std::fs::Metadata) -> u64 {
    file.blocks() * 512
}

/// See [`crate::patch_file`].
pub(crate) fn patch_file(path: &Path, patches: &[(u64, Vec<u8>)]) -> io::Result<()> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file: File = rustix::fs::open(path, flags, Mode::empty())?.into();
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    for (offset, bytes) in patches {
        file.write_all_at(bytes, *offset)?;
    }
    file.set_modified(found.modified()?)
}

/// Reads a file that decides what we do. Returns it with whether everybody may write to it.
pub(crate) fn read_trusted(path: &Path) -> io::Result<(Trusted, bool)> {
    let (file, found) = open_regular(path, OFlags::empty())?;
    let parent = path
        .parent()
        .filter(|parent| *parent != Path::new(""))
        .unwrap_or(Path::new("."));
    let folder = rustix::fs::stat(parent)?;
    let private = |mode: u32, uid: u32| uid == 0 && mode & 0o022 == 0;
    let administrator =
        private(found.st_mode, found.st_uid) && private(folder.st_mode, folder.st_uid);
    let mut bytes = Vec::new();
    file.take(crate::trust::LARGEST).read_to_end(&mut bytes)?;
    Ok((
        Trusted {
            bytes,
            administrator,
        },
        found.st_mode & 0o002 != 0,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c6_small_parts_are_waited_for_together() {
        let cached = Cached::default();
        let range = |number: u64| Range::new(number << 16, (number << 16) + 4096);
        assert_eq!(cached.add(Range::new(0, 8192), 0), None, "none was small");
        let mut waited = Vec::new();
        for number in (0..2 * UNWAITED / 4096 + 2).rev() {
            waited.extend(cached.add(range(number), 4096));
        }
        let middle = UNWAITED / 4096 + 1;
        let of = |first: u64, last: u64| Range::new(range(first).start, range(last).end);
        assert_eq!(waited, [of(middle, 2 * middle - 1), of(0, middle - 1)]);
    }

    #[test]
    fn c6_parts_of_all_sizes_stand_where_they_belong() {
        let folder = tempfile::tempdir().unwrap();
        let file = create_output(folder.path(), "a", ".a.partial".to_owned(), false).unwrap();
        let bytes: Vec<u8> = (0..1 << 20).map(|at| (at >> 12) as u8 | 1).collect();
        let parts = [0..100, 4096..8192, 1 << 18..1 << 19, (1 << 20) - 1..1 << 20];
        for offset in [0, 16 << 20] {
            file.write_parts(offset, &bytes, &parts).unwrap();
        }
        let written = std::fs::read(folder.path().join(".a.partial")).unwrap();
        let mut wanted = vec![0; 17 << 20];
        for offset in [0, 16 << 20] {
            for part in parts.clone() {
                let place = offset + part.start..offset + part.end;
                wanted[place].copy_from_slice(&bytes[part]);
            }
        }
        assert!(written == wanted);
    }
}
