//! The machine that firstchance runs on, as the code above this crate sees it.

use crate::{Crashed, Error, ErrorKind, FileBytes, Follow, JustInTime, Result, Target};
use snapshot::{
    EndStatus, Exception, Measure, Module, ProcessKey, Registers, Sample, System, Thread,
    ThreadTimes, Time,
};
use std::{path::Path, sync::Arc, time::Duration};

/// A machine: its processes and what can be done with them. There are three: Linux, Windows, and
/// the simulated one of tests.
pub trait Host: Sync {
    /// Returns the monotonic time since this host was made.
    fn now(&self) -> Time;

    /// Lists the processes that can be seen, by ascending pid, with as much of each as `detail`
    /// asks for.
    ///
    /// # Errors
    /// If the system does not list its processes.
    fn processes(&self, detail: Detail) -> Result<Vec<ProcessEntry>>;

    /// Finds the process that has this pid now.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchProcess`](crate::ErrorKind) if there is none.
    fn find(&self, pid: u32) -> Result<ProcessKey>;

    /// Returns what rules can match of the process that has this pid now. It is asked for every
    /// process that starts on the machine, so it leaves out figures that take long to read.
    ///
    /// # Errors
    /// As [`Host::find`].
    fn entry(&self, pid: u32) -> Result<ProcessEntry>;

    /// Reads the wanted figures of a process.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchProcess`](crate::ErrorKind) if the process has ended.
    fn sample(&mut self, key: ProcessKey, measures: &[Measure]) -> Result<Sample>;

    /// Reads how much processor time each thread of a process has used.
    ///
    /// # Errors
    /// If the process has ended, or the system does not tell.
    fn thread_times(&self, key: ProcessKey) -> Result<ThreadTimes> {
        let what = format!("what the threads of process {key} have used is not told here");
        Err(Error::new(ErrorKind::Unsupported, what))
    }

    /// Checks that a figure can be had of a process, before anybody waits for it. Without a process, what
    /// is not the same for all processes is not checked.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind) with a sentence that says what there is instead, if it
    /// cannot be had; [`ErrorKind::NoSuchProcess`](crate::ErrorKind) if the process has ended.
    fn expect(&self, process: Option<ProcessKey>, measure: &Measure) -> Result<()>;

    /// Reports to `sink`, from a thread of this host, what [`Host::watch`] and
    /// [`Host::follow_starts`] ask for. This ends when the host is dropped.
    ///
    /// # Errors
    /// If a descriptor or the thread cannot be made.
    fn report_to(&mut self, sink: HostSink) -> Result<()>;

