//! An open `/proc/PID`: files are opened relative to it, so that they never are those of another
//! process that got the pid.

use super::{
    bounds,
    kept_file::KeptFile,
    large::{Large, Of},
    map_text, own_texts,
    regions::Regions,
    stat::{self, Stat},
};
use crate::{Error, ErrorKind, Result, lock};
use rustix::fs::{Mode, OFlags, openat};
use snapshot::ProcessKey;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
};

/// An open `/proc/PID`. Reads fail with ESRCH when that process is gone.
pub(crate) struct ProcDir {
    /// The identity of the process.
    pub(crate) key: ProcessKey,
    dir: OwnedFd,
    living: Mutex<Arc<LivingThread>>,
    /// Files that were opened while the process lived. If its address space is kept, they can still
    /// be read when it is gone.
    kept: BTreeMap<&'static str, KeptFile>,
    /// Whether the process is gone, and [`ProcDir::keep`] has to be relied on.
    pub(crate) is_gone: bool,
    /// Whether it may be gone in a moment, so that there is no time to wait until others have been read.
    pub(crate) is_ending: bool,
}

/// The parts of an open `/proc/PID`, as they can be sent to another process of ours.
pub(crate) struct ProcDirParts {
    pub(crate) dir: OwnedFd,
    /// A living thread, and its folder `task/TID`.
    pub(crate) tid: i32,
    pub(crate) task: OwnedFd,
    pub(crate) kept: Vec<(&'static str, KeptFile)>,
}

/// A living thread: the first thread, or if that has ended, another one. A thread that has ended has
/// neither mappings nor memory, and the first one stays in `/proc` after its end.
struct LivingThread {
    tid: i32,
    /// The folder `task/TID`.
    dir: OwnedFd,
}

impl ProcDir {
    /// Opens the folder of the process that has this pid now.
    ///
    /// # Errors
    /// If there is none, or it is a zombie.
    pub(crate) fn open_pid(pid: u32) -> Result<Self> {
        let key = ProcessKey { pid, start: 0 };
        let failed = |error: io::Error| no_process(pid, &error);
        let dir = open_dir(pid).map_err(failed)?;
        let stat = read_stat(&dir).map_err(failed)?;
        let start = stat.start;
        Self::of_folder(ProcessKey { start, ..key }, dir)
    }

    /// Takes over the folder of a process.
    ///
    /// # Errors
    /// If it has ended, or is a zombie.
    pub(crate) fn of_folder(key: ProcessKey, dir: OwnedFd) -> Result<Self> {
        let living = Mutex::new(Arc::new(living_thread(&dir, key.pid)?));
        Ok(Self {
            key,
            dir,
            living,
            kept: BTreeMap::new(),
            is_gone: false,
            is_ending: false,
        })
    }

    /// Opens the folder of exactly this process.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) fn open(key: ProcessKey) -> Result<Self> {
        let dir = Self::open_pid(key.pid)?;
        if dir.key == key {
            return Ok(dir);
        }
        let what = format!("process {key} has ended, and another one has its pid now");
        Err(Error::new(ErrorKind::NoSuchProcess, what))
    }

    /// Takes it apart. `None` if somebody reads just now.
    pub(crate) fn into_parts(self) -> Option<ProcDirParts> {
        let living = self.living.into_inner();
        let living = Arc::into_inner(living.unwrap_or_else(PoisonError::into_inner))?;
        Some(ProcDirParts {
            dir: self.dir,
            tid: living.tid,
            task: living.dir,
            kept: self.kept.into_iter().collect(),
        })
    }

    /// Puts the parts of a process's folder together again.
    pub(crate) fn of_parts(key: ProcessKey, parts: ProcDirParts) -> Self {
        let ProcDirParts {
            dir,
            tid,
            task,
            kept,
        } = parts;
        Self {
            key,
            dir,
            living: Mutex::new(Arc::new(LivingThread { tid, dir: task })),
            kept: kept.into_iter().collect(),
            is_gone: false,
            is_ending: false,
        }
    }

    /// Reads `stat` of the process.
    pub(crate) fn stat(&self) -> io::Result<Stat> {
        match self.kept("stat") {
            Some(file) => parse_stat(&file.read(bounds::most("stat"))?),
            None => read_stat(&self.dir),
        }
    }

