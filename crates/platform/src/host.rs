use crate::{
    Arming, Capture, CaptureOptions, Crashed, Error, ErrorKind, FileBytes, JustInTime, Result,
};
use snapshot::{
    Exception, Handle, Measure, Memory, Module, Process, ProcessKey, Registers, Sample, System,
    TargetEvent, Thread, Time,
};
use std::{path::Path, sync::Arc, time::Duration};

/// The machine.
pub trait Host: Sync {
    /// Monotonic time since this host was made.
    fn now(&self) -> Time;

    /// The processes that can be seen, by ascending pid.
    fn processes(&self) -> Result<Vec<ProcessEntry>>;

    /// Who this pid is now.
    fn find(&self, pid: u32) -> Result<ProcessKey>;

    /// The wanted figures of a process, as they are now.
    fn sample(&mut self, key: ProcessKey, measures: &[Measure]) -> Result<Sample>;

    /// Reports the end of this process from now on, until it is forgotten.
    fn watch(&mut self, key: ProcessKey) -> Result<()>;

    /// Ends watching and sampling of a process.
    fn forget(&mut self, key: ProcessKey);

    /// Reports processes that start, from now on. Whether the system tells of each; else they are
    /// looked for ten times a second, and one that lives shorter may be missed.
    fn follow_starts(&mut self) -> bool;

    /// Waits for what is watched and followed, at most for `limit`.
    fn wait(&mut self, limit: Duration) -> Vec<HostEvent>;

    /// Ends a process by force.
    fn kill(&self, key: ProcessKey) -> Result<()>;

    /// What is known of a process for telling whether a rule means it; figures for people are left
    /// out, as this is asked for whenever any process starts.
    fn entry(&self, pid: u32) -> Result<ProcessEntry>;

    /// Starts a program, held before its first instruction.
    fn launch(&self, program: &Path, arguments: &[String]) -> Result<Launched>;

    /// The counters that are known by name, with what they count.
    fn counters(&self) -> Vec<(String, String)>;

    /// Takes hold of a process, without stopping it yet.
    fn attach(&self, key: ProcessKey) -> Result<Box<dyn Target>>;

    /// Takes hold of a process that the system holds because it crashed. Its threads, the one that
    /// crashed first, and its fault are what the system told of them, under the ids that the
    /// process itself knows them by.
    fn adopt(
        &self,
        crashed: &Crashed,
        threads: Vec<Thread>,
        fault: Option<Exception>,
    ) -> Result<Box<dyn Target>> {
        let _ = (threads, fault);
        let what = format!("this system does not hold process {}", crashed.key);
        Err(Error::new(ErrorKind::Unsupported, what))
    }

    /// Takes hold of a process that the system holds because it crashed, by what it told us as its
    /// just-in-time debugger. The first event is the crash.
    fn adopt_told(&self, call: &JustInTime) -> Result<Box<dyn Target>> {
        let what = format!("this system has no debugger for process {}", call.pid);
        Err(Error::new(ErrorKind::Unsupported, what))
    }
}

/// What happened to a process that is watched, or to the list of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostEvent {
    /// It is gone.
    Exited(ProcessKey),
    /// A process of this pid started, or became another program.
    Started(u32),
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

/// One attached process.
pub trait Target {
    /// Who it is.
    fn key(&self) -> ProcessKey;

    /// What is known of it without stopping it.
    fn facts(&mut self) -> Result<Facts>;

    /// Reports this, and nothing else, to [`Target::wait`] from now on; what could not be had, in
    /// sentences.
    fn arm(&mut self, what: &Arming) -> Result<Vec<String>>;

    /// Waits for what it does next, at most for `limit`. Of every event but its being gone, the
    /// thread stands until [`Target::go_on`]: at a place for some milliseconds only, unless it is
    /// told to [`stay`](Target::stay).
    fn wait(&mut self, limit: Duration) -> Result<TargetEvent>;

    /// At a place where something is thrown: what tells its kind, as it was when the thread came.
    fn kind(&self) -> Option<u64> {
        None
    }

    /// The registers of the thread that stands for the last event.
    fn registers(&self) -> Option<Registers> {
        None
    }

    /// The pid of the process that this handle of it means (Windows).
    fn process_of(&self, handle: u64) -> Option<u32> {
        let _ = handle;
        None
    }

    /// Whether the signal of the last event ends the process when it goes on.
    fn is_deadly(&self) -> bool {
        false
    }

    /// The memory as it is now.
    fn memory(&self) -> Arc<dyn Memory>;

    /// Whether the thread of the last event is still where it was.
    fn is_standing(&self) -> bool {
        true
    }

    /// Keeps the thread of the last event where it is, for however long; whether it stands there.
    fn stay(&mut self) -> Result<bool> {
        Ok(true)
    }

    /// Lets it go on, as if nobody had looked.
    fn go_on(&mut self) {}

    /// Whether the end of the next capture lets the thread of the last event go on too.
    fn go_on_with_capture(&mut self, with: bool) {
        let _ = with;
    }

    /// From now on, things of this kind are thrown without being reported, or are again.
    fn pass(&mut self, kind: u64, pass: bool) {
        let _ = (kind, pass);
    }

    /// How many of this kind have gone by unreported.
    fn passed(&self, kind: u64) -> u64 {
        let _ = kind;
        0
    }

    /// How many events since the last call were not seen.
    fn missed(&mut self) -> u64 {
        0
    }

    /// Holds it still.
    fn capture(&mut self, options: &CaptureOptions) -> Result<Capture>;
}

/// What is known of a process without stopping it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The process.
    pub process: Process,
    /// Its open descriptors or handles.
    pub handles: Vec<Handle>,
    /// Its images as far as the address space tells: range and path.
    pub modules: Vec<Module>,
    /// Memory that is resident or swapped, in bytes.
    pub resident: u64,
    /// Its private part.
    pub private: u64,
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
