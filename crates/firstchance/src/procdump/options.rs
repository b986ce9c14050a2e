use policy::Rule;
use snapshot::DumpKind;
use std::{fmt, time::Duration};

/// Whose command line is meant where the two ProcDumps give one switch two meanings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// ProcDump for Windows, version 12; spoken on both systems.
    #[default]
    Windows,
    /// ProcDump for Linux, version 3 (`--linux`, `PROCDUMP_DIALECT=linux`).
    Linux,
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Invocation {
    /// What is to be done.
    pub(crate) command: Command,
    /// Switches that mean nothing here: a line each, and on it goes.
    pub(crate) warnings: Vec<String>,
    /// What it asks for and the program cannot do yet: a sentence each. Such a command line is
    /// understood (`explain` shows its rule) and not carried out.
    pub(crate) not_built_yet: Vec<String>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    /// Watch a process and dump it.
    Monitor(Box<Monitor>),
    /// Become the handler of crashes (`-i`).
    Install(Box<Install>),
    /// Give the handler of crashes back to who had it (`-u` alone).
    Uninstall,
    /// Let every monitor of this process end (`-cancel`).
    Cancel(u32),
    /// Called by Windows as the handler of crashes (`-j`).
    PostMortem(PostMortem),
    /// Show the help (`-?`), or the examples (`-? -e`).
    Help {
        /// The examples.
        examples: bool,
    },
}

/// A process is to be watched.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Monitor {
    /// Whom, when, what, how often.
    pub(crate) rule: Rule,
    /// Whose lines and file names.
    pub(crate) dialect: Dialect,
    /// Wait for the target when it is not running (`-w`).
    pub(crate) wait: bool,
    /// Start this program and watch it (`-x`).
    pub(crate) launch: Option<Launch>,
    /// `Dump_File | Dump_Folder` as given: a folder if it is one or ends in a separator.
    pub(crate) place: Option<String>,
    /// For the dump's comment (`-dc`).
    pub(crate) comment: Option<String>,
    /// Write over an existing file (`-o`).
    pub(crate) overwrite: bool,
    /// Dump a clone, and at most so many at a time (`-r`).
    pub(crate) clones: Option<u32>,
    /// Kill the target when its dump is taken (`-k`).
    pub(crate) kill_after: bool,
    /// Give a dump up after so long (`-at`).
    pub(crate) timeout: Option<Duration>,
    /// A kernel dump beside each dump (`-mk`).
    pub(crate) kernel: bool,
    /// A DLL that decides what is dumped (`-md`).
    pub(crate) callback: Option<String>,
    /// Queue the dump for Windows Error Reporting (`-wer`).
    pub(crate) wer: bool,
    /// Take a 32-bit process's dump as a 64-bit one (`-64`).
    pub(crate) wide: bool,
    /// Do not look into the .NET runtime of the target (`-g`).
    pub(crate) native: bool,
    /// Breakpoints that the program itself hits are exceptions (`-b`).
    pub(crate) breakpoints: bool,
    /// Show debug strings (`-l`).
    pub(crate) debug_strings: bool,
    /// How often levels are sampled (`-pf`); `None`: each second.
    pub(crate) poll: Option<Duration>,
    /// More lines for tracing (`-log`).
    pub(crate) log: Option<LogTo>,
    /// Seconds of a threshold, as given or 10 (`-s`); for the header.
    pub(crate) seconds: u32,
    /// Dumps before it ends (`-n`); for the header and for "Dump count not reached".
    pub(crate) count: u32,
}

impl Monitor {
    /// Whether one dump is taken at once and nothing is watched: ProcDump shows no header then.
    pub(crate) fn is_manual(&self) -> bool {
        let now = |c: &policy::Condition| *c == policy::Condition::Now;
        self.rule
            .clauses
            .iter()
            .all(|clause| clause.when.iter().all(now))
    }
}

/// A program is to be started and watched from its first instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    /// Its path or name.
    pub(crate) image: String,
    /// Its arguments, its own name not among them.
    pub(crate) arguments: Vec<String>,
}

/// What becomes of crashes from now on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Install {
    /// What is done with every crash, as a rule.
    pub(crate) rule: Rule,
    /// What is dumped, smallest first.
    pub(crate) kinds: Vec<DumpKind>,
    /// Where to; `None`: the current folder.
    pub(crate) folder: Option<String>,
    /// Give a dump up after so long (`-at`).
    pub(crate) timeout: Option<Duration>,
    /// Kill the process when its dump is taken (`-k`).
    pub(crate) kill_after: bool,
}

/// Windows calls its handler of crashes with these.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PostMortem {
    /// What is dumped, smallest first.
    pub(crate) kinds: Vec<DumpKind>,
    /// Where to.
    pub(crate) folder: String,
    /// The process that crashed.
    pub(crate) pid: u32,
    /// The event that lets it go on.
    pub(crate) event: u64,
    /// Address of `JIT_DEBUG_INFO` in it.
    pub(crate) information: u64,
    /// Give a dump up after so long (`-at`).
    pub(crate) timeout: Option<Duration>,
    /// Kill the process when its dump is taken (`-k`).
    pub(crate) kill_after: bool,
}

/// Where tracing lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogTo {
    /// The system log.
    Syslog,
    /// Standard output.
    Stdout,
}

/// Why a command line is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsageError(pub(crate) String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}
