//! The table of all switches, of both dialects. The parser, the help and `docs/procdump.md` are made from it.

use super::Dialect;
use snapshot::{DumpKind, OperatingSystem};

/// A switch of ProcDump.
#[derive(Debug)]
pub(crate) struct Switch {
    /// Identifies the switch in the code.
    pub(crate) id: Id,
    /// The name, without `-`.
    pub(crate) name: &'static str,
    /// The values that follow it.
    pub(crate) shape: Shape,
    /// The heading under which it is explained.
    pub(crate) group: Group,
    /// The ProcDump that has it.
    pub(crate) origin: Origin,
    /// Whether it works on Linux.
    pub(crate) linux: Support,
    /// Whether it works on Windows.
    pub(crate) windows: Support,
    /// The step of the project that it is built in.
    pub(crate) since: Since,
    /// The meaning, in one or two sentences.
    pub(crate) doc: &'static str,
    /// The meaning in the Linux dialect, if it is another one.
    pub(crate) linux_doc: Option<&'static str>,
}

impl Switch {
    /// Whether it works on `system`.
    pub(crate) fn support(&self, system: OperatingSystem) -> Support {
        match system {
            OperatingSystem::Linux | OperatingSystem::Foreign(_) => self.linux,
            OperatingSystem::Windows => self.windows,
        }
    }

    /// The meaning in `dialect`.
    pub(crate) fn doc(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Linux => self.linux_doc.unwrap_or(self.doc),
            Dialect::Windows => self.doc,
        }
    }

    /// The switch with its values: `-p COUNTER THRESHOLD`.
    pub(crate) fn usage(&self) -> String {
        let name = self.name;
        match self.shape {
            Shape::Flag => format!("-{name}"),
            Shape::Values(values) => format!("-{name} {}", values.join(" ")),
            Shape::UpTo(1) => format!("-{name} [1]"),
            Shape::UpTo(most) => format!("-{name} [1..{most}]"),
            Shape::Word(word) => format!("-{name} [{word}]"),
            Shape::Rest(values) => format!("-{name} {} [ARGUMENT ...]", values.join(" ")),
        }
    }
}

/// The values that follow a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// No value.
    Flag,
    /// Values with these names.
    Values(&'static [&'static str]),
    /// Optionally a number from 1 to this. It belongs to the switch only if a target is named besides: `-e 1`
    /// alone means the process with the pid 1.
    UpTo(u32),
    /// Optionally this word.
    Word(&'static str),
    /// Values with these names, and then the rest of the line.
    Rest(&'static [&'static str]),
}

/// The headings of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// What a dump contains.
    Kind,
    /// The condition for a dump.
    Trigger,
    /// What a trigger is restricted to.
    Filter,
    /// How a dump is taken.
    Control,
    /// Which process is dumped.
    Target,
    /// Everything else.
    Other,
}

impl Group {
    /// The headings in the order of the help, with their texts.
    pub(crate) const ALL: [(Group, &'static str); 6] = [
        (Group::Kind, "What is dumped"),
        (Group::Trigger, "When"),
        (Group::Filter, "Filters"),
        (Group::Control, "How"),
        (Group::Target, "Which process"),
        (Group::Other, "Other"),
    ];
}

/// The ProcDump that has a switch. firstchance understands the switches of both in either dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Windows,
    Linux,
    Both,
}

/// Whether a switch works on a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// It does what its description says.
    Yes,
    /// It has no meaning there, for this reason. It is ignored with a warning.
    Nothing(&'static str),
    /// It is a trigger or a target that is not possible there, for this reason. It is an error.
    Never(&'static str),
}

/// The step of the project that a switch is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Since {
    /// Levels, timers, limits, both dialects.
    Conditions,
    /// Exceptions and the other events.
    Events,
    /// The handler of crashes.
    PostMortem,
    /// What dumps are and have on Windows alone.
    Windows,
    /// Clones, .NET, leaks.
    Later,
}

