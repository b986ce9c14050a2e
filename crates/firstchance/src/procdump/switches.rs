//! The table of all switches, of both dialects.

use super::Dialect;
use snapshot::{DumpKind, OperatingSystem};

/// One switch.
#[derive(Debug)]
pub(crate) struct Switch {
    /// Which one, for the code.
    pub(crate) id: Id,
    /// How it is written, without `-`.
    pub(crate) name: &'static str,
    /// What follows it.
    pub(crate) shape: Shape,
    /// Under which heading it is explained.
    pub(crate) group: Group,
    /// Which ProcDump has it.
    pub(crate) origin: Origin,
    /// What it comes to on Linux.
    pub(crate) linux: Support,
    /// What it comes to on Windows.
    pub(crate) windows: Support,
    /// When it is built.
    pub(crate) since: Since,
    /// What it means, in one or two sentences.
    pub(crate) doc: &'static str,
    /// What it means in ProcDump for Linux's dialect, where that is something else.
    pub(crate) linux_doc: Option<&'static str>,
}

impl Switch {
    /// What it comes to on a system.
    pub(crate) fn support(&self, system: OperatingSystem) -> Support {
        match system {
            OperatingSystem::Linux => self.linux,
            OperatingSystem::Windows => self.windows,
        }
    }

    /// What it means in a dialect.
    pub(crate) fn doc(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Linux => self.linux_doc.unwrap_or(self.doc),
            Dialect::Windows => self.doc,
        }
    }

    /// How it is written with what follows: `-p COUNTER THRESHOLD`.
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

/// What follows a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nothing.
    Flag,
    /// These values.
    Values(&'static [&'static str]),
    /// Possibly a number from 1 to this. It is the switch's own only where a target still follows
    /// or was given before: `-e 1` alone means the process 1.
    UpTo(u32),
    /// Possibly this one word.
    Word(&'static str),
    /// These values and all that is left of the line.
    Rest(&'static [&'static str]),
}

/// Headings of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// What is dumped.
    Kind,
    /// What it is dumped for.
    Trigger,
    /// What such a trigger is told more exactly.
    Filter,
    /// How.
    Control,
    /// Whom.
    Target,
    /// All the rest.
    Other,
}

impl Group {
    pub(crate) const ALL: [(Group, &'static str); 6] = [
        (Group::Kind, "What is dumped"),
        (Group::Trigger, "When"),
        (Group::Filter, "Filters"),
        (Group::Control, "How"),
        (Group::Target, "Whom"),
        (Group::Other, "Other"),
    ];
}

/// Which ProcDump has a switch. Both sets are understood in either dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Windows,
    Linux,
    Both,
}

/// What a switch comes to on a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// It does what it says.
    Yes,
    /// It means nothing here, for this reason: a warning, and on it goes.
    Nothing(&'static str),
    /// It is a trigger or a target that cannot be had here, for this reason: an error.
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
    /// Clones, .NET, kernel dumps, leaks: issues of their own.
    Later,
}

/// What is built so far. Whoever completes a step moves this on.
pub(crate) const BUILT: Since = Since::PostMortem;

/// Whether `-r` makes a clone. Until then it is accepted and says that it does not.
pub(crate) const CLONES: bool = false;

/// Names for the switches.
#[rustfmt::skip]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Id {
    Mini, Full, Triage, Plus, Mask, Callback, Kernel,
    Count, Seconds, Cpu, CpuBelow, CoreOrUninstall, Memory, MemoryBelow, Counter, CounterBelow,
    Hang, Exception, Native, Breakpoints, ModuleLoad, ModuleUnload, ThreadStart, ThreadExit,
    DebugString, Exit, Threads, Descriptors, Signal, GcMemory, GcGeneration, DotnetCounter,
    DotnetCounterBelow, Leaks, LeakRate,
    Include, Exclude,
    Comment, Overwrite, Clone, AvoidOutage, Timeout, Kill, Wer, Wide, Poll, Log, Gcore,
    Wait, Launch, Store, Tree, Group,
    Install, PostMortem, Cancel, Eula, Help, Verbose, Linux,
}

