use crate::{Condition, Gauge, Level, Place, exception::printed, print_duration};
use snapshot::signal_name;
use snapshot::{Exception, Sender, TargetEvent};
use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

/// What made a rule act, with what was seen of it.
///
/// It prints as the reason that lines, dumps and records show: `cpu >= 85% for 10s: 97%`,
/// `Unhandled exception: SIGSEGV.SEGV_MAPERR`, `Process end: exit code 3`. It holds no control
/// characters then, whatever the target put into its strings.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// Somebody asked for it at once (`now`, `firstchance dump`).
    Manual,
    /// Levels that have held long enough.
    Level {
        /// The condition that they make.
        condition: Condition,
        /// The last value of each, in its own unit; not a number where it is unknown. None of a
        /// series that was begun before the program was started anew.
        values: Vec<f64>,
    },
    /// A time that comes again and again.
    Every(Duration),
    /// An exception, or a signal that is one, at its first or its second chance.
    Exception(Exception),
    /// A signal that is no exception was about to be delivered.
    Signal {
        /// Its number.
        number: i32,
        /// To which thread.
        thread: u32,
        /// Pid of the sender, where there is one.
        sender: Option<u32>,
    },
    /// A thread came to a breakpoint.
    Breakpoint {
        /// Which.
        place: Place,
        /// Which thread.
        thread: u32,
        /// The pid of another process, which it is about to end there.
        ends: Option<u32>,
    },
    /// An image was mapped; its path.
    ModuleLoad(String),
    /// An image was unmapped; its path.
    ModuleUnload(String),
    /// A thread of this id began.
    ThreadStart(u32),
    /// A thread of this id was about to end.
    ThreadExit(u32),
    /// The program wrote a debug string.
    DebugString(String),
    /// The process was about to end.
    Exit {
        /// The exit code, or minus the signal's number.
        status: i32,
        /// Who sent that signal, where it is known.
        sender: Option<Sender>,
    },
}

/// What kind of thing a trigger is: one word for programs, and for `TRIGGER` in the names of dumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerKind {
    /// Asked for at once.
    Manual,
    /// CPU time.
    Cpu,
    /// Memory of any sort.
    Memory,
    /// The number of threads.
    Threads,
    /// The number of descriptors or handles.
    Handles,
    /// A counter of the system.
    Counter,
    /// A target that does not answer.
    Hang,
    /// A page that answers too slowly.
    Http,
    /// Time alone.
    Time,
    /// An exception.
    Exception,
    /// A signal that is no exception.
    Signal,
    /// A breakpoint.
    Breakpoint,
    /// An image that came or went.
    Module,
    /// A thread that came or went.
    Thread,
    /// A debug string.
    DebugString,
    /// The end of the process.
    Exit,
}

