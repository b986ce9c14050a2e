use crate::{Crashed, Error, ErrorKind, FileBytes, Follow, JustInTime, Result, Target};
use snapshot::{Exception, Measure, Module, ProcessKey, Registers, Sample, System, Thread, Time};
use std::{path::Path, sync::Arc, time::Duration};

/// The machine.
pub trait Host: Sync {
    /// Monotonic time since this host was made.
    fn now(&self) -> Time;

    /// The processes that can be seen, by ascending pid; of each, what `detail` asks for.
    ///
    /// # Errors
    /// Where the system does not list its processes.
    fn processes(&self, detail: Detail) -> Result<Vec<ProcessEntry>>;

    /// The process that has this pid now.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchProcess`](crate::ErrorKind) where there is none.
    fn find(&self, pid: u32) -> Result<ProcessKey>;

    /// What tells whether a rule is about the process that has this pid now. It is asked for each
    /// process that starts on the machine, so that figures are left out.
    ///
    /// # Errors
    /// As [`Host::find`].
    fn entry(&self, pid: u32) -> Result<ProcessEntry>;

    /// The wanted figures of a process, as they are now.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchProcess`](crate::ErrorKind) where the process has ended.
    fn sample(&mut self, key: ProcessKey, measures: &[Measure]) -> Result<Sample>;

    /// Tells `sink` from now on what [`Host::watch`] and [`Host::follow_starts`] ask for, from a
    /// thread of the host's own. Ends when the host is dropped.
    ///
    /// # Errors
    /// Where the system has no room for what this needs.
    fn report_to(&mut self, sink: HostSink) -> Result<()>;

