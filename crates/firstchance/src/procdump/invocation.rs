//! What a command line of ProcDump asks for, as plain values.

use policy::Rule;
use snapshot::{Compression, DumpKind};
use std::{fmt, time::Duration};

/// Which ProcDump is meant where a switch means different things in the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// ProcDump for Windows, version 12. This is the default on Linux, too.
    #[default]
    Windows,
    /// ProcDump for Linux, version 3 (`--linux`, `PROCDUMP_DIALECT=linux`).
    Linux,
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Invocation {
    /// The command.
    pub(crate) command: Command,
    /// One line for each switch that has no meaning here. The command is carried out nevertheless.
    pub(crate) warnings: Vec<String>,
    /// One line for each switch that firstchance does not have yet. If there is any, `explain` shows the rule
    /// of the command line, but the command is not carried out.
    pub(crate) not_built_yet: Vec<String>,
    /// Which ProcDump is meant.
    pub(crate) dialect: Dialect,
    /// The first switch of the command line that only ProcDump for Linux has.
    pub(crate) linux_switch: Option<String>,
}

/// A command, with its options.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    /// Watch a process and dump it.
    Monitor(Box<Monitor>),
    /// Become the machine's handler of crashes (`-i`).
    Install(Box<Install>),
    /// Restore the handler of crashes that was there before `-i` (`-u` alone).
    Uninstall,
    /// End every monitor of the process with this pid (`-cancel`).
    Cancel(u32),
    /// Dump a crashed process: Windows calls its handler of crashes like this (`-j`).
    PostMortem(PostMortem),
    /// Show the help (`-?`), or the examples (`-? -e`).
    Help {
        /// Whether the examples are asked for.
        examples: bool,
    },
}

/// The options for watching a process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Monitor {
    /// The rule that the command line means.
    pub(crate) rule: Rule,
    /// Which ProcDump's messages and file names are used.
    pub(crate) dialect: Dialect,
    /// Wait for the target if it is not running (`-w`).
    pub(crate) wait: bool,
    /// Start this program and watch it (`-x`).
    pub(crate) launch: Option<Launch>,
    /// `Dump_File | Dump_Folder` as given. It is a folder if it exists as one, or ends in a separator.
    pub(crate) output: Option<String>,
    /// A comment that is stored in the dump (`-dc`).
    pub(crate) comment: Option<String>,
    /// Replace an existing file (`-o`).
    pub(crate) overwrite: bool,
    /// Dump a clone of the process, with at most this many clones at a time (`-r`).
    pub(crate) clones: Option<u32>,
    /// Kill the target after its dump was taken (`-k`).
    pub(crate) kill_after: bool,
    /// Give up a dump after this time (`-at`).
    pub(crate) timeout: Option<Duration>,
    /// What only Windows has.
    pub(crate) windows: WindowsSwitches,
    /// Ignore the .NET runtime of the target (`-g`).
    pub(crate) native: bool,
    /// Treat breakpoints in the program's own code as exceptions (`-b`).
    pub(crate) breakpoints: bool,
    /// Show debug strings (`-l`).
    pub(crate) debug_strings: bool,
    /// The time between two samples (`-pf`). `None`: one second.
    pub(crate) poll: Option<Duration>,
    /// Where additional lines for tracing go (`-log`).
    pub(crate) log: Option<LogTo>,
    /// The seconds for which a threshold must be passed (`-s`), for the header; 10 by default.
    pub(crate) seconds: u32,
    /// The number of dumps before monitoring ends (`-n`), for the header; 1 by default.
    pub(crate) count: u32,
}

/// The switches about dumps that only Windows has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WindowsSwitches {
    /// Take a kernel dump beside each dump (`-mk`).
    pub(crate) kernel: bool,
    /// The path of a DLL that decides what is dumped (`-md`).
    pub(crate) callback: Option<String>,
    /// Queue the dump for Windows Error Reporting (`-wer`).
    pub(crate) wer: bool,
    /// Take a 64-bit dump of a 32-bit process (`-64`).
    pub(crate) wide: bool,
}

impl Monitor {
    /// Whether the dump is taken at once and nothing is watched. ProcDump shows no header then.
    pub(crate) fn is_manual(&self) -> bool {
        let now = |c: &policy::Condition| *c == policy::Condition::Now;
        self.rule
            .clauses
            .iter()
            .all(|clause| clause.when.iter().all(now))
    }
}

/// A program to start, and to watch from its first instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The path or name of the program, or the id of a Store application (AppUserModelId).
    pub(crate) image: String,
    /// Its arguments, without its own name.
    pub(crate) arguments: Vec<String>,
    /// Whether it is a Store application (`-y`).
    pub(crate) is_store: bool,
}

/// The options for becoming the handler of crashes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Install {
    /// The rule for every crash.
    pub(crate) rule: Rule,
    /// The kinds of dump, smallest first.
    pub(crate) kinds: Vec<DumpKind>,
    /// The folder for the dumps. `None`: the current folder.
    pub(crate) folder: Option<String>,
    /// Give up a dump after this time (`-at`).
    pub(crate) timeout: Option<Duration>,
    /// Kill the process after its dump was taken (`-k`).
    pub(crate) kill_after: bool,
    /// What only Windows has.
    pub(crate) windows: WindowsSwitches,
}

/// The values with which Windows calls its handler of crashes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PostMortem {
    /// The kinds of dump, smallest first.
    pub(crate) kinds: Vec<DumpKind>,
    /// The folder for the dump.
    pub(crate) folder: String,
    /// The pid of the process that crashed.
    pub(crate) pid: u32,
    /// The handle of the event that lets the process go on.
    pub(crate) event: u64,
    /// The address of `JIT_DEBUG_INFO` in the process.
    pub(crate) information: u64,
    /// How the dump is compressed (`--compress`).
    pub(crate) compress: Option<Compression>,
    /// Give up a dump after this time (`-at`).
    pub(crate) timeout: Option<Duration>,
    /// Kill the process after its dump was taken (`-k`).
    pub(crate) kill_after: bool,
    /// What only Windows has.
    pub(crate) windows: WindowsSwitches,
}

/// Where lines for tracing go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogTo {
    /// The system log.
    Syslog,
    /// Standard output.
    Stdout,
}

/// Why a command line cannot be understood, as a sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsageError(pub(crate) String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}
