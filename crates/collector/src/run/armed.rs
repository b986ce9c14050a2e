//! What was to be armed in a process that has ended before.

use platform::FAULT_SIGNALS;
use policy::WakeFor;
use snapshot::EndStatus;

/// What was to be armed in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Armed {
    /// Nothing is asked for but what it dies of.
    DeathsAlone,
    More,
}

/// What was asked for of a process whose thread has ended with it. It may have been caught at its death.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) what: Armed,
    pub(super) wake: WakeFor,
}

impl Armed {
    /// Whether something that was asked for may have happened before it was armed in a process that has ended so. Where an
    /// exception ends a program without a signal, its exit code is 2 in Go, and 1 in Python, Node.js and Java.
    pub(super) fn may_have_missed(self, status: Option<EndStatus>) -> bool {
        match (self, status) {
            (Self::DeathsAlone, Some(EndStatus::Code(code))) => matches!(code, 1 | 2),
            (Self::DeathsAlone, Some(EndStatus::Signal(signal))) => is_fault(signal),
            _ => true,
        }
    }
}

/// Whether a process that ends by this signal dies of a fault, and is not ended by somebody.
pub(super) fn is_fault(signal: i32) -> bool {
    u32::try_from(signal).is_ok_and(|signal| FAULT_SIGNALS.contains(&signal))
}