    /// Reports the end of this process, until [`Host::forget`]. Needs [`Host::report_to`].
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchProcess`](crate::ErrorKind) if it has ended already.
    fn watch(&mut self, key: ProcessKey) -> Result<()>;

    /// Ends the watching and sampling of a process.
    fn forget(&mut self, key: ProcessKey);

    /// Reports processes that start. Needs [`Host::report_to`].
    ///
    /// # Errors
    /// If the system could tell of every start, and does not tell us. The list of processes is read ten times a second
    /// then, as on systems that tell of none, and a process that lives shorter may be missed.
    fn follow_starts(&mut self) -> Result<()>;

    /// Returns the pids of processes that may be called otherwise than at the last call, or were not there then. Where
    /// processes keep their names, there are none.
    fn renamed(&mut self) -> Vec<u32> {
        Vec::new()
    }

    /// Has every process that dies of a fault, while nobody follows it, be kept and reported ([`HostEvent::Dying`]), for
    /// the rest of the run. Needs [`Host::report_to`].
    ///
    /// # Errors
    /// If the system or our rights do not allow that.
    fn catch_deaths(&mut self) -> Result<()> {
        let what = "this system does not hold a process that dies";
        Err(Error::new(ErrorKind::Unsupported, what))
    }

    /// Kills a process.
    ///
    /// # Errors
    /// If it has ended, or we may not kill it.
    fn kill(&self, key: ProcessKey) -> Result<()>;

    /// Starts a program that waits before its first instruction, until [`Launched::go`].
    ///
    /// # Errors
    /// If it cannot be started.
    fn launch(&self, program: &Path, arguments: &[String]) -> Result<Launched>;

    /// Returns the well-known counters: the path of each, and what it counts.
    fn counters(&self) -> Vec<(String, String)>;

    /// Opens a process for dumps, without stopping it yet.
    ///
    /// # Errors
    /// If there is no such process, or we may not open it.
    fn attach(&self, key: ProcessKey) -> Result<Box<dyn Target>>;

    /// Checks, before anybody waits for a moment to dump a process, that it will be permitted then. Only what is certain
    /// now is found: it may be refused later all the same.
    ///
    /// # Errors
    /// [`ErrorKind::NotPermitted`](crate::ErrorKind), as the dump would fail; any error of [`Host::attach`].
    fn expect_dumpable(&self, key: ProcessKey) -> Result<()> {
        self.attach(key).map(drop)
    }

    /// Opens a process to wait for its events. The result belongs to the calling thread: ptrace and
    /// the Windows debugger are bound to the thread that attached.
    ///
    /// # Errors
    /// As [`Host::attach`].
    fn follow(&self, key: ProcessKey) -> Result<Box<dyn Follow>>;

    /// Opens a process that has crashed and that the system holds for us.
    ///
    /// # Errors
    /// If this system does not tell of crashes in this way, or the process is gone by now.
    fn adopt(&self, crash: CrashNotice) -> Result<Adopted>;
}

/// How much is told of each process of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What rules can match.
    Identity,
    /// Also figures for people: memory, handles, mappings. They take milliseconds for a process
    /// with many mappings.
    Figures,
}

/// Receives the events of a host, in a thread of the host.
pub type HostSink = Arc<dyn Fn(HostEvent) + Send + Sync>;

/// An event that a host reports.
#[derive(Clone, Debug, PartialEq)]
pub enum HostEvent {
    /// A watched process has ended.
    Exited(ProcessKey, Option<EndStatus>),
    /// A process with this pid started, or executed another program.
    Started(u32),
    /// A process with this pid executed a program, and had these names then: the file name of the program, and the name
    /// that the kernel keeps, as far as they are known. It may be gone already.
    Executed(u32, Vec<String>),
    /// Reports of starts were lost, as when thousands start at once: any process may be new, or
    /// have become another program.
    StartsLost,
    /// A process that nobody follows dies of a fault, or has just died of it. Whoever follows it now is told how, and
    /// can take dumps of it; else [`Host::forget`] it.
    Dying(Box<ProcessEntry>),
    /// A process has died of a fault and was not caught: its death was seen only by who followed it. The child of a followed
    /// process may have died a moment after its start.
    Unseen {
        /// Its pid.
        pid: u32,
        /// Who has forked it, as in [`ProcessEntry::ancestors`]; `None` if it was one that is followed.
        ancestors: Option<Vec<u32>>,
        /// Its names, as in [`HostEvent::Executed`].
        names: Vec<String>,
    },
    /// What catches processes at their death ([`Host::catch_deaths`]) has ended unasked, and is started again. Deaths until
    /// then are [`HostEvent::Unseen`].
    CatchesAnew,
}

/// How the system told us of a crash.
pub enum CrashNotice<'c> {
    /// The kernel writes the core to our standard input (Linux, core(5)). The threads and the fault
    /// are read from that core, the thread that crashed first, with the thread ids of the process's
    /// own pid namespace.
    Core {
        /// The process, which the kernel holds until we end.
        crashed: &'c Crashed,
        /// The threads of the core.
        threads: Vec<Thread>,
        /// The signal that it dies of.
        fault: Option<Exception>,
    },
    /// Windows started us as the just-in-time debugger.
    JustInTime(&'c JustInTime),
}

/// A process that has crashed, which the system holds for us. Its only event, the crash, is known.
pub struct Adopted {
    /// The crashed process, as a target of dumps.
    pub target: Box<dyn Target>,
    /// The signal that it dies of.
    pub exception: Exception,
    /// The registers of the thread at the crash; `None` if the system did not tell them.
    pub registers: Option<Registers>,
}

/// A program that we started.
#[derive(Debug)]
pub struct Launched {
    /// The process of the program.
    pub key: ProcessKey,
    pub(crate) inner: crate::os::RawLaunched,
}

impl Launched {
    /// Lets the program begin. [`Launched::started`] tells whether that succeeded.
    pub fn go(&mut self) -> Result<()> {
        self.inner.go().map_err(|e| not_started(&e))
    }

    /// Returns whether the program runs by now: `None` if that is not known yet, an error if it
    /// could not be executed. A program that is attached may have to be let go on before it is
    /// known.
    pub fn started(&mut self) -> Option<Result<()>> {
        let started = self.inner.started()?;
        Some(started.map_err(|e| not_started(&e)))
    }

    /// Returns how the program ended, once it has.
    pub fn status(&mut self) -> Option<EndStatus> {
        self.inner.status()
    }
}

fn not_started(error: &std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::PermissionDenied => ErrorKind::NotPermitted,
        _ => ErrorKind::Other,
    };
    Error::new(kind, format!("starting the program failed: {error}"))
}

/// A process of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessEntry {
    /// The identity of the process.
    pub key: ProcessKey,
    /// The pid of its parent.
    pub parent: u32,
    /// Who has forked it, who has forked that one, and so on, as far as that is known: also when they have ended.
    pub ancestors: Vec<u32>,
    /// The base name of its image, or the kernel's name for it.
    pub name: String,
    /// The full path of its image; empty if we may not see it.
    pub image: String,
    /// The name that the kernel keeps, at most 15 bytes (Linux).
    pub comm: String,
    /// The id of its process group (Linux).
    pub group: u32,
    /// Its command line, one argument each.
    pub command_line: Vec<String>,
    /// The name of the user that it runs as.
    pub user: String,
    /// The time at which it started.
    pub started: snapshot::WallTime,
    /// The CPU time that it has used.
    pub cpu: Duration,
    /// Its private memory in bytes.
    pub private: u64,
    /// Its resident memory in bytes.
    pub resident: u64,
    /// The number of its threads.
    pub threads: u32,
    /// The number of its open descriptors or handles; `None` if we may not see it.
    pub handles: Option<u32>,
    /// Its state as a letter of proc_pid_stat(5); a blank on Windows.
    pub state: char,
    /// The systemd or Windows service that it belongs to.
    pub service: Option<String>,
    /// The unit of a user's own systemd that it belongs to.
    pub user_service: Option<String>,
    /// The id of the container that it runs in.
    pub container: Option<String>,
    /// The first address and the name of its mappings, by which its runtime is recognised; empty if
    /// we may not see them.
    pub mapped: Vec<(u64, String)>,
    /// Whether it is a kernel thread, or Windows' own kernel.
    pub kernel: bool,
}

impl ProcessEntry {
    /// Whether the process has ended and waits for its parent. A first thread that has ended while others live on
    /// looks the same but for the number of threads.
    pub fn has_ended(&self) -> bool {
        self.state == 'Z' && self.threads < 2
    }
}

/// One line of `firstchance doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was checked, as in "Yama".
    pub what: String,
    /// How well it works.
    pub health: Health,
    /// What was found out about it.
    pub found: String,
    /// What to do about it; empty if there is nothing to do.
    pub advice: String,
}

