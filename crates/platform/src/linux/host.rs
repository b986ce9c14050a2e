//! The machine.

use super::{
    crash::CrashTarget,
    facts::{name_of, strings},
    proc::{ProcDir, machine, numbers_in, stat, status},
    sample::Sampler,
    sys::launch::Waiting,
    target::LinuxTarget,
    watch::Watcher,
};
use crate::{
    Crashed, Error, ErrorKind, FileBytes, Host, HostEvent, Launched, ProcessEntry, Result, Target,
};
use rustix::fs::{Mode, OFlags};
use snapshot::{Exception, Measure, Module, ProcessKey, Region, Sample, Thread, Time};
use std::{
    collections::{HashMap, HashSet},
    io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

/// This Linux machine.
pub(crate) struct LinuxHost {
    start: Instant,
    sampler: Sampler,
    watcher: Watcher,
}

impl LinuxHost {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            sampler: Sampler::default(),
            watcher: Watcher::default(),
        }
    }
}

impl Host for LinuxHost {
    fn now(&self) -> Time {
        Time(self.start.elapsed())
    }

    fn processes(&self) -> Result<Vec<ProcessEntry>> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let listed = rustix::fs::open("/proc", flags, Mode::empty())
            .map_err(std::io::Error::from)
            .and_then(|proc| numbers_in(&proc, "."));
        let pids = listed.map_err(|e| {
            Error::new(
                crate::ErrorKind::Unsupported,
                format!("listing /proc failed: {e}"),
            )
        })?;
        let figures = Figures {
            users: machine::users(),
            boot: machine::boot_time(),
        };
        Ok(pids
            .into_iter()
            .filter_map(|pid| entry(pid as u32, Some(&figures)))
            .collect())
    }

    fn find(&self, pid: u32) -> Result<ProcessKey> {
        Ok(ProcDir::open_pid(pid)?.key)
    }

    fn sample(&mut self, key: ProcessKey, measures: &[Measure]) -> Result<Sample> {
        self.sampler
            .sample(Time(self.start.elapsed()), key, measures)
    }

    fn watch(&mut self, key: ProcessKey) -> Result<()> {
        self.watcher.watch(key)
    }

    fn forget(&mut self, key: ProcessKey) {
        self.watcher.forget(key);
        self.sampler.forget(key);
    }

    fn follow_starts(&mut self) -> bool {
        self.watcher.follow_starts()
    }

    fn wait(&mut self, limit: Duration) -> Vec<HostEvent> {
        self.watcher.wait(limit)
    }

    fn kill(&self, key: ProcessKey) -> Result<()> {
        super::watch::kill(key)
    }

    fn entry(&self, pid: u32) -> Result<ProcessEntry> {
        let key = self.find(pid)?;
        entry(pid, None)
            .ok_or_else(|| Error::new(ErrorKind::NoSuchProcess, format!("process {key} has ended")))
    }

    fn launch(&self, program: &Path, arguments: &[String]) -> Result<Launched> {
        let mut command = Command::new(program);
        command.args(arguments);
        let failed = |e: io::Error| {
            let what = format!("starting {} failed: {e}", program.display());
            Error::new(ErrorKind::Other, what)
        };
        let waiting = super::sys::launch::launch(command).map_err(failed)?;
        let key = self.find(waiting.pid)?;
        Ok(Launched {
            key,
            inner: RawLaunched::Waiting(waiting, program.to_owned()),
        })
    }

    fn counters(&self) -> Vec<(String, String)> {
        let known = super::counters::KNOWN.iter();
        known
            .map(|(path, what)| ((*path).to_owned(), (*what).to_owned()))
            .collect()
    }

    fn attach(&self, key: ProcessKey) -> Result<Box<dyn Target>> {
        Ok(Box::new(LinuxTarget::attach(key)?))
    }

    fn adopt(
        &self,
        crashed: &Crashed,
        threads: Vec<Thread>,
        fault: Option<Exception>,
    ) -> Result<Box<dyn Target>> {
        Ok(Box::new(CrashTarget::adopt(crashed, threads, fault)?))
    }
}

/// A program that waits, runs, or has ended.
#[derive(Debug)]
pub(crate) enum RawLaunched {
    /// With the path of its program, for what may go wrong.
    Waiting(Waiting, PathBuf),
    Running(Child),
    Failed,
}

impl RawLaunched {
    pub(crate) fn go(&mut self) -> io::Result<()> {
        match self {
            RawLaunched::Waiting(waiting, _) => waiting.go(),
            _ => Ok(()),
        }
    }

