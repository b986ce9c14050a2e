use super::stat::{self, Stat};
use crate::{Error, ErrorKind, Result};
use rustix::fs::{MemfdFlags, Mode, OFlags, openat};
use snapshot::ProcessKey;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::fd::{AsFd, OwnedFd},
};

/// What is read of a file of `/proc` at most: a hostile environment may be huge.
const LARGEST_FILE: u64 = 256 << 20;

/// An open `/proc/PID`: reads fail with ESRCH once that very process is gone.
pub(crate) struct ProcDir {
    pub(crate) key: ProcessKey,
    dir: OwnedFd,
    /// `/proc/PID/task/TID` of a thread that lives: the leader, or where it ended (a zombie
    /// leader has neither maps nor memory), a sibling.
    living: OwnedFd,
    pub(crate) living_tid: i32,
    /// Files that were opened while it lived: of an address space that is kept, they tell on when
    /// the process is gone.
    kept: BTreeMap<&'static str, File>,
    /// It is gone: what was kept speaks for it.
    pub(crate) is_gone: bool,
}

impl ProcDir {
    /// Opens it for the process that has this pid now.
    pub(crate) fn open_pid(pid: u32) -> Result<Self> {
        let key = ProcessKey { pid, start: 0 };
        let failed = |error: io::Error| no_process(pid, &error);
        let dir = open_dir(pid).map_err(failed)?;
        let stat = read_stat(&dir).map_err(failed)?;
        let living = living_thread(&dir, pid)?;
        let (living_tid, living) = living;
        Ok(Self {
            key: ProcessKey {
                start: stat.start,
                ..key
            },
            dir,
            living,
            living_tid,
            kept: BTreeMap::new(),
            is_gone: false,
        })
    }

    /// Opens it for exactly this process.
    pub(crate) fn open(key: ProcessKey) -> Result<Self> {
        let dir = Self::open_pid(key.pid)?;
        if dir.key == key {
            return Ok(dir);
        }
        let what = format!("process {key} has ended, and another one has its pid now");
        Err(Error::new(ErrorKind::NoSuchProcess, what))
    }

    /// `stat` of the process.
    pub(crate) fn stat(&self) -> io::Result<Stat> {
        read_stat(&self.dir)
    }

    /// A whole file of the process (facts of the process: `status`, `cgroup`, `task/TID/comm`).
    pub(crate) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        match self.kept(name) {
            Some(file) => read_from_start(file),
            None => read_file(&self.dir, name),
        }
    }

    /// A whole file of a thread that lives (facts of the address space: `maps`, `auxv`).
    pub(crate) fn read_living(&self, name: &str) -> io::Result<Vec<u8>> {
        match self.kept(name) {
            Some(file) => read_from_start(file),
            None => read_file(&self.living, name),
        }
    }

    fn kept(&self, name: &str) -> Option<&File> {
        self.kept.get(name).filter(|_| self.is_gone)
    }

    /// Opens these files of a thread that lives, for when none does any more.
    pub(crate) fn keep(&mut self, names: &[&'static str]) -> io::Result<()> {
        self.kept.clear();
        for name in names {
            let file = self.open_living(name)?;
            self.kept.insert(name, file);
        }
        Ok(())
    }

    /// Takes copies of these, which cannot be read once the process is gone. What cannot be had now
    /// stays as it was.
    pub(crate) fn keep_copies(&mut self, names: &[&'static str]) -> io::Result<()> {
        for name in names {
            let text = read_file(&self.living, name)?;
            if text.is_empty() {
                return Err(io::ErrorKind::NotFound.into());
            }
            let flags = MemfdFlags::CLOEXEC;
            let mut copy: File = rustix::fs::memfd_create(*name, flags)?.into();
            copy.write_all(&text)?;
            self.kept.insert(name, copy);
        }
        Ok(())
    }

    /// Opens a file of the process.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<File> {
        Ok(openat(
            &self.dir,
            name,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?
        .into())
    }

    /// Opens a file of a thread that lives.
    pub(crate) fn open_living(&self, name: &str) -> io::Result<File> {
        if let Some(file) = self.kept(name) {
            let mut file = file.try_clone()?;
            file.seek(SeekFrom::Start(0))?;
            return Ok(file);
        }
        Ok(openat(
            &self.living,
            name,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?
        .into())
    }

    /// Where a link of the process leads.
    pub(crate) fn link(&self, name: &str) -> io::Result<String> {
        link(&self.living, name)
    }

    /// The directory itself.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.dir
    }

    /// The number of open descriptors: the size of the directory since Linux 6.2, before that the
    /// number of its entries. `None` if the process is gone, or of another user.
    pub(crate) fn descriptors(&self) -> Option<u64> {
        let found = rustix::fs::statat(&self.dir, "fd", rustix::fs::AtFlags::empty()).ok()?;
        match found.st_size {
            0 => numbers_in(&self.dir, "fd").ok().map(|fds| fds.len() as u64),
            size => Some(size as u64),
        }
    }

    /// Thread ids, ascending.
    pub(crate) fn tasks(&self) -> io::Result<Vec<i32>> {
        tasks(&self.dir)
    }
}

fn read_from_start(mut file: &File) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn no_process(pid: u32, error: &io::Error) -> Error {
    let key = ProcessKey { pid, start: 0 };
    match Error::of_process("looking", key, error).kind {
        ErrorKind::NoSuchProcess => Error::new(
            ErrorKind::NoSuchProcess,
            format!("there is no process {pid}"),
        )
        .advise("`firstchance ps` lists the processes that can be dumped."),
        kind => Error::new(kind, format!("looking at process {pid} failed: {error}")),
    }
}

/// The directory of the process that has this pid now.
pub(crate) fn open_dir(pid: u32) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    let dir = rustix::fs::open(format!("/proc/{pid}"), flags, Mode::empty())?;
    Ok(dir)
}