/// How well something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It works without restrictions.
    Good,
    /// It works with restrictions.
    Weak,
    /// It does not work.
    Bad,
}

/// Returns the machine that this runs on.
pub fn this_machine() -> Box<dyn Host> {
    crate::os::host()
}

/// A file and the state of its content: its device, inode, size and the times of its last changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity(pub(crate) [i64; 5]);

/// The files of a process's modules, for what only they tell: build-ids and symbols.
#[derive(Debug)]
pub struct ImageFiles(pub(crate) crate::os::ImageFiles);

impl ImageFiles {
    /// Opens the files of this process; `None` if it has ended.
    pub fn of(process: ProcessKey) -> Option<Self> {
        crate::os::ImageFiles::of(process).map(Self)
    }

    /// Returns a path by which we can open the file that is mapped as this module, also if the
    /// process runs in another mount namespace. `None` if there is no such path.
    pub fn path(&self, module: &Module) -> Option<std::path::PathBuf> {
        self.0.path(module)
    }

    /// Returns what tells the file of this module, as it is now, from all others, so that what was found in it need not
    /// be looked for again. `None` on Windows, and where the file could not be opened.
    pub fn identity(&self, module: &Module) -> Option<FileIdentity> {
        self.0.identity(module)
    }

    /// Opens the file of this module. `None` if it is not the file any more that the process has
    /// mapped, or if reading it could hang.
    pub fn open(&self, module: &Module) -> Option<FileBytes> {
        self.0.open(module)
    }
}

/// Gives the memory back to the system that is free in ours, where the allocator would keep it: call it when something large
/// is over.
pub fn give_memory_back() {
    crate::os::give_memory_back();
}

/// Lets the calling thread run after all others, where the system has that: it uses processors that nobody else does. For good.
pub fn run_last() {
    crate::os::run_last();
}

/// Returns how many bytes of memory are left to us, by the control groups that we are in and by the machine; `None` where that is
/// not known.
pub fn memory_left() -> Option<u64> {
    crate::os::memory_left()
}

/// Lets the calling thread give way to others, where the system has that, but not wait for ever where all processors are busy:
/// the target of a copy comes first. For good.
pub fn give_way() {
    crate::os::give_way();
}

/// Returns facts about this machine and its system.
pub fn system() -> System {
    crate::os::system()
}

/// Returns the arguments of this program's command line as they were typed, in one text. `None` on
/// Linux, where the shell has split them.
pub fn typed_arguments() -> Option<String> {
    crate::os::typed_arguments()
}

/// Returns whether we may draw on the terminal that standard error is: not in the background of a shell, nor while a
/// program that we launched has the terminal.
pub fn has_terminal() -> bool {
    crate::os::has_terminal()
}

/// Returns the number of columns of the terminal that standard error is; `None` if it is no
/// terminal.
pub fn terminal_width() -> Option<usize> {
    crate::os::terminal_width()
}

/// Checks what works on this machine. `folder` is where dumps would be written.
pub fn doctor(folder: &Path) -> Vec<Finding> {
    crate::os::doctor(folder)
}