/// The last step that is built. It is changed when a step is complete.
pub(crate) const BUILT: Since = Since::Windows;

/// Identifies a switch in the code.
#[rustfmt::skip]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Id {
    Mini, Full, Triage, Plus, Mask, Callback, Kernel,
    Count, Seconds, Cpu, CpuBelow, CoreOrUninstall, Memory, MemoryBelow, Counter, CounterBelow,
    Hang, Exception, Native, Breakpoints, ModuleLoad, ModuleUnload, ThreadStart, ThreadExit,
    DebugString, Exit, Threads, Descriptors, Signal, GcMemory, GcGeneration, DotnetCounter,
    DotnetCounterBelow, Leaks, LeakRate,
    Include, Exclude,
    Comment, Overwrite, Compress, Clone, AvoidOutage, Timeout, Kill, Wer, Wide, Poll, Log, Gcore,
    Wait, Launch, Store, Tree, Each, Group,
    Install, PostMortem, Cancel, Eula, Help, Verbose, Linux, ExitCodes,
}

const NO_SIGNALS: &str = "Windows has no signals";
const NATIVE_BITNESS: &str = "a dump always has the bitness of its process";

/// A switch of ProcDump for Windows that works on both systems. The methods below change that.
const fn switch(
    id: Id,
    name: &'static str,
    shape: Shape,
    group: Group,
    doc: &'static str,
) -> Switch {
    Switch {
        id,
        name,
        shape,
        group,
        origin: Origin::Windows,
        linux: Support::Yes,
        windows: Support::Yes,
        since: Since::Conditions,
        doc,
        linux_doc: None,
    }
}

impl Switch {
    const fn both(mut self) -> Self {
        self.origin = Origin::Both;
        self
    }

    const fn linux_only(mut self) -> Self {
        self.origin = Origin::Linux;
        self
    }

    const fn since(mut self, since: Since) -> Self {
        self.since = since;
        self
    }

    const fn in_linux(mut self, doc: &'static str) -> Self {
        self.origin = Origin::Both;
        self.linux_doc = Some(doc);
        self
    }

    const fn on_linux(mut self, support: Support) -> Self {
        self.linux = support;
        self
    }

    const fn on_windows(mut self, support: Support) -> Self {
        self.windows = support;
        self
    }
}

use Group as G;
use Shape::{Flag, Rest, UpTo, Values, Word};
use Support::{Never, Nothing};