    /// Reads `stat` of a thread.
    pub(crate) fn thread_stat(&self, tid: i32) -> io::Result<Stat> {
        parse_stat(&read_file(&self.dir, &format!("task/{tid}/stat"))?)
    }

    /// Reads `stat` of each thread that is there.
    pub(crate) fn thread_stats(&self) -> impl Iterator<Item = Stat> {
        let threads = self.tasks().unwrap_or_default().into_iter();
        threads.filter_map(|tid| self.thread_stat(tid).ok())
    }

    /// Reads a file with facts of the process, as `status`, `cgroup` or `task/TID/comm`.
    pub(crate) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        match self.kept(name) {
            Some(file) => file.read(bounds::most(name)),
            None => read_file(&self.dir, name),
        }
    }

    /// Reads a file with facts of the address space, as `maps` or `auxv`, from a living thread.
    pub(crate) fn read_living(&self, name: &str) -> io::Result<Vec<u8>> {
        match self.kept(name) {
            Some(file) => file.read(bounds::most(name)),
            None => read_file(&self.living().dir, name),
        }
    }

    /// Returns the id of a living thread.
    pub(crate) fn living_tid(&self) -> i32 {
        self.living().tid
    }

    /// Takes a thread for the living one, as long as it lives. Others may be on their way out, and have no memory any more.
    pub(crate) fn look_by(&self, tid: i32) -> io::Result<()> {
        let dir = open_task(&self.dir, tid)?;
        let mut living = lock(&self.living);
        *living = Arc::new(LivingThread { tid, dir });
        Ok(())
    }

    /// Returns a living thread: another one than before if that has ended. If none lives, it is the
    /// last that did.
    fn living(&self) -> Arc<LivingThread> {
        let mut living = lock(&self.living);
        if !lives(&living.dir)
            && let Ok(other) = living_thread(&self.dir, self.key.pid)
        {
            *living = Arc::new(other);
        }
        living.clone()
    }

    fn kept(&self, name: &str) -> Option<&KeptFile> {
        self.kept.get(name).filter(|_| self.is_gone)
    }

    /// Opens these files of a living thread, for use when no thread lives any more.
    pub(crate) fn keep(&mut self, names: &[&'static str]) -> io::Result<()> {
        for name in names {
            let file = self.open_living(name)?;
            self.kept.insert(name, KeptFile::File(file));
        }
        Ok(())
    }

    /// Keeps the environment, unless reading it may keep us waiting.
    pub(crate) fn keep_environment(&mut self) -> io::Result<()> {
        match expect_quick(self.dir.as_fd(), "environ", bounds::most("environ")) {
            Ok(()) => self.keep(&["environ"]),
            Err(_) => self.keep_text("environ", b""),
        }
    }

    /// Returns the auxiliary vector of the program that runs now: no two programs have the same, as it has random addresses.
    /// It is empty if the process is ending, or may not be looked at.
    pub(crate) fn auxv(&self) -> Vec<u8> {
        self.read_living("auxv").unwrap_or_default()
    }

    /// Returns the regions of the address space.
    pub(crate) fn regions(&self) -> io::Result<Regions> {
        let (text, large) = match self.kept("maps") {
            Some(file) => {
                let large = file.is_long().then(|| self.turn(Of::KeptMap));
                (file.read(bounds::most("maps"))?, large)
            }
            None => self.map_text()?,
        };
        Ok(Regions::of_text(text, large))
    }

    /// Waits for the right to have something large of this process.
    pub(crate) fn turn(&self, of: Of) -> Large {
        Large::wait(of, &self.read("status").unwrap_or_default())
    }

    /// Returns whether a process that is gone had many mappings.
    pub(crate) fn has_large_map(&self) -> bool {
        self.kept("maps").is_some_and(KeptFile::is_long)
    }

    /// Copies the text of the mappings, which cannot be read when the process is gone. If it cannot be read now, its older
    /// copy is kept.
    ///
    /// # Errors
    /// If it cannot be read, or is empty.
    pub(crate) fn keep_maps(&mut self) -> io::Result<()> {
        let (text, _large) = self.map_text()?;
        if text.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.keep_text("maps", &text)
    }

    fn map_text(&self) -> io::Result<(Vec<u8>, Option<Large>)> {
        let maps = open_in(&self.living().dir, "maps")?;
        let mut large = None;
        let text = map_text::read(&maps, bounds::most("maps"), || {
            large = (!self.is_ending).then(|| self.turn(Of::Map));
        })?;
        Ok((text, large))
    }

    /// Keeps the text of a file.
    pub(crate) fn keep_text(&mut self, name: &'static str, text: &[u8]) -> io::Result<()> {
        self.kept.insert(name, KeptFile::of_text(text)?);
        Ok(())
    }

    /// Opens a file of the process.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<File> {
        open_in(&self.dir, name)
    }

    /// Opens a file of a living thread, or the kept one if the process is gone.
    pub(crate) fn open_living(&self, name: &str) -> io::Result<File> {
        if let Some(file) = self.kept(name) {
            return file.open();
        }
        open_in(&self.living().dir, name)
    }

    /// Opens a file that was [kept](ProcDir::keep), also if the process is not gone yet.
    ///
    /// # Errors
    /// If it was not kept.
    pub(crate) fn open_kept(&self, name: &str) -> io::Result<File> {
        let file = self.kept.get(name).ok_or(io::ErrorKind::NotFound)?;
        file.open()
    }

    /// Returns the destination of a link of the process, as `exe`.
    pub(crate) fn link(&self, name: &str) -> io::Result<String> {
        match self.kept(name) {
            Some(file) => {
                let text = file.read(bounds::most(name))?;
                Ok(String::from_utf8_lossy(&text).into_owned())
            }
            None => link(&self.living().dir, name),
        }
    }

    /// Returns the folder itself.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.dir
    }

    /// Returns the number of open descriptors: the size of the folder `fd` since Linux 6.2, before
    /// that the number of its entries. `None` if the process is gone or belongs to another user.
    pub(crate) fn descriptors(&self) -> Option<u64> {
        // A first thread that has ended has none.
        let own = descriptors_of(&self.dir).filter(|count| *count > 0);
        own.or_else(|| descriptors_of(&self.living().dir))
    }

    /// Returns the thread ids, ascending.
    pub(crate) fn tasks(&self) -> io::Result<Vec<i32>> {
        tasks(&self.dir)
    }
}

