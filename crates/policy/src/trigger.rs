//! What made a rule act: the values behind the reason that lines, dumps and records show.

mod kind;
mod print;

pub use kind::TriggerKind;
pub(crate) use print::shown_debug_string;
pub use print::shown_exception;

use crate::{Condition, Place};
use snapshot::{EndStatus, Exception, Sender, TargetEvent, signal_name};
use std::time::Duration;

/// What made a rule act, with the details that were seen.
///
/// It prints as the reason that lines, dumps and records show: `cpu >= 85% for 10s: 97%`,
/// `Unhandled exception: SIGSEGV.SEGV_MAPERR`, `Process end: exit code 3`. The printed text has no
/// control characters, even if the target's own strings have some.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// A dump was asked for at once (`now`, `firstchance dump`).
    Manual,
    /// One or more levels have held long enough.
    Level {
        /// The condition that was met.
        condition: Condition,
        /// The last value of each level, in the level's own unit; NaN where the value is unknown.
        /// Empty if the trigger began a series before the program was started anew.
        values: Vec<f64>,
    },
    /// This much time has passed since the last time (`every 30s`).
    Every(Duration),
    /// An exception, or a signal that is a fault, at its first or its second chance.
    Exception(Exception),
    /// A signal was about to be delivered that a condition names.
    Signal {
        /// The signal's number.
        number: i32,
        /// The thread that was about to receive it.
        thread: u32,
        /// The pid of the sender, if the kernel told it.
        sender: Option<u32>,
        /// The exception that it is, if it is a fault.
        fault: Option<Box<Exception>>,
    },
    /// A thread reached a breakpoint.
    Breakpoint {
        /// The breakpoint.
        place: Place,
        /// The thread that reached it.
        thread: u32,
        /// The pid of another process that the thread is about to end at this place.
        ends: Option<u32>,
    },
    /// An image with this path was mapped.
    ModuleLoad(String),
    /// An image with this path was unmapped.
    ModuleUnload(String),
    /// The thread with this id began.
    ThreadStart(u32),
    /// The thread with this id was about to end.
    ThreadExit(u32),
    /// The program wrote this debug string.
    DebugString(String),
    /// The process was about to end.
    Exit {
        /// How it ends.
        status: EndStatus,
        /// The sender of that signal, if it is known.
        sender: Option<Sender>,
    },
}

impl Trigger {
    /// The trigger that `event` makes if it meets `condition`. Returns `None` if it does not.
    ///
    /// `crashed` says that the process has had an exception that nobody handled: its end is no
    /// news then. `place` looks up the breakpoint of a number.
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
            (Condition::Breakpoint(Place::Exit), TargetEvent::Exiting { status, .. }) => {
                !crashed && !status.is_crash()
            }
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
        is_met.then(|| Self::of_met(condition, event)).flatten()
    }

    /// The trigger for an event that meets `condition`.
    fn of_met(condition: &Condition, event: &TargetEvent) -> Option<Self> {
        Some(match event {
            TargetEvent::Exception(exception) => Self::of_exception(condition, exception),
            &TargetEvent::Signal {
                number,
                thread,
                sender,
            } => Self::Signal {
                number,
                thread,
                sender,
                fault: None,
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

    /// The trigger that an exception makes which meets `condition`.
    fn of_exception(condition: &Condition, exception: &Exception) -> Self {
        match *condition {
            Condition::Signal(number) => Self::Signal {
                number,
                thread: exception.thread,
                sender: None,
                fault: Some(Box::new(exception.clone())),
            },
            _ => Self::Exception(exception.clone()),
        }
    }

    /// The thread that it happened in, if it happened in one.
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

    /// Whether a line says what happened whether or not a condition is met: exceptions and debug strings
    /// are shown as they come.
    pub fn is_shown_anyway(&self) -> bool {
        self.exception().is_some() || matches!(self, Self::DebugString(_))
    }

    /// The exception, if it is one.
    pub fn exception(&self) -> Option<&Exception> {
        match self {
            Self::Exception(exception) => Some(exception),
            Self::Signal { fault, .. } => fault.as_deref(),
            _ => None,
        }
    }
}

/// Whether an exception is the delivery of this signal. A fault on Linux is both:
/// `SIGSEGV.SEGV_MAPERR` is the delivery of SIGSEGV.
fn is_signal(exception: &Exception, number: i32) -> bool {
    let signal = exception.name.split('.').next();
    signal == Some(&signal_name(number)[..])
}
