//! Opening the files behind the mappings of a process while it stands.
//!
//! That must not take long, whatever the files are: a server of a file system may not answer, and the owner of a file
//! may hold a lease on it (fcntl(2)), for which an open waits 45 s. So a thread of its own opens them, and what is not
//! open in time is left out.

use super::{
    files::expect_of,
    object_holders::{Holders, segment},
    proc::ProcDir,
};
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, fstat, fstatfs, open, openat, openat2},
    io::Errno,
};
use snapshot::{FileFacts, FileKey, Region, WallTime};
use std::{
    cell::OnceCell,
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::PathBuf,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

/// How long the process stands for it, at most.
const WITHIN: Duration = Duration::from_millis(500);

/// Types of file systems (statfs(2)): that of memfd, `/dev/shm` and shared memory, and those whose server may never
/// answer. A mount that was detached is not in the list of mounts, so that the type has to be asked for.
const TMPFS: u32 = 0x0102_1994;
const REMOTE: [u32; 9] = [
    0x6573_5546, // FUSE
    0x6969,      // NFS
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x0102_1997, // 9p
    0x00c3_6400, // Ceph
    0x5346_414f, // AFS
    0x6b41_4653, // kAFS
    0x0bd0_0bd0, // Lustre
];

/// A file that was opened.
pub(super) struct Opened {
    pub(super) file: Arc<File>,
    /// Whether it lies in memory.
    pub(super) is_on_tmpfs: bool,
    pub(super) facts: FileFacts,
}

/// What came of the files.
#[derive(Default)]
pub(super) struct Files {
    /// The files that are open.
    pub(super) opened: HashMap<FileKey, Opened>,
    /// Those that are of no use: no regular files, or behind a server that may not answer.
    pub(super) useless: HashSet<FileKey>,
}

/// Which files are opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Only those in memory.
    OnTmpfs,
}

impl Files {
    /// Opens the files of these regions, of each the first mapping.
    pub(super) fn open<'r>(
        proc: &ProcDir,
        regions: impl Iterator<Item = &'r Region>,
        which: Which,
    ) -> Self {
        let mut files = Self::default();
        let mut seen = HashSet::new();
        let wanted: Vec<Region> = regions
            .filter(|region| seen.insert(region.file_key()))
            .map(|region| Region {
                resident: Vec::new(),
                private_pages: Vec::new(),
                ..region.clone()
            })
            .collect();
        let Ok(folder) = proc.fd().try_clone() else {
            return files;
        };
        let (tell, answers) = mpsc::channel();
        std::thread::spawn(move || {
            let finder = Finder::new(folder, &wanted);
            let answer = |region: &Region| (region.file_key(), open_one(&finder, region, which));
            // Nobody listens any more when the time is over.
            let _ = wanted
                .iter()
                .try_for_each(|region| tell.send(answer(region)));
        });
        let end = Instant::now() + WITHIN;
        while let Ok((key, answer)) =
            answers.recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            match answer {
                Ok(Some(opened)) => drop(files.opened.insert(key, opened)),
                Ok(None) => drop(files.useless.insert(key)),
                Err(_) => {}
            }
        }
        files
    }
}

/// Opens a file; `None` if it is of no use. Nothing is opened for reading before that is known.
fn open_one(finder: &Finder<'_>, region: &Region, which: Which) -> io::Result<Option<Opened>> {
    let path = finder.find(region)?;
    let is_regular = fstat(&path)?.st_mode & libc::S_IFMT == libc::S_IFREG;
    // A number of 32 bits, in a word that has a sign.
    let kind = fstatfs(&path)?.f_type as u32;
    let is_on_tmpfs = kind == TMPFS;
    if !is_regular || REMOTE.contains(&kind) || which == Which::OnTmpfs && !is_on_tmpfs {
        return Ok(None);
    }
    let path = path_of(&path);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file: File = open(path, flags, Mode::empty())?.into();
    let found = file.metadata()?;
    let seconds = found.mtime().saturating_mul(1_000_000_000);
    Ok(Some(Opened {
        facts: FileFacts {
            size: found.size(),
            modified: WallTime(seconds.saturating_add(found.mtime_nsec())),
        },
        is_on_tmpfs,
        file: Arc::new(file),
    }))
}

/// Finds a mapped file by its name, if that is the same file: its device and inode. It is found by what the kernel has in
/// its cache, where the names of all files are that are open, or were a moment ago: nobody's server is asked, so that
/// this never hangs.
///
/// # Errors
/// If it has this name no more, or the kernel is older than 5.12, which cannot look so.
pub(super) fn by_name(region: &Region) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found = openat2(
        CWD,
        &region.name,
        flags,
        Mode::empty(),
        ResolveFlags::CACHED,
    )?;
    expect_of(region, found)
}

/// Returns a path by which a file can be opened that was found.
pub(super) fn path_of(found: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", found.as_raw_fd()).into()
}

/// Finds the files of one process.
struct Finder<'r> {
    /// Its folder in `/proc`.
    folder: OwnedFd,
    wanted: &'r [Region],
    /// Who else has what is shared, once that is asked for.
    holders: OnceCell<Holders>,
}

impl<'r> Finder<'r> {
    fn new(folder: OwnedFd, wanted: &'r [Region]) -> Self {
        Self {
            folder,
            wanted,
            holders: OnceCell::new(),
        }
    }

    /// Finds a mapped file. What a process that is gone had mapped is found by its name, or by others who have it.
    fn find(&self, region: &Region) -> io::Result<OwnedFd> {
        found(&self.folder, region).or_else(|error| match error.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH) => self.find_of_gone(region),
            _ => Err(error),
        })
    }

    /// All processes are looked through only for what others may have.
    fn find_of_gone(&self, region: &Region) -> io::Result<OwnedFd> {
        let found = by_name(region);
        if found.is_ok() || !region.shared {
            return found;
        }
        let holders = || self.holders.get_or_init(|| Holders::of(self.wanted));
        segment(region).or_else(|_| holders().find(region))
    }
}

/// Finds the mapped file itself, even if it was deleted. Who may not (that takes root) finds it by its path, if that is
/// the same file: its device and inode. The path alone, and the inode, are the choice of a process that may want us to
/// read for it what it cannot read itself.
fn found(folder: &OwnedFd, region: &Region) -> io::Result<OwnedFd> {
    let range = region.range;
    let name = format!("map_files/{:x}-{:x}", range.start, range.end);
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match openat(folder, name, flags, Mode::empty()) {
        Ok(found) => Ok(found),
        Err(Errno::PERM | Errno::ACCESS) if !rustix::process::geteuid().is_root() => {
            expect_of(region, open(&region.name, flags, Mode::empty())?)
        }
        Err(error) => Err(error.into()),
    }
}