    /// Reports the end of this process from now on, until it is forgotten. Needs
    /// [`Host::report_to`].
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchProcess`](crate::ErrorKind) where it has ended already.
    fn watch(&mut self, key: ProcessKey) -> Result<()>;

    /// Ends watching and sampling of a process.
    fn forget(&mut self, key: ProcessKey);

    /// Reports processes that start, from now on. Returns whether the system tells of each; else
    /// they are looked for ten times a second, and one that lives shorter may be missed. Needs
    /// [`Host::report_to`].
    fn follow_starts(&mut self) -> bool;

    /// Ends a process by force.
    ///
    /// # Errors
    /// Where it has ended, or may not be ended.
    fn kill(&self, key: ProcessKey) -> Result<()>;

    /// Starts a program, held before its first instruction.
    ///
    /// # Errors
    /// Where it cannot be started.
    fn launch(&self, program: &Path, arguments: &[String]) -> Result<Launched>;

    /// The counters that are known by name, each with what it counts.
    fn counters(&self) -> Vec<(String, String)>;

    /// Takes hold of a process for dumps of it, without stopping it yet.
    ///
    /// # Errors
    /// Where there is no such process, or it may not be touched.
    fn attach(&self, key: ProcessKey) -> Result<Box<dyn Target>>;

    /// Takes hold of a process to wait for what it does. What is returned belongs to the calling
    /// thread: ptrace and the Windows debug loop know their tracer by its thread.
    ///
    /// # Errors
    /// As [`Host::attach`].
    fn follow(&self, key: ProcessKey) -> Result<Box<dyn Follow>>;

    /// Takes hold of a process that the system holds because it crashed.
    ///
    /// # Errors
    /// Where this system does not tell of crashes in this way, or the process is another one by
    /// now.
    fn adopt(&self, crash: CrashNotice) -> Result<Adopted>;
}

/// What is told of a process in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What rules match on.
    Identity,
    /// Figures for people too: memory, handles, mappings. They cost milliseconds each where a
    /// process has many mappings.
    Figures,
}

/// Where a host reports to.
pub type HostSink = Arc<dyn Fn(HostEvent) + Send + Sync>;

/// What happened to a process that is watched, or to the list of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostEvent {
    /// It is gone.
    Exited(ProcessKey),
    /// A process of this pid started, or became another program.
    Started(u32),
}

/// How the system told us of a crash.
pub enum CrashNotice<'c> {
    /// By its core on our standard input (Linux). The threads, the one that crashed first, and
    /// the fault are those of the core, under the ids that the process itself knows them by.
    Core {
        /// The process that the kernel holds.
        crashed: &'c Crashed,
        /// Its threads.
        threads: Vec<Thread>,
        /// What it dies of.
        fault: Option<Exception>,
    },
    /// As its just-in-time debugger (Windows).
    JustInTime(&'c JustInTime),
}

/// A process that has crashed and is held by the system: a target whose only event is known.
pub struct Adopted {
    /// The process.
    pub target: Box<dyn Target>,
    /// What it dies of.
    pub exception: Exception,
    /// The registers that the thread had then; `None` where the system did not tell.
    pub registers: Option<Registers>,
}

/// A program that was started by us.
#[derive(Debug)]
pub struct Launched {
    /// Its process.
    pub key: ProcessKey,
    pub(crate) inner: crate::os::RawLaunched,
}

impl Launched {
    /// Lets it begin. Whether that succeeds, [`Launched::started`] tells.
    pub fn go(&mut self) -> Result<()> {
        self.inner.go().map_err(|e| not_started(&e))
    }

    /// Whether it runs by now; an error where it could not be executed. A program that is attached
    /// may have to be let go on before this is known.
    pub fn started(&mut self) -> Option<Result<()>> {
        let started = self.inner.started()?;
        Some(started.map_err(|e| not_started(&e)))
    }

    /// Its exit code (or minus the signal) once it has ended.
    pub fn status(&mut self) -> Option<i32> {
        self.inner.status()
    }
}

fn not_started(error: &std::io::Error) -> Error {
    Error::new(
        ErrorKind::Other,
        format!("starting the program failed: {error}"),
    )
}

/// A process in a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessEntry {
    /// Who it is.
    pub key: ProcessKey,
    /// Its parent.
    pub parent: u32,
    /// Base name of its image, or the kernel's name for it.
    pub name: String,
    /// Full path of its image; empty where it may not be seen.
    pub image: String,
    /// The name the kernel keeps, at most 15 bytes.
    pub comm: String,
    /// Its process group.
    pub group: u32,
    /// Its arguments.
    pub command_line: Vec<String>,
    /// Whose it is.
    pub user: String,
    /// When it started.
    pub started: snapshot::WallTime,
    /// CPU time used so far.
    pub cpu: Duration,
    /// Private memory in bytes.
    pub private: u64,
    /// Resident memory in bytes.
    pub resident: u64,
    /// Threads.
    pub threads: u32,
    /// Open descriptors or handles; `None` where they may not be seen.
    pub handles: Option<u32>,
    /// State letter.
    pub state: char,
    /// The service it belongs to.
    pub service: Option<String>,
    /// The container it runs in.
    pub container: Option<String>,
    /// Its mappings, first address and name, for telling its runtime; empty where they may not be
    /// seen.
    pub mapped: Vec<(u64, String)>,
    /// Whether it is a thread of the kernel.
    pub kernel: bool,
}

/// One line of what works on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: `Yama ptrace scope`.
    pub what: String,
    /// How it is.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// What to do about it; empty when there is nothing to do.
    pub advice: String,
}

/// How well a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// As it should be.
    Good,
    /// It works less well.
    Weak,
    /// It does not work.
    Bad,
}

/// The machine this runs on.
pub fn this_machine() -> Box<dyn Host> {
    crate::os::host()
}

/// The files behind a process's images, for what only they tell: build-ids, symbols.
#[derive(Debug)]
pub struct ImageFiles(crate::os::ImageFiles);

impl ImageFiles {
    /// Those of this process, while it lives.
    pub fn of(process: ProcessKey) -> Option<Self> {
        crate::os::ImageFiles::of(process).map(Self)
    }

    /// A path by which we can open the very file that is mapped, wherever the process has it.
    pub fn path(&self, module: &Module) -> Option<std::path::PathBuf> {
        self.0.path(module)
    }

    /// The bytes of a module's file, if it is the very file that is mapped and reading it cannot
    /// hang.
    pub fn open(&self, module: &Module) -> Option<FileBytes> {
        self.0.open(module)
    }
}

/// Facts about the machine.
pub fn system() -> System {
    crate::os::system()
}

/// Columns of the terminal that standard error is; `None` where it is none.
pub fn terminal_width() -> Option<usize> {
    crate::os::terminal_width()
}

/// What works on this machine and what does not.
pub fn doctor(folder: &Path) -> Vec<Finding> {
    crate::os::doctor(folder)
}