    pub(crate) fn started(&mut self) -> Option<io::Result<()>> {
        match std::mem::replace(self, RawLaunched::Failed) {
            RawLaunched::Waiting(waiting, path) if !waiting.is_decided() => {
                *self = RawLaunched::Waiting(waiting, path);
                None
            }
            RawLaunched::Waiting(waiting, path) => Some(match waiting.child() {
                Ok(child) => {
                    *self = RawLaunched::Running(child);
                    Ok(())
                }
                Err(error) => Err(io::Error::other(format!("{}: {error}", path.display()))),
            }),
            other => {
                *self = other;
                Some(Ok(()))
            }
        }
    }

    pub(crate) fn status(&mut self) -> Option<i32> {
        let RawLaunched::Running(child) = self else {
            return None;
        };
        let status = child.try_wait().ok()??;
        status
            .code()
            .or_else(|| status.signal().map(|signal| -signal))
    }
}

/// What figures for people need besides the process.
struct Figures {
    users: HashMap<u32, String>,
    boot: i64,
}

/// A process of the list; `None` when it ended meanwhile. Without `figures`, only who it is: that
/// is asked for whenever any process starts.
fn entry(pid: u32, figures: Option<&Figures>) -> Option<ProcessEntry> {
    let proc = ProcDir::open_pid(pid).ok()?;
    let stat = proc.stat().ok()?;
    let cgroup = proc.read("cgroup").unwrap_or_default();
    let (service, container) = machine::unit_and_container(&cgroup);
    let exe = proc.link("exe").unwrap_or_default();
    let command_line = strings(&proc.read("cmdline").unwrap_or_default());
    let mut entry = ProcessEntry {
        key: proc.key,
        parent: stat.parent,
        name: name_of(
            exe.strip_suffix(" (deleted)").unwrap_or(&exe),
            &stat.comm,
            &command_line,
        ),
        comm: stat.comm.clone(),
        image: exe.clone(),
        group: stat.group,
        command_line,
        cpu: machine::ticks_to_duration(stat.user_ticks + stat.kernel_ticks),
        threads: stat.threads,
        state: stat.state,
        service,
        container,
        kernel: stat.flags & stat::KERNEL_THREAD != 0,
        ..ProcessEntry::default()
    };
    if let Some(figures) = figures {
        figures.add(&mut entry, &proc, stat.start)?;
    }
    Some(entry)
}

impl Figures {
    fn add(&self, entry: &mut ProcessEntry, proc: &ProcDir, start: u64) -> Option<()> {
        let status = proc.read("status").ok()?;
        let (uid, _) = status::ids(&status, "Uid")?;
        let user = self.users.get(&uid).cloned();
        entry.user = user.unwrap_or_else(|| uid.to_string());
        entry.started = machine::start_time(start, self.boot);
        entry.private = status::private(&status);
        entry.resident = status::bytes(&status, "VmRSS").unwrap_or(0);
        entry.handles = numbers_in(proc.fd(), "fd").ok().map(|fds| fds.len() as u32);
        entry.mapped = mappings(proc);
        Some(())
    }
}

/// Each file once, and anonymous memory (a Go heap has no name, but an address).
fn mappings(proc: &ProcDir) -> Vec<(u64, String)> {
    let (regions, _) = snapshot::maps::parse(&proc.read_living("maps").unwrap_or_default());
    let mut seen = HashSet::new();
    let named = regions
        .into_iter()
        .map(|region| (region.range.start, region.name));
    named
        .filter(|(_, name)| name.is_empty() || seen.insert(name.clone()))
        .collect()
}

/// The files behind a process's images.
///
/// Through `/proc/PID/map_files` where we may, which is the mapped file itself, also when it was
/// deleted or lies in another mount namespace; else by its path, if that still is the same file.
/// Never a device, a FIFO, or one on a file system that may hang.
#[derive(Debug)]
pub(crate) struct ImageFiles {
    pid: u32,
    regions: Vec<Region>,
    remote: Vec<u64>,
}

impl ImageFiles {
    pub(crate) fn of(process: ProcessKey) -> Option<Self> {
        let proc = ProcDir::open(process).ok()?;
        let (regions, _) = snapshot::maps::parse(&proc.read_living("maps").ok()?);
        let remote = machine::remote_devices(&proc.read("mountinfo").unwrap_or_default());
        Some(Self {
            pid: process.pid,
            regions,
            remote,
        })
    }

    pub(crate) fn open(&self, module: &Module) -> Option<FileBytes> {
        super::files::open_mapped(self.pid, self.region(module)?)
    }

    pub(crate) fn path(&self, module: &Module) -> Option<PathBuf> {
        super::files::mapped_path(self.pid, self.region(module)?)
    }

    /// Its first mapping, unless reading it could hang.
    fn region(&self, module: &Module) -> Option<&Region> {
        let start = module.range.start;
        let regions = &self.regions;
        let at = regions.binary_search_by_key(&start, |region| region.range.start);
        let region = &regions[at.ok()?];
        (region.inode != 0 && !self.remote.contains(&region.device)).then_some(region)
    }
}
