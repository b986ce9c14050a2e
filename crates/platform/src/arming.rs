//! What is to be reported of a process that is followed: an order in plain values, which the Linux
//! and the Windows part carry out by their own means.

use snapshot::{Module, Trail};
use std::time::Duration;

/// The events of a followed process that are to be reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arming {
    /// The end of the process, reported while its memory still exists.
    pub exit: bool,
    /// The death of the process by a signal of [`FAULT_SIGNALS`]. It is seen without tracing the
    /// process where the system allows that, else as a signal (Linux).
    pub deaths: bool,
    /// Signals that are about to be delivered to a thread: bit n-1 stands for signal n (Linux).
    pub signals: u64,
    /// Exceptions at first and at second chance (Windows).
    pub exceptions: bool,
    /// Modules that are loaded and unloaded (Windows; on Linux a place in the dynamic loader is
    /// armed instead).
    pub modules: bool,
    /// Debug strings: OutputDebugString on Windows, lines on standard error on Linux.
    pub debug_strings: bool,
    /// Threads that start and exit.
    pub threads: bool,
    /// How places are armed.
    pub holds: HoldOptions,
    /// Places in the code of the process.
    pub places: Vec<ArmedPlace>,
    /// Whether places that were armed before and are not among these are as wanted as ever, but not mapped now. They may be
    /// again: the process may have executed another program, or execute one that has them (Linux).
    pub keeps_places: bool,
}

impl std::fmt::Display for Arming {
    /// `[exit, deaths], 2 signals, 14 places`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds = [
            (self.exit, "exit"),
            (self.deaths, "deaths"),
            (self.exceptions, "exceptions"),
            (self.modules, "modules"),
            (self.debug_strings, "debug strings"),
            (self.threads, "threads"),
        ];
        let kinds = kinds
            .into_iter()
            .filter_map(|(armed, kind)| armed.then_some(kind));
        let kinds: Vec<&str> = kinds.collect();
        let (signals, places) = (self.signals.count_ones(), self.places.len());
        write!(
            f,
            "[{}], {signals} signals, {places} places",
            kinds.join(", ")
        )
    }
}

/// What the user has chosen for places at which threads are held (Linux).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldOptions {
    /// Whether hardware breakpoints may be used where there are no uprobes, although the process
    /// dies if firstchance is killed at the wrong moment.
    pub unsafe_breakpoints: bool,
    /// How long a thread is kept at its place in all while other threads of the process are dealt with. Then it goes
    /// on, and its dump says how late it was taken.
    pub longest: Duration,
}

impl Default for HoldOptions {
    fn default() -> Self {
        Self {
            unsafe_breakpoints: false,
            longest: Duration::from_secs(1),
        }
    }
}

/// A place in the code. A thread that comes there is held and reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArmedPlace {
    /// The number under which it is reported.
    pub number: u32,
    /// The module that the place lies in.
    pub module: Module,
    /// The offset of the place in bytes: in the module's file on Linux, from the module's base
    /// address on Windows.
    pub offset: u64,
    /// Where the type of the thrown exception can be read, if something is thrown at this place.
    /// Exceptions of a type that [`Follow::pass`](crate::Follow::pass) names are not reported.
    pub kind: Option<KindAt>,
}

/// Where the type of an exception can be read while a thread stands at the place that throws it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindAt {
    /// The register to start from, as an index of words into the processor's `struct pt_regs`.
    pub register: u8,
    /// The pointers to follow from there.
    pub trail: Trail,
}

/// Signals whose default action is a core dump, but SIGQUIT, which people send on purpose: SIGILL,
/// SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS (signal(7)).
pub const FAULT_SIGNALS: [u32; 9] = [4, 5, 6, 7, 8, 11, 24, 25, 31];

/// [`FAULT_SIGNALS`] as a mask: bit n-1 stands for signal n.
pub const FAULT_BITS: u64 = {
    let (mut bits, mut at) = (0, 0);
    while at < FAULT_SIGNALS.len() {
        bits |= 1 << (FAULT_SIGNALS[at] - 1);
        at += 1;
    }
    bits
};

impl Arming {
    /// Returns whether nothing is to be reported.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