const NO_TRIGGER: &str = "Windows has no signals";
const ALL_IN_CORE: &str = "a dump always has the bitness of its process";

/// A switch that both systems can do.
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
    switch(Id::Mini, "mm", Flag, G::Kind, "A mini dump: stacks, what they point at, and all metadata. What is dumped when nothing else is asked for; the Linux dialect takes a full dump then."),
    switch(Id::Full, "ma", Flag, G::Kind, "A full dump: all memory that is resident."),
    switch(Id::Triage, "mt", Flag, G::Kind, "A triage dump: stacks only, without command line and environment."),
    switch(Id::Plus, "mp", Flag, G::Kind, "A plus dump: private memory, and what is writable of images and mapped files."),
    switch(Id::Mask, "mc", Values(&["MASK"]), G::Kind, "What a hexadecimal mask says: MINIDUMP_TYPE on Windows, coredump_filter (core(5)) on Linux.").both(),
    switch(Id::Callback, "md", Values(&["DLL"]), G::Kind, "What a DLL's MiniDumpCallbackRoutine decides.").on_linux(Nothing("there are no callback DLLs")).since(Since::Later),
    switch(Id::Kernel, "mk", Flag, G::Kind, "The kernel's stacks of the process as a dump of their own beside each dump. Not together with -r.").on_linux(Nothing("there are no kernel dumps of one process")).since(Since::Later),

    switch(Id::Count, "n", Values(&["COUNT"]), G::Trigger, "So many dumps before it ends; 1 if not said.").both(),
    switch(Id::Seconds, "s", Values(&["SECONDS"]), G::Trigger, "So many consecutive seconds a threshold has to be passed; also the time between dumps without a trigger. 10 if not said.").in_linux("So many seconds between two dumps; a threshold fires at once. 10 if not said."),
    switch(Id::Cpu, "c", Values(&["PERCENT"]), G::Trigger, "CPU at or above this percentage of all processors; with -u, of one processor.").in_linux("CPU at or above this percentage of one processor."),
    switch(Id::CpuBelow, "cl", Values(&["PERCENT"]), G::Trigger, "CPU below this percentage of all processors; with -u, of one processor.").in_linux("CPU below this percentage of one processor."),
    switch(Id::CoreOrUninstall, "u", Flag, G::Trigger, "-c and -cl are percentages of one processor. As the only switch: give the handler of crashes back to who had it before -i."),
    switch(Id::Memory, "m", Values(&["MIB"]), G::Trigger, "Private memory at or above so many MiB. A list, 100,200,300, takes one dump at each.").both(),
    switch(Id::MemoryBelow, "ml", Values(&["MIB"]), G::Trigger, "Private memory below so many MiB. A list takes one dump at each.").both(),
    switch(Id::Counter, "p", Values(&["COUNTER", "THRESHOLD"]), G::Trigger, "A counter of the system at or above a threshold. On Linux, `firstchance counters` lists them."),
    switch(Id::CounterBelow, "pl", Values(&["COUNTER", "THRESHOLD"]), G::Trigger, "A counter of the system below a threshold."),
    switch(Id::Hang, "h", Flag, G::Trigger, "A window that has not answered for 5 seconds; on Linux, a main thread stuck in the kernel for as long."),
    switch(Id::Exception, "e", UpTo(1), G::Trigger, "An exception that nobody handles; with 1, every exception, when it is thrown and when nobody has handled it.").in_linux("Every exception when it is thrown.").since(Since::Events),
    switch(Id::ModuleLoad, "ld", Flag, G::Trigger, "A module is loaded; filters apply to its file name.").since(Since::Events),
    switch(Id::ModuleUnload, "ud", Flag, G::Trigger, "A module is unloaded; filters apply to its file name.").since(Since::Events),
    switch(Id::ThreadStart, "ct", Flag, G::Trigger, "A thread begins.").since(Since::Events),
    switch(Id::ThreadExit, "et", Flag, G::Trigger, "A thread ends.").since(Since::Events),
    switch(Id::DebugString, "l", Flag, G::Trigger, "A debug string; on Linux, a line that the target writes to stderr (not what it sends to the system log).").since(Since::Events),
    switch(Id::Exit, "t", Flag, G::Trigger, "The process ends, in whatever way; its memory is still there."),
    switch(Id::Threads, "tc", Values(&["COUNT"]), G::Trigger, "At least so many threads.").linux_only(),
    switch(Id::Descriptors, "fc", Values(&["COUNT"]), G::Trigger, "At least so many open descriptors; on Windows, handles.").linux_only(),
    switch(Id::Signal, "sig", Values(&["SIGNALS"]), G::Trigger, "One of these signals is delivered, by number or name: 10,SIGUSR2.").linux_only().on_windows(Never(NO_TRIGGER)).since(Since::Events),
    switch(Id::GcMemory, "gcm", Values(&["[HEAP:]MIB"]), G::Trigger, ".NET's heap, one generation of it, LOH or POH, at or above so many MiB after a collection; a list takes one dump at each.").linux_only().since(Since::Later),
    switch(Id::GcGeneration, "gcgen", Values(&["GENERATION"]), G::Trigger, "The beginning and the end of .NET's next collection of that generation: two dumps.").linux_only().since(Since::Later),
    switch(Id::DotnetCounter, "pc", Values(&["PROVIDER:COUNTER", "THRESHOLD"]), G::Trigger, "A .NET counter or meter at or above a threshold; [p95] behind its name takes that percentile.").linux_only().since(Since::Later),
    switch(Id::DotnetCounterBelow, "pcl", Values(&["PROVIDER:COUNTER", "THRESHOLD"]), G::Trigger, "A .NET counter or meter below a threshold.").linux_only().since(Since::Later),
    switch(Id::Leaks, "restrack", Word("nodump"), G::Trigger, "Memory that is allocated and never freed, reported by stack.").linux_only().on_windows(Never("leaks are tracked on Linux only")).since(Since::Later),

    switch(Id::Include, "f", Values(&["FILTER,..."]), G::Filter, "Only what contains one of these: exceptions (as printed, CODE.NAME and message), debug strings, module names. * stands for anything, 0x before a code is taken off. \"\" shows everything and dumps nothing.").both(),
    switch(Id::Exclude, "fx", Values(&["FILTER,..."]), G::Filter, "Nothing that contains one of these; wins over -f.").in_linux("As in the Windows dialect for exceptions; stacks left out of -restrack's report."),
    switch(Id::Native, "g", Flag, G::Filter, "Do not look into a .NET runtime; its exceptions show by their native code.").on_linux(Nothing("no debugger stands between a runtime and its exceptions")),
    switch(Id::Breakpoints, "b", Flag, G::Filter, "Breakpoints that the program itself hits count as exceptions.").since(Since::Events),
    switch(Id::LeakRate, "sr", Values(&["RATE"]), G::Filter, "Track one of so many allocations (-restrack).").linux_only().on_windows(Nothing("leaks are tracked on Linux only")).since(Since::Later),

    switch(Id::Comment, "dc", Values(&["TEXT"]), G::Control, "A comment for the dump."),
    switch(Id::Overwrite, "o", Flag, G::Control, "Write over an existing file.").both(),
    switch(Id::Clone, "r", UpTo(5), G::Control, "Dump a clone, so that the target goes on at once; at most so many at a time, 1 if not said."),
    switch(Id::AvoidOutage, "a", Flag, G::Control, "Skip a trigger rather than let the target wait for a clone. Needs -r."),
    switch(Id::Timeout, "at", Values(&["SECONDS"]), G::Control, "Give a dump up after so long; the target goes on."),
    switch(Id::Kill, "k", Flag, G::Control, "Kill the process when its dump is taken."),
    switch(Id::Wer, "wer", Flag, G::Control, "Queue the dump for Windows Error Reporting. With -i nothing is to be said: it comes next by itself.").on_linux(Nothing("there is no Windows Error Reporting")).since(Since::Later),
    switch(Id::Wide, "64", Flag, G::Control, "Dump a 32-bit process as Windows' 64-bit part sees it.").on_linux(Nothing(ALL_IN_CORE)).since(Since::Later),
    switch(Id::Poll, "pf", Values(&["MILLISECONDS"]), G::Control, "Look so often; 1000 if not said.").linux_only(),
    switch(Id::Log, "log", Values(&["syslog|stdout"]), G::Control, "More lines, for tracing.").linux_only(),
    switch(Id::Gcore, "usegcore", Flag, G::Control, "Write with gcore.").linux_only().on_linux(Nothing("firstchance writes its own dumps")).on_windows(Nothing("firstchance writes its own dumps")),

    switch(Id::Wait, "w", Flag, G::Target, "Wait for the program to start if it is not running.").in_linux("Every process of that name, now and later."),
    switch(Id::Launch, "x", Rest(&["FOLDER", "IMAGE"]), G::Target, "Start a program and watch it from its first instruction; all that follows is its own."),
    switch(Id::Store, "y", Flag, G::Target, "Activation of a Store application.").on_linux(Nothing("there are no Store applications")).since(Since::Later),
    switch(Id::Tree, "pt", Flag, G::Target, "Its children too."),
    switch(Id::Group, "pgid", Values(&["PGID"]), G::Target, "Every process of a process group.").linux_only().on_windows(Never("Windows has no process groups")),

    switch(Id::Install, "i", Flag, G::Other, "Become the handler of crashes; dumps go to the folder that is given, else to the current one. On Windows the just-in-time debugger (AeDebug), on Linux as `firstchance postmortem enable`.").since(Since::PostMortem),
    switch(Id::PostMortem, "j", Values(&["FOLDER", "PID", "EVENT", "ADDRESS"]), G::Other, "How Windows calls its handler of crashes.").on_linux(Never("the kernel calls its handler in its own way")).since(Since::PostMortem),
    switch(Id::Cancel, "cancel", Values(&["PID"]), G::Other, "End all monitoring of that process, gracefully."),
    switch(Id::Eula, "accepteula", Flag, G::Other, "Accepted, and without meaning: there is no question to answer."),
    switch(Id::Verbose, "v", Flag, G::Other, "Accepted, and without meaning."),
    switch(Id::Linux, "-linux", Flag, G::Other, "ProcDump for Linux's meaning where the two differ; also PROCDUMP_DIALECT=linux in the environment.").linux_only(),
    switch(Id::Help, "?", Flag, G::Other, "This help; with -e, examples.").both(),
];

/// The switch that asks for a kind of dump.
pub(crate) fn kind_switch(kind: DumpKind) -> String {
    let name = |id| format!("-{}", get(id).name);
    match kind {
        DumpKind::Mini => name(Id::Mini),
        DumpKind::Full => name(Id::Full),
        DumpKind::Triage => name(Id::Triage),
        DumpKind::Plus => name(Id::Plus),
        DumpKind::Custom(mask) => format!("{} {mask:x}", name(Id::Mask)),
    }
}

/// The switch of that name, in any case.
pub(crate) fn find(name: &str) -> Option<&'static Switch> {
    let same = |switch: &&Switch| switch.name.eq_ignore_ascii_case(name);
    SWITCHES.iter().find(same)
}

/// The switch of that id.
pub(crate) fn get(id: Id) -> &'static Switch {
    let same = |switch: &&Switch| switch.id == id;
    let found = SWITCHES.iter().find(same);
    found.unwrap_or(&SWITCHES[0])
}
