use crate::WallTime;
use std::{fmt, time::Duration};

/// The identity of a process. Its pid alone is none: the system uses it again for another process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessKey {
    /// Its pid, in firstchance's own pid namespace.
    pub pid: u32,
    /// Its start time in the unit of the system: clock ticks since boot on Linux (`/proc/PID/stat`,
    /// field 22), 100 ns since 1601 on Windows. Only for comparison.
    pub start: u64,
}

impl fmt::Display for ProcessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pid)
    }
}

/// The facts of a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// Its identity.
    pub key: ProcessKey,
    /// Its parent's pid.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// The short name: the base name of its image, `nginx` or `w3wp.exe`.
    pub name: String,
    /// The name that the kernel keeps (`comm`, at most 15 bytes).
    pub comm: String,
    /// Full path of its program.
    pub exe: String,
    /// Whether the file of its program was deleted or replaced.
    pub exe_deleted: bool,
    /// The arguments, the program's own name first. Empty in a triage dump.
    pub command_line: Vec<String>,
    /// Its environment, `NAME=value`, in the order in memory. Empty in a triage dump.
    pub environment: Vec<String>,
    /// The user it belongs to.
    pub user: User,
    /// The time at which it started.
    pub started: WallTime,
    /// CPU time in user mode.
    pub user_time: Duration,
    /// CPU time in the kernel.
    pub kernel_time: Duration,
    /// CPU time in user mode of its children that have ended and were waited for, and of theirs.
    pub children_user_time: Duration,
    /// Their CPU time in the kernel.
    pub children_kernel_time: Duration,
    /// The kernel's flags of the process (`PF_…` of `linux/sched.h`); 0 if they are not known.
    pub flags: u32,
    /// State letter of `/proc/PID/stat` (`S`, `R`, `T`, `D`, `Z`), `' '` if unknown.
    pub state: char,
    /// Nice value.
    pub nice: i32,
    /// The auxiliary vector: types, which [`crate::auxv`] lists, and values.
    pub auxv: Vec<(u64, u64)>,
    /// Where the area of arguments begins on the initial stack (`/proc/PID/stat`, field 28): argv,
    /// the environment and their texts are above it. 0 if unknown.
    pub stack_start: u64,
    /// Its pid in its own pid namespace; `None` if that is `key.pid`.
    pub inner_pid: Option<u32>,
    /// The id of the container it runs in; `None` if in none.
    pub container: Option<String>,
    /// The service it belongs to (systemd unit or Windows service); `None` if to none.
    pub service: Option<String>,
    /// Names and contents of files of `/proc/PID` and of the machine. Those that Breakpad has
    /// streams for: `maps`, `cmdline`, `environ`, `auxv`, `status`, `cpuinfo`, `lsb-release`; also
    /// `limits`, `cgroup` and `coredump_filter`.
    pub files: Vec<(String, Vec<u8>)>,
    /// Address of the process environment block; 0 on Linux.
    pub peb: u64,
}

impl Process {
    /// The contents of the file of that name in [`Process::files`].
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, bytes)| &bytes[..])
    }

    /// The name of its program as its own command line has it, or its short name where there is no command line.
    pub fn command_name(&self) -> &str {
        command_name(&self.command_line).unwrap_or(&self.name)
    }

    /// Its `coredump_filter` (core(5)): which memory is in its cores. Returns `None` if it has none.
    pub fn core_filter(&self) -> Option<u64> {
        let text = std::str::from_utf8(self.file("coredump_filter")?).ok()?;
        u64::from_str_radix(text.trim(), 16).ok()
    }

    /// The value of the auxiliary vector's entry of that type, one of [`crate::auxv`]; `None` if
    /// there is none.
    pub fn aux(&self, entry: u64) -> Option<u64> {
        crate::auxv::value(&self.auxv, entry)
    }
}

/// The name of a program as its own command line has it, which ProcDump for Linux takes (`GetProcessName` in
/// src/Process.cpp): that of the first word behind `sudo`. Returns `None` where there is none.
pub fn command_name(command_line: &[String]) -> Option<&str> {
    let mut words = command_line.iter().map(String::as_str);
    let word = words.find(|word| *word != "sudo")?;
    Some(program_of(word)).filter(|name| !name.is_empty())
}

/// The name of a program in a word of a command line: the last part of the path, up to the first blank. Servers write what
/// they do behind it: `postgres: checkpointer` is `postgres:`.
pub fn program_of(word: &str) -> &str {
    let name = word.rsplit('/').next().unwrap_or_default();
    name.split(' ').next().unwrap_or_default()
}

/// The user of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Real user id; on Windows the RID of the SID.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Effective group id.
    pub egid: u32,
    /// The user's name, or the number as text if it has none.
    pub name: String,
}

/// An open descriptor (Linux) or handle (Windows).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handle {
    /// Its number.
    pub number: u64,
    /// Its type: `file`, `socket`, `pipe`, `anon_inode` …; on Windows the type of the object.
    pub kind: String,
    /// The name of what it refers to, as the system gives it.
    pub name: String,
    /// Position in the file, in bytes; `None` if it has none.
    pub position: Option<u64>,
    /// The flags of open(2) (`O_…`); on Windows the granted access.
    pub flags: u32,
    /// The attributes of a handle on Windows (`OBJ_INHERIT` …).
    pub attributes: u32,
    /// How many handles of the whole machine refer to its object, on Windows; 0 if that is not known.
    pub handle_count: u32,
    /// How many references there are to its object, handles included, on Windows; 0 if that is not
    /// known.
    pub pointer_count: u32,
}