/// All switches, in the order of the help.
#[rustfmt::skip]
pub(crate) const SWITCHES: &[Switch] = &[
    switch(Id::Mini, "mm", Flag, G::Kind, "A mini dump: stacks, what they point at, and all metadata. This is the default; in the Linux dialect, what the target's coredump_filter (core(5)) says is."),
    switch(Id::Full, "ma", Flag, G::Kind, "A full dump: all memory that is resident."),
    switch(Id::Triage, "mt", Flag, G::Kind, "A triage dump: stacks only, without command line and environment."),
    switch(Id::Plus, "mp", Flag, G::Kind, "A plus dump: private memory, and what is writable of images and mapped files."),
    switch(Id::Mask, "mc", Values(&["MASK"]), G::Kind, "A dump of what a hexadecimal mask selects: MINIDUMP_TYPE on Windows, coredump_filter (core(5)) on Linux.").both(),
    switch(Id::Callback, "md", Values(&["DLL"]), G::Kind, "A dump of what the MiniDumpCallbackRoutine of a DLL selects, with all metadata.").on_linux(Nothing("there are no callback DLLs")).since(Since::Windows),
    switch(Id::Kernel, "mk", Flag, G::Kind, "Beside each dump, another one with the kernel stacks of the process. Not possible with -r.").on_linux(Nothing("there are no kernel dumps of one process")).since(Since::Windows),

    switch(Id::Count, "n", Values(&["COUNT"]), G::Trigger, "The number of dumps before monitoring ends; 1 by default.").both(),
    switch(Id::Seconds, "s", Values(&["SECONDS"]), G::Trigger, "The number of consecutive seconds for which a threshold has to be passed, or the time between dumps without a trigger; 10 by default.").in_linux("The number of seconds between two dumps; a threshold causes a dump at once. 10 by default."),
    switch(Id::Cpu, "c", Values(&["PERCENT"]), G::Trigger, "CPU at or above this percentage of all processors; with -u, of one processor.").in_linux("CPU at or above this percentage of one processor."),
    switch(Id::CpuBelow, "cl", Values(&["PERCENT"]), G::Trigger, "CPU below this percentage of all processors; with -u, of one processor.").in_linux("CPU below this percentage of one processor."),
    switch(Id::CoreOrUninstall, "u", Flag, G::Trigger, "-c and -cl are percentages of one processor. As the only switch: restore the handler of crashes that was there before -i."),
    switch(Id::Memory, "m", Values(&["MIB"]), G::Trigger, "Private memory at or above this number of MiB. A list (100,200,300) takes one dump at each.").both().in_linux("Resident and swapped memory, what is shared included, at or above this number of MiB. A list (100,200,300) takes one dump at each."),
    switch(Id::MemoryBelow, "ml", Values(&["MIB"]), G::Trigger, "Private memory below this number of MiB. A list takes one dump at each.").both().in_linux("Resident and swapped memory, what is shared included, below this number of MiB. A list takes one dump at each."),
    switch(Id::Counter, "p", Values(&["COUNTER", "THRESHOLD"]), G::Trigger, "A counter of the system at or above a threshold. On Linux, `firstchance counters` lists them."),
    switch(Id::CounterBelow, "pl", Values(&["COUNTER", "THRESHOLD"]), G::Trigger, "A counter of the system below a threshold."),
    switch(Id::Hang, "h", Flag, G::Trigger, "A window that has not answered for 5 seconds; on Linux, a main thread stuck in the kernel for as long."),
    switch(Id::Exception, "e", UpTo(1), G::Trigger, "An exception that nobody handles (second chance); with 1, every exception at its first chance, and at its second. Exceptions of .NET are not built yet: a line says so.").in_linux("Every exception at its first chance. Those of .NET are not built yet: a line says so.").since(Since::Events),
    switch(Id::ModuleLoad, "ld", Flag, G::Trigger, "The load of a module; filters apply to its file name.").since(Since::Events),
    switch(Id::ModuleUnload, "ud", Flag, G::Trigger, "The unload of a module; filters apply to its file name.").since(Since::Events),
    switch(Id::ThreadStart, "ct", Flag, G::Trigger, "The start of a thread.").since(Since::Events),
    switch(Id::ThreadExit, "et", Flag, G::Trigger, "The end of a thread.").since(Since::Events),
    switch(Id::DebugString, "l", Flag, G::Trigger, "A debug string; on Linux, a line that the target writes to stderr (not what it sends to the system log).").since(Since::Events),
    switch(Id::Exit, "t", Flag, G::Trigger, "The end of the process, in whatever way, while its memory still exists."),
    switch(Id::Threads, "tc", Values(&["COUNT"]), G::Trigger, "At least this number of threads.").linux_only(),
    switch(Id::Descriptors, "fc", Values(&["COUNT"]), G::Trigger, "At least this number of open descriptors; on Windows, handles.").linux_only(),
    switch(Id::Signal, "sig", Values(&["SIGNALS"]), G::Trigger, "The delivery of one of these signals, by number or name: 10,SIGUSR2. Not SIGKILL, which nobody sees before it ends the process: -t dumps at the end.").linux_only().on_windows(Never(NO_SIGNALS)).since(Since::Events),
    switch(Id::GcMemory, "gcm", Values(&["[HEAP:]MIB"]), G::Trigger, "The .NET heap, one generation of it, LOH or POH, at or above this number of MiB after a collection. A list takes one dump at each.").linux_only().since(Since::Later),
    switch(Id::GcGeneration, "gcgen", Values(&["GENERATION"]), G::Trigger, "The beginning and the end of the next .NET collection of this generation: two dumps.").linux_only().since(Since::Later),
    switch(Id::DotnetCounter, "pc", Values(&["PROVIDER:COUNTER", "THRESHOLD"]), G::Trigger, "A .NET counter or meter at or above a threshold; [p95] after its name selects that percentile.").linux_only().since(Since::Later),
    switch(Id::DotnetCounterBelow, "pcl", Values(&["PROVIDER:COUNTER", "THRESHOLD"]), G::Trigger, "A .NET counter or meter below a threshold.").linux_only().since(Since::Later),
    switch(Id::Leaks, "restrack", Word("nodump"), G::Trigger, "Memory that is allocated and never freed, reported for each stack.").linux_only().on_windows(Never("leaks are tracked on Linux only")).since(Since::Later),

    switch(Id::Include, "f", Values(&["FILTER,..."]), G::Filter, "Only exceptions (as printed: CODE.NAME and message), debug strings or module names that contain one of these. * stands for any text, and 0x before a code is ignored. \"\" shows everything and dumps nothing.").both(),
    switch(Id::Exclude, "fx", Values(&["FILTER,..."]), G::Filter, "None that contain one of these, even if -f selects them.").in_linux("As in the Windows dialect for exceptions; also the stacks that are left out of the report of -restrack."),
    switch(Id::Native, "g", Flag, G::Filter, "Ignore the .NET runtime: its exceptions are shown with their native code.").on_linux(Nothing("exceptions of a runtime are not seen through a debugger")),
    switch(Id::Breakpoints, "b", Flag, G::Filter, "Treat breakpoints in the program's own code as exceptions at their first chance, too. Without it, only one that nobody handles counts.").since(Since::Events),
    switch(Id::LeakRate, "sr", Values(&["RATE"]), G::Filter, "Track one of this number of allocations (-restrack).").linux_only().on_windows(Nothing("leaks are tracked on Linux only")).since(Since::Later),

    switch(Id::Comment, "dc", Values(&["TEXT"]), G::Control, "A comment that is stored in the dump."),
    switch(Id::Overwrite, "o", Flag, G::Control, "Replace an existing file. Without it, the new one gets the next free name.").in_linux("Replace an existing FILE. Without it, the file is left, no dump is written, and monitoring ends."),
    switch(Id::Compress, "-compress", Values(&["zstd[:LEVEL]"]), G::Control, "Compress dumps while they are written, by zstd; the level is 1 (the default) to 19. .zst is added to their names. `firstchance unpack` writes the plain dump."),
    switch(Id::Clone, "r", UpTo(5), G::Control, "Dump a clone, so that the target goes on at once; at most this number of clones at a time, 1 by default."),
    switch(Id::AvoidOutage, "a", Flag, G::Control, "Skip a trigger if the target would have to wait for a clone. Needs -r."),
    switch(Id::Timeout, "at", Values(&["SECONDS"]), G::Control, "Give up a dump after this time; the target goes on."),
    switch(Id::Kill, "k", Flag, G::Control, "Kill the process after its dump was taken."),
    switch(Id::Wer, "wer", Flag, G::Control, "Queue the largest dump for Windows Error Reporting. Not needed with -i, because Windows then reports the crash itself.").on_linux(Nothing("there is no Windows Error Reporting")).since(Since::Windows),
    switch(Id::Wide, "64", Flag, G::Control, "Take a 64-bit dump of a 32-bit process: its threads in the code of the system, and the modules of both sides.").on_linux(Nothing(NATIVE_BITNESS)).since(Since::Windows),
    switch(Id::Poll, "pf", Values(&["MILLISECONDS"]), G::Control, "The time between two samples; 1000 by default.").linux_only(),
    switch(Id::Log, "log", Values(&["syslog|stdout"]), G::Control, "Show what is decided and why, as lines of the level DEBUG on standard output or in the system log.").linux_only(),
    switch(Id::Gcore, "usegcore", Flag, G::Control, "Write the dump with gcore.").linux_only().on_linux(Nothing("firstchance writes its own dumps")).on_windows(Nothing("firstchance writes its own dumps")),

    switch(Id::Wait, "w", Flag, G::Target, "Wait for the program to start if it is not running.").in_linux("Watch every process of that name, now and later, until each has had its dumps."),
    switch(Id::Launch, "x", Rest(&["FOLDER", "IMAGE"]), G::Target, "Start a program and watch it from its first instruction. Everything after IMAGE is passed to it."),
    switch(Id::Store, "y", Flag, G::Target, "With -x after it: IMAGE is the id of a Store application (AppUserModelId), which is started, and watched from then on.").on_linux(Nothing("there are no Store applications")).since(Since::Windows),
    switch(Id::Tree, "pt", Flag, G::Target, "Watch the child processes, too."),
    switch(Id::Each, "-each", Flag, G::Target, "With -w in the Linux dialect: when each process found has had its dumps, go on and wait for further ones, for ever, as ProcDump for Linux itself does.").linux_only(),
    switch(Id::Group, "pgid", Flag, G::Target, "The target is the number of a process group: watch every process of it, until each has had its dumps or all have ended.").linux_only().on_windows(Never("Windows has no process groups")),

    switch(Id::Install, "i", Flag, G::Other, "Become the machine's handler of crashes. Dumps go to the given folder, or to the current one. On Windows this sets the just-in-time debugger (AeDebug); on Linux it is `firstchance postmortem enable`.").since(Since::PostMortem),
    switch(Id::PostMortem, "j", Values(&["FOLDER", "PID", "EVENT", "ADDRESS"]), G::Other, "The switch with which Windows calls its handler of crashes.").on_linux(Never("the kernel calls its handler in its own way")).since(Since::PostMortem),
    switch(Id::Cancel, "cancel", Values(&["PID"]), G::Other, "End all monitoring of this process. The process goes on."),
    switch(Id::Eula, "accepteula", Flag, G::Other, "Ignored: there is no question to answer."),
    switch(Id::Verbose, "v", Flag, G::Other, "Ignored."),
    switch(Id::Linux, "-linux", Flag, G::Other, "Use the meaning of ProcDump for Linux where the two differ. PROCDUMP_DIALECT=linux in the environment does the same.").linux_only(),
    switch(Id::ExitCodes, "-procdump-exit-codes", Flag, G::Other, "End with the exit codes that ProcDump itself was seen to have, and not with firstchance's own: the list is below."),
    switch(Id::Help, "?", Flag, G::Other, "Show this help, as --help does; with -e, examples.").both(),
];

/// The switch that asks for a kind of dump, with its value.
pub(crate) fn kind_switch(kind: DumpKind) -> String {
    let name = |id| format!("-{}", get(id).name);
    match kind {
        DumpKind::Mini => name(Id::Mini),
        DumpKind::Full | DumpKind::Filtered => name(Id::Full),
        DumpKind::Triage => name(Id::Triage),
        DumpKind::Callback => name(Id::Callback),
        DumpKind::Plus => name(Id::Plus),
        DumpKind::Custom(mask) => format!("{} {mask:x}", name(Id::Mask)),
    }
}

/// The switch with this name, in any case. Returns `None` if there is none.
pub(crate) fn find(name: &str) -> Option<&'static Switch> {
    let same = |switch: &&Switch| switch.name.eq_ignore_ascii_case(name);
    SWITCHES.iter().find(same)
}

/// The switch with this id.
pub(crate) fn get(id: Id) -> &'static Switch {
    let same = |switch: &&Switch| switch.id == id;
    let found = SWITCHES.iter().find(same);
    found.unwrap_or(&SWITCHES[0])
}