impl Trigger {
    /// What met `condition`, if `event` does. `crashed`: the process has had an exception that
    /// nobody handled, so that its end is told already. `place`: the breakpoint of that number.
    pub(crate) fn of_event<'a>(
        condition: &Condition,
        event: &TargetEvent,
        crashed: bool,
        place: impl FnOnce(u32) -> Option<&'a Place>,
    ) -> Option<Self> {
        let is_met = match (condition, event) {
            (Condition::Exception(filter), TargetEvent::Exception(e)) => filter.matches(e),
            (Condition::Signal(number), TargetEvent::Exception(e)) => is_signal(e, *number),
            (Condition::Signal(wanted), TargetEvent::Signal { number, .. }) => wanted == number,
            (Condition::Breakpoint(wanted), TargetEvent::Breakpoint { place: at, .. }) => {
                Some(wanted) == place(*at)
            }
            (Condition::Breakpoint(Place::Exit), TargetEvent::Exiting { .. }) => !crashed,
            (Condition::Exit, TargetEvent::Exiting { .. })
            | (Condition::ThreadStart, TargetEvent::ThreadStart { .. })
            | (Condition::ThreadExit, TargetEvent::ThreadExit { .. }) => true,
            (Condition::ModuleLoad(filter), TargetEvent::ModuleLoad { path, .. })
            | (Condition::ModuleUnload(filter), TargetEvent::ModuleUnload { path, .. }) => {
                filter.passes_path(path)
            }
            (Condition::DebugString(filter), TargetEvent::DebugString { text }) => {
                filter.passes(text)
            }
            _ => false,
        };
        is_met.then(|| Self::told(condition, event)).flatten()
    }

    fn told(condition: &Condition, event: &TargetEvent) -> Option<Self> {
        Some(match event {
            TargetEvent::Exception(exception) => Self::Exception(exception.clone()),
            &TargetEvent::Signal {
                number,
                thread,
                sender,
            } => Self::Signal {
                number,
                thread,
                sender,
            },
            &TargetEvent::Breakpoint { thread, ends, .. } => Self::Breakpoint {
                place: match condition {
                    Condition::Breakpoint(place) => place.clone(),
                    _ => return None,
                },
                thread,
                ends,
            },
            TargetEvent::ModuleLoad { path, .. } => Self::ModuleLoad(path.clone()),
            TargetEvent::ModuleUnload { path, .. } => Self::ModuleUnload(path.clone()),
            TargetEvent::ThreadStart { thread } => Self::ThreadStart(*thread),
            TargetEvent::ThreadExit { thread } => Self::ThreadExit(*thread),
            TargetEvent::DebugString { text } => Self::DebugString(text.clone()),
            TargetEvent::Exiting { status, sender } => Self::Exit {
                status: *status,
                sender: sender.clone(),
            },
            TargetEvent::Executed | TargetEvent::Exited { .. } => return None,
        })
    }

    /// What kind of thing it is. Of several levels that hold together, the first counts.
    pub fn kind(&self) -> TriggerKind {
        match self {
            Self::Manual => TriggerKind::Manual,
            Self::Level { condition, .. } => level_kind(condition),
            Self::Every(_) => TriggerKind::Time,
            Self::Exception(_) => TriggerKind::Exception,
            Self::Signal { .. } => TriggerKind::Signal,
            Self::Breakpoint { .. } => TriggerKind::Breakpoint,
            Self::ModuleLoad(_) | Self::ModuleUnload(_) => TriggerKind::Module,
            Self::ThreadStart(_) | Self::ThreadExit(_) => TriggerKind::Thread,
            Self::DebugString(_) => TriggerKind::DebugString,
            Self::Exit { .. } => TriggerKind::Exit,
        }
    }

    /// The thread that it happened in, where there is one.
    pub fn thread(&self) -> Option<u32> {
        match self {
            Self::Exception(exception) => Some(exception.thread),
            Self::Signal { thread, .. }
            | Self::Breakpoint { thread, .. }
            | Self::ThreadStart(thread)
            | Self::ThreadExit(thread) => Some(*thread),
            _ => None,
        }
    }

    /// The exception that it is, where it is one.
    pub fn exception(&self) -> Option<&Exception> {
        match self {
            Self::Exception(exception) => Some(exception),
            _ => None,
        }
    }
}

impl TriggerKind {
    /// Its word: `cpu`, `memory`, `exception` …
    pub const fn word(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Threads => "threads",
            Self::Handles => "handles",
            Self::Counter => "counter",
            Self::Hang => "hang",
            Self::Http => "http",
            Self::Time => "time",
            Self::Exception => "exception",
            Self::Signal => "signal",
            Self::Breakpoint => "breakpoint",
            Self::Module => "module",
            Self::Thread => "thread",
            Self::DebugString => "debug-string",
            Self::Exit => "exit",
        }
    }
}

fn level_kind(condition: &Condition) -> TriggerKind {
    let Condition::Holds { all, .. } = condition else {
        return TriggerKind::Manual;
    };
    match all.first() {
        Some(Level::Compare { gauge, .. }) => match gauge {
            Gauge::Cpu | Gauge::CoreCpu => TriggerKind::Cpu,
            Gauge::Memory | Gauge::Rss | Gauge::Virtual => TriggerKind::Memory,
            Gauge::Threads => TriggerKind::Threads,
            Gauge::Handles => TriggerKind::Handles,
            Gauge::Counter(_) => TriggerKind::Counter,
        },
        Some(Level::Hang) => TriggerKind::Hang,
        Some(Level::Http { .. }) => TriggerKind::Http,
        None => TriggerKind::Manual,
    }
}

/// A fault on Linux is both: `SIGSEGV.SEGV_MAPERR` is the delivery of SIGSEGV.
fn is_signal(exception: &Exception, number: i32) -> bool {
    let signal = exception.name.split('.').next();
    signal == Some(&signal_name(number)[..])
}

