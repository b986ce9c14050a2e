//! Triggers in words: the only place that says why a dump was taken.

use super::Trigger;
use crate::{Condition, Level, exception::printed, print_duration};
use snapshot::{EndStatus, Exception, Sender, disturbs_text, signal_name};
use std::fmt::{self, Display, Formatter};

impl Display for Trigger {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            // As ProcDump calls it.
            Self::Manual => f.write_str("Manual dump"),
            Self::Level { condition, values } => level(f, condition, values),
            Self::Every(period) => write!(f, "every {}", print_duration(*period)),
            Self::Exception(fault) => exception(f, fault),
            Self::Signal {
                fault: Some(fault), ..
            } => exception(f, fault),
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
            Self::Exit { status, sender } => end(f, *status, sender.as_ref()),
        }
    }
}

/// `Unhandled: E0434352.CLR ("…")`: the line that is shown when an exception is seen, with
/// ProcDump's words.
pub fn shown_exception(exception: &Exception) -> String {
    let chance = match exception.first_chance {
        true => "Exception",
        false => "Unhandled",
    };
    format!("{chance}: {}", plain(&printed(exception)))
}

/// `Debug string: text`: the line that is shown when one is seen, and the reason for its dump.
pub(crate) fn shown_debug_string(text: &str) -> String {
    format!("Debug string: {}", plain(text))
}

/// `Unhandled exception: SIGSEGV.SEGV_MAPERR`
fn exception(f: &mut Formatter<'_>, exception: &Exception) -> fmt::Result {
    let chance = match exception.first_chance {
        true => "Exception",
        false => "Unhandled exception",
    };
    write!(f, "{chance}: {}", plain(&printed(exception)))
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

/// `Process end: by SIGTERM from process 7 (sh)`
fn end(f: &mut Formatter<'_>, status: EndStatus, sender: Option<&Sender>) -> fmt::Result {
    write!(f, "Process end: {status}")?;
    match sender.filter(|_| matches!(status, EndStatus::Signal(_))) {
        Some(Sender::Process { pid, name }) => write!(f, " from process {pid} ({})", plain(name)),
        Some(Sender::Kernel) => f.write_str(from_kernel(status)),
        None => Ok(()),
    }
}

/// Why the kernel sends a signal of its own accord: the keys of a terminal and its end (termios(3)), or memory that is
/// short.
fn from_kernel(status: EndStatus) -> &'static str {
    let EndStatus::Signal(number) = status else {
        return "";
    };
    match &*signal_name(number) {
        "SIGHUP" | "SIGINT" | "SIGQUIT" => " from the terminal",
        "SIGKILL" => " from the kernel, as when memory is short",
        _ => " from the kernel",
    }
}

/// A text of the target with the letters escaped that would disturb a line, and cut to a length that a log can
/// bear.
fn plain(text: &str) -> String {
    const LONGEST: usize = 1000;
    let mut plain = String::new();
    for c in text.trim_end().chars().take(LONGEST) {
        match disturbs_text(c) {
            true => plain.push_str(&format!("\\u{{{:x}}}", c as u32)),
            false => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
                by(EndStatus::Signal(15)),
                "Process end: by SIGTERM from process 5 (a\\u{1b}b)",
            ),
            (by(EndStatus::Code(3)), "Process end: exit code 3"),
            (
                by(EndStatus::Code(0xC000_0005)),
                "Process end: exit code 0xC0000005",
            ),
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

    #[test]
    fn n55_the_kernel_is_not_blamed_for_keys_and_memory_not_for_all_else() {
        let texts = [
            (2, "Process end: by SIGINT from the terminal"),
            (
                9,
                "Process end: by SIGKILL from the kernel, as when memory is short",
            ),
            (25, "Process end: by SIGXFSZ from the kernel"),
        ];
        for (number, text) in texts {
            let by = Trigger::Exit {
                status: EndStatus::Signal(number),
                sender: Some(Sender::Kernel),
            };
            assert_eq!(by.to_string(), text);
        }
    }
}
