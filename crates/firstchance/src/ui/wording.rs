//! The lines for people, in the words that a front end asks for: firstchance's own, or those of one of the two ProcDumps,
//! in which scripts look for dumps.

use super::console;
use collector::Written;
use policy::{Condition, Gauge, Level, Target, Trigger};
use snapshot::{DumpKind, ProcessKey, WallTime};
use std::time::Duration;

/// The wording of the lines for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wording {
    /// firstchance's own. The rules are shown first, as sentences.
    #[default]
    Sentences,
    /// firstchance's own, without the rules: the caller has shown them.
    Plain,
    /// That of ProcDump for Windows.
    ProcDump,
    /// That of ProcDump for Linux.
    ProcDumpForLinux,
}

/// How serious a line is; ProcDump for Linux writes it before the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Debug,
    Info,
    Warn,
    Error,
}

impl Wording {
    /// Whether it is that of one of the two ProcDumps.
    pub(crate) fn is_of_procdump(self) -> bool {
        matches!(self, Self::ProcDump | Self::ProcDumpForLinux)
    }

    /// A line with the time before it.
    pub(crate) fn stamped(self, weight: Weight, text: &str) -> String {
        self.stamped_at(console::now(), weight, text)
    }

    /// A line with this time before it.
    pub(crate) fn stamped_at(self, time: WallTime, weight: Weight, text: &str) -> String {
        let time = console::time(time);
        let level = match weight {
            Weight::Debug => "DEBUG",
            Weight::Info => "INFO",
            Weight::Warn => "WARN",
            Weight::Error => "ERROR",
        };
        match self {
            Self::ProcDumpForLinux => format!("[{time} - {level}]: {text}"),
            _ => format!("[{time}] {text}"),
        }
    }

    /// The beginning of each line about a dump. ProcDump for Linux counts from 0.
    pub(crate) fn dump(self, number: u32) -> String {
        match self {
            Self::ProcDumpForLinux => format!("Core dump {}", number.saturating_sub(1)),
            _ => format!("Dump {number}"),
        }
    }

    /// That a file was created for a dump. ProcDump for Linux does not say it.
    pub(crate) fn initiated(self, number: u32, path: &str) -> Option<String> {
        (self != Self::ProcDumpForLinux).then(|| format!("Dump {number} initiated: {path}"))
    }

    /// That a dump is being written, and how large it will be. ProcDump for Windows says it of large kinds alone, ProcDump
    /// for Linux of none.
    pub(crate) fn writing(self, number: u32, kind: DumpKind, bytes: u64) -> Option<String> {
        let small = matches!(kind, DumpKind::Mini | DumpKind::Triage);
        match self {
            Self::ProcDumpForLinux => None,
            Self::ProcDump if small => None,
            Self::ProcDump => Some(format!(
                "Dump {number} writing: Estimated dump file size is {} MB.",
                megabytes(bytes)
            )),
            _ => Some(format!(
                "Dump {number} writing: {} to write",
                console::size(bytes)
            )),
        }
    }

    /// That a dump is complete. `path` is its place.
    pub(crate) fn complete(self, written: &Written, path: &str) -> String {
        let dump = self.dump(written.number);
        let seconds = written.took.as_secs_f64();
        match self {
            Self::ProcDumpForLinux => format!("{dump} generated: {path}"),
            Self::ProcDump => format!(
                "{dump} complete: {} MB written in {seconds:.1} seconds",
                megabytes(written.stored)
            ),
            _ => format!(
                "{dump} complete: {} written in {seconds:.1} seconds{} ({})",
                console::size(written.stored),
                shared(written),
                pause(written)
            ),
        }
    }

    /// What set off a dump. `which` names the process in firstchance's own words, where that has to be said.
    pub(crate) fn trigger(self, trigger: &Trigger, process: ProcessKey, which: &str) -> String {
        match self {
            Self::ProcDumpForLinux => format!(
                "Trigger: {} on process ID: {process}",
                short(trigger).unwrap_or_else(|| trigger.to_string())
            ),
            _ => format!("Trigger: {trigger}{which}"),
        }
    }

    /// That a condition is met between two dumps that are to lie further apart (`-s`).
    pub(crate) fn paused(
        self,
        trigger: &Trigger,
        process: ProcessKey,
        pause: Option<Duration>,
    ) -> String {
        let pause = pause.map_or(0, |pause| pause.as_nanos() as i64);
        let end = WallTime(console::now().0.saturating_add(pause));
        let met = short(trigger).unwrap_or_else(|| trigger.to_string());
        format!(
            "No dump before {}, because of -s: {met} on process ID: {process}",
            console::time(end)
        )
    }

    /// That a dump failed. Only in ProcDump for Linux's words a file that is there makes it fail.
    pub(crate) fn failed(self, number: u32, error: &platform::Error) -> String {
        match self {
            Self::ProcDumpForLinux if error.kind == platform::ErrorKind::Exists => {
                format!("{} failed: {error} -o replaces it.", self.dump(number))
            }
            Self::ProcDumpForLinux => format!("{} failed: {error}", self.dump(number)),
            _ => format!("{} error: {error}", self.dump(number)),
        }
    }

    /// What failed that is no dump. Where its weight stands before a line, that says already that it is an error.
    pub(crate) fn error(self, error: &platform::Error) -> String {
        match self {
            Self::ProcDumpForLinux => error.to_string(),
            _ => format!("Error: {error}"),
        }
    }

