//! Why something is done, in words.

use super::watch::LevelState;
use crate::{Condition, Level, Place, exception::printed};
use snapshot::signal_name;
use snapshot::{Exception, Sender, TargetEvent};

/// `cpu >= 85% for 10s: 97%`
pub(super) fn level(condition: &Condition, state: &LevelState) -> String {
    let Condition::Holds { all, .. } = condition else {
        return condition.to_string();
    };
    let show = |(level, value): (&Level, &f64)| level.show(*value);
    let values: Vec<_> = all.iter().zip(&state.values).map(show).collect();
    format!("{condition}: {}", values.join(", "))
}

/// `Manual dump`, as ProcDump calls what is done at once; `every 30s`.
pub(super) fn timer(condition: &Condition) -> String {
    match condition {
        Condition::Now => "Manual dump".to_owned(),
        other => other.to_string(),
    }
}

/// `Unhandled exception: E0434352.CLR ("…")`, as ProcDump puts it into the dump.
pub fn exception(exception: &Exception) -> String {
    let chance = match exception.first_chance {
        true => "Exception",
        false => "Unhandled exception",
    };
    format!("{chance}: {}", plain(&printed(exception)))
}

/// `Unhandled: E0434352.CLR ("…")`, as ProcDump shows it.
pub(super) fn shown(exception: &Exception) -> String {
    let chance = match exception.first_chance {
        true => "Exception",
        false => "Unhandled",
    };
    format!("{chance}: {}", plain(&printed(exception)))
}

/// Whether `condition` is about `event`, and then the reason. `crashed`: the process has had an
/// exception that nobody handled. `place`: the breakpoint of that number.
pub(super) fn event<'a>(
    condition: &Condition,
    event: &TargetEvent,
    crashed: bool,
    place: impl FnOnce(u32) -> Option<&'a Place>,
) -> Option<String> {
    match (condition, event) {
        (Condition::Exception(filter), TargetEvent::Exception(e)) => {
            filter.matches(e).then(|| exception(e))
        }
        (Condition::Signal(number), TargetEvent::Exception(e)) => {
            is_signal(e, *number).then(|| exception(e))
        }
        (Condition::Signal(wanted), TargetEvent::Signal { number, sender, .. }) => {
            (wanted == number).then(|| signal(*number, *sender))
        }
        (
            Condition::Breakpoint(wanted),
            TargetEvent::Breakpoint {
                place: at, ends, ..
            },
        ) => {
            let whom = ends.map_or(String::new(), |pid| format!(": ends PID {pid}"));
            (Some(wanted) == place(*at)).then(|| format!("{condition}{whom}"))
        }
        (Condition::Breakpoint(Place::Exit), TargetEvent::Exiting { status, sender }) => {
            (!crashed).then(|| ending(*status, sender.as_ref()))
        }
        (Condition::Exit, TargetEvent::Exiting { status, sender }) => {
            Some(ending(*status, sender.as_ref()))
        }
        (Condition::ModuleLoad(filter), TargetEvent::ModuleLoad { path, .. }) => {
            let reason = || format!("Module load: {}", plain(path));
            filter.passes_path(path).then(reason)
        }
        (Condition::ModuleUnload(filter), TargetEvent::ModuleUnload { path, .. }) => {
            let reason = || format!("Module unload: {}", plain(path));
            filter.passes_path(path).then(reason)
        }
        (Condition::ThreadStart, TargetEvent::ThreadStart { thread }) => {
            Some(format!("Thread start: {thread}"))
        }
        (Condition::ThreadExit, TargetEvent::ThreadExit { thread }) => {
            Some(format!("Thread exit: {thread}"))
        }
        (Condition::DebugString(filter), TargetEvent::DebugString { text }) => {
            filter.passes(text).then(|| debug_string(text))
        }
        _ => None,
    }
}

/// `Debug string: text`, as it is shown, and kept in the dump.
pub(super) fn debug_string(text: &str) -> String {
    format!("Debug string: {}", plain(text))
}

/// The thread that an event happened in.
pub(super) fn thread(event: &TargetEvent) -> Option<u32> {
    match event {
        TargetEvent::Exception(exception) => Some(exception.thread),
        TargetEvent::Signal { thread, .. }
        | TargetEvent::Breakpoint { thread, .. }
        | TargetEvent::ThreadStart { thread }
        | TargetEvent::ThreadExit { thread } => Some(*thread),
        _ => None,
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

/// On Linux a fault is both: `SIGSEGV.SEGV_MAPERR` is the delivery of SIGSEGV.
fn is_signal(exception: &Exception, number: i32) -> bool {
    let signal = exception.name.split('.').next();
    signal == Some(&signal_name(number)[..])
}

fn signal(number: i32, sender: Option<u32>) -> String {
    let name = signal_name(number);
    match sender {
        Some(pid) => format!("Signal: {name} from process {pid}"),
        None => format!("Signal: {name}"),
    }
}

/// Minus a signal's number means that it ended the process (see [`TargetEvent::Exiting`]).
fn ending(status: i32, sender: Option<&Sender>) -> String {
    let from = match sender {
        Some(Sender::Process { pid, name }) => format!(" from process {pid} ({})", plain(name)),
        Some(Sender::Kernel) => " from the kernel, as when memory is short".to_owned(),
        None => String::new(),
    };
    match status {
        -64..=-1 => format!("Process end: by {}{from}", signal_name(-status)),
        0..=255 => format!("Process end: exit code {status}"),
        other => format!("Process end: exit code 0x{:X}", other as u32),
    }
}