fn no_process(pid: u32, error: &io::Error) -> Error {
    let key = ProcessKey { pid, start: 0 };
    match Error::of_process("looking", key, error).kind {
        ErrorKind::NoSuchProcess => Error::new(
            ErrorKind::NoSuchProcess,
            format!("there is no process {pid}"),
        )
        .advise("`firstchance ps` lists the processes."),
        kind => Error::new(kind, format!("looking at process {pid} failed: {error}")),
    }
}

/// Opens the folder of the process that has this pid now.
pub(crate) fn open_dir(pid: u32) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    let dir = rustix::fs::open(format!("/proc/{pid}"), flags, Mode::empty())?;
    Ok(dir)
}

/// Returns all pids, ascending.
pub(crate) fn all_pids() -> io::Result<Vec<i32>> {
    numbers_in(rustix::fs::CWD, "/proc")
}

/// As [`all_pids`], with the inode of the folder of each process.
pub(crate) fn all_pids_and_folders() -> io::Result<Vec<(i32, u64)>> {
    numbers_and_inodes_in(rustix::fs::CWD, "/proc")
}

/// Reads and parses `stat` below an open folder.
pub(crate) fn read_stat(dir: impl AsFd) -> io::Result<Stat> {
    parse_stat(&read_file(dir, "stat")?)
}