/// The pids that there are, ascending.
pub(crate) fn all_pids() -> io::Result<Vec<i32>> {
    numbers_in(rustix::fs::CWD, "/proc")
}

pub(crate) fn read_stat(dir: impl AsFd) -> io::Result<Stat> {
    stat::parse(&read_file(dir, "stat")?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The leader if it lives, else the first thread that does.
fn living_thread(dir: &OwnedFd, pid: u32) -> Result<(i32, OwnedFd)> {
    let gone = |error: io::Error| no_process(pid, &error);
    let mut all = tasks(dir).map_err(gone)?;
    // Thread ids wrap around: those of short-lived threads may come before the leader's.
    all.sort_by_key(|&tid| tid as u32 != pid);
    let mut last = None;
    for tid in all {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let Ok(task) = openat(dir, format!("task/{tid}"), flags, Mode::empty()) else {
            continue;
        };
        match read_stat(&task) {
            Ok(stat) if !matches!(stat.state, 'Z' | 'X') => return Ok((tid, task)),
            _ => last = Some(tid),
        }
    }
    let what = match last {
        Some(_) => format!(
            "process {pid} has ended and waits for its parent (a zombie): it has no memory left"
        ),
        None => format!("there is no process {pid}"),
    };
    Err(Error::new(ErrorKind::NoSuchProcess, what))
}

/// Thread ids below an open `/proc/PID`, ascending.
pub(crate) fn tasks(dir: &OwnedFd) -> io::Result<Vec<i32>> {
    numbers_in(dir, "task")
}

/// The names of a directory that are numbers, ascending.
pub(crate) fn numbers_in(dir: impl AsFd, name: &str) -> io::Result<Vec<i32>> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    let listing = rustix::fs::Dir::new(openat(dir, name, flags, Mode::empty())?)?;
    let mut numbers = Vec::new();
    for entry in listing {
        numbers.extend(
            entry?
                .file_name()
                .to_str()
                .ok()
                .and_then(|name| name.parse::<i32>().ok()),
        );
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A whole file below an open directory.
pub(crate) fn read_file(dir: impl AsFd, name: &str) -> io::Result<Vec<u8>> {
    let file: File = openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into();
    // Most of these files fit, and cost one read.
    let mut bytes = Vec::with_capacity(4096);
    file.take(LARGEST_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where a link below an open directory leads.
pub(crate) fn link(dir: impl AsFd, name: &str) -> io::Result<String> {
    let target = rustix::fs::readlinkat(dir, name, Vec::new())?;
    Ok(String::from_utf8_lossy(target.as_bytes()).into_owned())
}