impl Display for Trigger {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            // As ProcDump calls it.
            Self::Manual => f.write_str("Manual dump"),
            Self::Level { condition, values } => level(f, condition, values),
            Self::Every(period) => write!(f, "every {}", print_duration(*period)),
            Self::Exception(exception) => {
                let chance = match exception.first_chance {
                    true => "Exception",
                    false => "Unhandled exception",
                };
                write!(f, "{chance}: {}", plain(&printed(exception)))
            }
            Self::Signal { number, sender, .. } => {
                write!(f, "Signal: {}", signal_name(*number))?;
                match sender {
                    Some(pid) => write!(f, " from process {pid}"),
                    None => Ok(()),
                }
            }
            Self::Breakpoint { place, ends, .. } => {
                write!(f, "{}", Condition::Breakpoint(place.clone()))?;
                match ends {
                    Some(pid) => write!(f, ": ends PID {pid}"),
                    None => Ok(()),
                }
            }
            Self::ModuleLoad(path) => write!(f, "Module load: {}", plain(path)),
            Self::ModuleUnload(path) => write!(f, "Module unload: {}", plain(path)),
            Self::ThreadStart(thread) => write!(f, "Thread start: {thread}"),
            Self::ThreadExit(thread) => write!(f, "Thread exit: {thread}"),
            Self::DebugString(text) => f.write_str(&shown_debug_string(text)),
            Self::Exit { status, sender } => ending(f, *status, sender.as_ref()),
        }
    }
}

impl Display for TriggerKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// `Unhandled: E0434352.CLR ("…")`, the line that ProcDump shows of an exception.
pub(crate) fn shown_exception(exception: &Exception) -> String {
    let chance = match exception.first_chance {
        true => "Exception",
        false => "Unhandled",
    };
    format!("{chance}: {}", plain(&printed(exception)))
}

/// `Debug string: text`, as it is shown, and kept in the dump.
pub(crate) fn shown_debug_string(text: &str) -> String {
    format!("Debug string: {}", plain(text))
}

/// `cpu >= 85% for 10s: 97%`
fn level(f: &mut Formatter<'_>, condition: &Condition, values: &[f64]) -> fmt::Result {
    let Condition::Holds { all, .. } = condition else {
        return write!(f, "{condition}");
    };
    if values.is_empty() {
        return write!(f, "{condition}");
    }
    let show = |(level, value): (&Level, &f64)| level.show(*value);
    let values: Vec<_> = all.iter().zip(values).map(show).collect();
    write!(f, "{condition}: {}", values.join(", "))
}

/// Minus a signal's number means that it ended the process (see [`TargetEvent::Exiting`]).
fn ending(f: &mut Formatter<'_>, status: i32, sender: Option<&Sender>) -> fmt::Result {
    match status {
        -64..=-1 => write!(f, "Process end: by {}", signal_name(-status))?,
        0..=255 => write!(f, "Process end: exit code {status}")?,
        other => write!(f, "Process end: exit code 0x{:X}", other as u32)?,
    }
    match sender.filter(|_| (-64..=-1).contains(&status)) {
        Some(Sender::Process { pid, name }) => write!(f, " from process {pid} ({})", plain(name)),
        Some(Sender::Kernel) => f.write_str(" from the kernel, as when memory is short"),
        None => Ok(()),
    }
}

/// A text of the target without control characters, and of a length that a log can bear.
fn plain(text: &str) -> String {
    const LONGEST: usize = 1000;
    let mut plain = String::new();
    for c in text.trim_end().chars().take(LONGEST) {
        match c.is_control() {
            true => plain.push_str(&format!("\\u{{{:x}}}", c as u32)),
            false => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(when: &str) -> TriggerKind {
        let condition = crate::parse_when(when).unwrap().remove(0);
        let values = vec![1.0];
        Trigger::Level { condition, values }.kind()
    }

    #[test]
    fn a_trigger_has_a_word_whatever_it_says() {
        assert_eq!(kind_of("cpu > 1%"), TriggerKind::Cpu);
        assert_eq!(kind_of("rss > 1MiB and threads > 1"), TriggerKind::Memory);
        assert_eq!(kind_of("hang for 5s"), TriggerKind::Hang);
        let exception = Exception {
            name: "cpu".to_owned(),
            thread: 7,
            ..Exception::default()
        };
        let trigger = Trigger::Exception(exception);
        assert_eq!(trigger.kind().word(), "exception");
        assert_eq!(trigger.thread(), Some(7));
    }

    #[test]
    fn a_trigger_prints_as_a_reason_without_control_characters() {
        let sender = Some(Sender::Process {
            pid: 5,
            name: "a\x1bb".to_owned(),
        });
        let by = |status| Trigger::Exit {
            status,
            sender: sender.clone(),
        };
        let texts = [
            (
                by(-15),
                "Process end: by SIGTERM from process 5 (a\\u{1b}b)",
            ),
            (by(3), "Process end: exit code 3"),
            (by(-1073741819), "Process end: exit code 0xC0000005"),
            (
                Trigger::DebugString("x\ny ".into()),
                "Debug string: x\\u{a}y",
            ),
            (Trigger::Every(Duration::from_secs(30)), "every 30s"),
            (Trigger::Manual, "Manual dump"),
        ];
        for (trigger, text) in texts {
            assert_eq!(trigger.to_string(), text);
        }
    }
}