fn parse_stat(text: &[u8]) -> io::Result<Stat> {
    stat::parse(text).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Opens the folder of the first thread if that lives, else of another living thread.
fn living_thread(dir: &OwnedFd, pid: u32) -> Result<LivingThread> {
    if let Some(dir) = open_task(dir, pid as i32).ok().filter(lives) {
        return Ok(LivingThread {
            tid: pid as i32,
            dir,
        });
    }
    let gone = |error: io::Error| no_process(pid, &error);
    let mut all = tasks(dir).map_err(gone)?;
    // Thread ids wrap around, so that other threads may come before the first one.
    all.sort_by_key(|&tid| tid as u32 != pid);
    let mut last = None;
    for tid in all {
        let Ok(task) = open_task(dir, tid) else {
            continue;
        };
        if lives(&task) {
            return Ok(LivingThread { tid, dir: task });
        }
        last = Some(tid);
    }
    let what = match last {
        Some(_) => format!(
            "process {pid} has ended and waits for its parent (a zombie): it has no memory left"
        ),
        None => format!("there is no process {pid}"),
    };
    Err(Error::new(ErrorKind::NoSuchProcess, what))
}

fn open_task(dir: &OwnedFd, tid: i32) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    Ok(openat(dir, format!("task/{tid}"), flags, Mode::empty())?)
}

/// Returns whether the thread with this folder has not ended.
fn lives(task: &OwnedFd) -> bool {
    read_stat(task).is_ok_and(|stat| !stat.has_ended())
}

/// Returns how many descriptors a thread has open. Since Linux 6.2 that is the size of the folder.
fn descriptors_of(dir: &OwnedFd) -> Option<u64> {
    let found = rustix::fs::statat(dir, "fd", rustix::fs::AtFlags::empty()).ok()?;
    match found.st_size {
        0 => numbers_in(dir, "fd").ok().map(|fds| fds.len() as u64),
        size => Some(size as u64),
    }
}

/// Returns the thread ids below an open `/proc/PID`, ascending.
pub(crate) fn tasks(dir: &OwnedFd) -> io::Result<Vec<i32>> {
    numbers_in(dir, "task")
}

/// Returns those names in a folder that are numbers, ascending.
pub(crate) fn numbers_in(dir: impl AsFd, name: &str) -> io::Result<Vec<i32>> {
    let numbers = numbers_and_inodes_in(dir, name)?.into_iter();
    Ok(numbers.map(|(number, _)| number).collect())
}

/// As [`numbers_in`], with the inode of each.
fn numbers_and_inodes_in(dir: impl AsFd, name: &str) -> io::Result<Vec<(i32, u64)>> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    let listing = rustix::fs::Dir::new(openat(dir, name, flags, Mode::empty())?)?;
    let mut numbers = Vec::new();
    for entry in listing {
        let entry = entry?;
        let number = entry
            .file_name()
            .to_str()
            .ok()
            .and_then(|name| name.parse().ok());
        numbers.extend(number.map(|number: i32| (number, entry.ino())));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads a file below an open folder, up to its [bound](bounds::most).
pub(crate) fn read_file(dir: impl AsFd, name: &str) -> io::Result<Vec<u8>> {
    read_file_up_to(dir, name, bounds::most(name))
}

/// Reads the beginning of a file below an open folder.
pub(crate) fn read_file_up_to(dir: impl AsFd, name: &str, most: u64) -> io::Result<Vec<u8>> {
    expect_quick(dir.as_fd(), name, most)?;
    let file = open_in(dir, name)?;
    if name == "maps" {
        return map_text::read(&file, most, || {});
    }
    // Most files fit into one page, and cost one read then.
    let mut bytes = Vec::with_capacity(4096);
    file.take(most).read_to_end(&mut bytes)?;
    // It may be kept, and most files are shorter.
    bytes.shrink_to_fit();
    Ok(bytes)
}

/// Fails if reading the file may keep us waiting for ever. What we may not look at passes.
fn expect_quick(dir: BorrowedFd<'_>, name: &str, most: u64) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let pagemap = || openat(dir, "pagemap", flags, Mode::empty());
    match own_texts::is_one(name).then(pagemap) {
        Some(Ok(pagemap)) => {
            let stat = read_file(dir, "stat")?;
            own_texts::expect_own(&pagemap.into(), &stat, name, most)
        }
        _ => Ok(()),
    }
}

fn open_in(dir: impl AsFd, name: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(openat(dir, name, flags, Mode::empty())?.into())
}

/// Returns the destination of a link below an open folder.
pub(crate) fn link(dir: impl AsFd, name: &str) -> io::Result<String> {
    let target = rustix::fs::readlinkat(dir, name, Vec::new())?;
    Ok(String::from_utf8_lossy(target.as_bytes()).into_owned())
}
