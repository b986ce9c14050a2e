use crate::WallTime;
use std::{fmt, time::Duration};

/// Which process is meant, for good: a PID comes again, a PID with its start time does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessKey {
    /// Process id, as firstchance's own system names it.
    pub pid: u32,
    /// Start time in the system's own unit: clock ticks after boot on Linux (`/proc/PID/stat`
    /// field 22), 100 ns since 1601 on Windows. Only compared, never shown.
    pub start: u64,
}

impl fmt::Display for ProcessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pid)
    }
}

/// A process: who it is and how it was started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// Its identity.
    pub key: ProcessKey,
    /// Its parent's pid.
    pub parent: u32,
    /// Its process group and session.
    pub group: u32,
    /// Session id.
    pub session: u32,
    /// The short name: the base name of its image, `nginx` or `w3wp.exe`.
    pub name: String,
    /// The name the kernel keeps (`comm`, at most 15 bytes), where it differs.
    pub comm: String,
    /// Full path of its image; with ` (deleted)` gone and [`Process::exe_deleted`] set.
    pub exe: String,
    /// Whether the image's file is gone or replaced.
    pub exe_deleted: bool,
    /// The arguments, the program's own name first. Empty in a triage dump.
    pub command_line: Vec<String>,
    /// `NAME=value`, raw order. Empty in a triage dump.
    pub environment: Vec<String>,
    /// Whose it is.
    pub user: User,
    /// When it started.
    pub started: WallTime,
    /// CPU time in user mode.
    pub user_time: Duration,
    /// CPU time in the kernel.
    pub kernel_time: Duration,
    /// State letter of `/proc/PID/stat` (`S`, `R`, `T`, `D`, `Z`), `' '` where there is none.
    pub state: char,
    /// Nice value.
    pub nice: i32,
    /// The kernel's auxiliary vector: (type, value).
    pub auxv: Vec<(u64, u64)>,
    /// Where the initial stack's argument area begins (`/proc/PID/stat` field 28, `startstack`):
    /// above it lie argv, environment and their text. 0 where unknown.
    pub stack_start: u64,
    /// Its pid in its own pid namespace, where that differs from `key.pid`.
    pub inner_pid: Option<u32>,
    /// The id of the container it runs in.
    pub container: Option<String>,
    /// The service (systemd unit or Windows service) it belongs to.
    pub service: Option<String>,
    /// Raw files of `/proc/PID` and the machine, by Breakpad's stream they go to: `maps`,
    /// `cmdline`, `environ`, `auxv`, `status`, `cpuinfo`, `lsb-release`; and `limits`, `cgroup`.
    pub files: Vec<(String, Vec<u8>)>,
    /// Address of the PEB on Windows, 0 elsewhere.
    pub peb: u64,
}

impl Process {
    /// The raw file of that name.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, bytes)| &bytes[..])
    }

    /// The value of the auxiliary vector's entry of that type, one of [`crate::auxv`]; `None` if
    /// there is none.
    pub fn aux(&self, entry: u64) -> Option<u64> {
        crate::auxv::value(&self.auxv, entry)
    }
}

/// Whose a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Real user id (Linux); the RID of the SID on Windows.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Effective group id.
    pub egid: u32,
    /// Its name, or the number as text.
    pub name: String,
}

/// An open descriptor (Linux) or handle (Windows).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handle {
    /// Its number.
    pub number: u64,
    /// What it is: `file`, `socket`, `pipe`, `anon_inode` …, or the object type on Windows.
    pub kind: String,
    /// What it refers to, as the system names it.
    pub name: String,
    /// Position in the file, where there is one.
    pub position: Option<u64>,
    /// Open flags (`O_…`) or granted access.
    pub flags: u32,
}