    /// What cannot be had, though the run goes on.
    pub(crate) fn warning(self, error: &platform::Error) -> String {
        match self {
            Self::ProcDumpForLinux => error.to_string(),
            _ => format!("Warning: {error}"),
        }
    }

    /// That a process has ended. `which` names it, and `status` says how it ended, in firstchance's own words.
    pub(crate) fn exited(self, process: ProcessKey, status: &str, which: &str) -> String {
        match self {
            Self::ProcDumpForLinux => format!("Target process {process} is no longer alive"),
            Self::ProcDump => format!("The process has exited.{which}"),
            _ => format!("The process has exited{status}.{which}"),
        }
    }

    /// That processes are waited for.
    pub(crate) fn waiting(self, target: &Target) -> String {
        match (self, target) {
            (Self::ProcDumpForLinux, Target::Group(group)) => self.watches_group(*group),
            (Self::ProcDumpForLinux, _) => {
                let name = bare(target);
                let text = format!("Waiting for processes '{name}' to launch");
                self.stamped(Weight::Info, &text)
            }
            _ => format!("Waiting for process {}...", described(target)),
        }
    }

    /// That the next process is waited for (`is_next`), or every one, of which there is none yet. Only firstchance's own
    /// words have this.
    pub(crate) fn waits_for(self, target: &Target, is_next: bool) -> Option<String> {
        let which = described(target);
        match (self.is_of_procdump(), is_next) {
            (true, _) => None,
            (_, true) => Some(format!("Waiting for the next process {which} to start.")),
            (_, false) => Some(format!("Waiting for processes {which}: there is none yet.")),
        }
    }

    /// That each process of a group is watched, in the words of ProcDump for Linux.
    pub(crate) fn watches_group(self, group: u32) -> String {
        let text = format!("Monitoring processes of PGID '{group}'");
        self.stamped(Weight::Info, &text)
    }

    /// That another command has ended the run.
    pub(crate) fn ended_by_pid(self) -> &'static str {
        match self {
            Self::ProcDump | Self::ProcDumpForLinux => "Monitoring was ended by -cancel.",
            _ => "Monitoring was ended by `firstchance cancel`.",
        }
    }

    /// How the run is ended before its time, in the words of ProcDump for Linux.
    pub(crate) fn how_to_end(self) -> String {
        let text = "Press Ctrl-C to end monitoring without terminating the process(es).";
        self.stamped(Weight::Info, text)
    }
}

/// A target as the user named it, without the mark that its text in a rule has.
fn bare(target: &Target) -> String {
    console::plain(&match target {
        Target::Name(name) => name.clone(),
        other => other.to_string(),
    })
}

/// Which processes a target means, as what follows "process": `named nginx`.
fn described(target: &Target) -> String {
    console::plain(&match target {
        Target::Name(name) => format!("named {name}"),
        Target::Pid(pid) => format!("with the pid {pid}"),
        Target::Group(group) => format!("of the process group {group}"),
        Target::Service(name) | Target::UserService(name) => format!("of the service {name}"),
        Target::Pool(pool) => format!("of the application pool {pool}"),
        Target::Container(id) => format!("of the container {id}"),
        Target::Image(path) => format!("that runs {path}"),
        Target::CommandLine(pattern) => format!("with the command line \"{}\"", pattern.text()),
        Target::Launch(program) => format!("that runs {program}"),
    })
}

/// How much it has in common with the dump before, if it has.
fn shared(written: &Written) -> String {
    match written.record.shared_bytes {
        0 => String::new(),
        bytes => format!(", {} shared with the dump before", console::size(bytes)),
    }
}

/// How long the target stood for a dump.
pub(super) fn pause(written: &Written) -> String {
    match (written.record.pause_ms, &written.record.method[..]) {
        (Some(ms), _) => format!("target paused {}", console::milliseconds(ms)),
        (None, "clone") => "from a clone of the target".to_owned(),
        (None, _) => "target not stopped".to_owned(),
    }
}

/// Whole megabytes, at least one: the only unit that ProcDump has.
fn megabytes(bytes: u64) -> u64 {
    (bytes >> 20).max(1)
}

/// A trigger as ProcDump for Linux writes it; `None` if it has none of that kind.
fn short(trigger: &Trigger) -> Option<String> {
    match trigger {
        Trigger::Manual => Some("Timer:0(s)".to_owned()),
        Trigger::Every(period) => Some(format!("Timer:{}(s)", period.as_secs())),
        Trigger::Signal { number, .. } => Some(format!("Signal:{number}")),
        Trigger::Level { condition, values } => level(condition, *values.first()?),
        _ => None,
    }
}

fn level(condition: &Condition, value: f64) -> Option<String> {
    let Condition::Holds { all, .. } = condition else {
        return None;
    };
    let Some(Level::Compare { gauge, .. }) = all.first() else {
        return None;
    };
    match gauge {
        Gauge::Cpu | Gauge::CoreCpu => Some(format!("CPU usage:{value:.0}%")),
        Gauge::Memory | Gauge::Rss | Gauge::RssAndSwap => {
            Some(format!("Commit usage:{}MB", value as u64 >> 20))
        }
        Gauge::Threads => Some(format!("Thread count:{value}")),
        Gauge::Handles => Some(format!("File descriptors:{value}")),
        _ => None,
    }
}
