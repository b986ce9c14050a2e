use snapshot::{Module, Trail};

/// What of an attached process is to be reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arming {
    /// Its end, while its memory still stands.
    pub exit: bool,
    /// Its death by a fault or abort signal: without tracing it where that can be had, else as by
    /// `signals`.
    pub deaths: bool,
    /// Signals that are about to be delivered: bit n-1 for signal n.
    pub signals: u64,
    /// Exceptions, at first and at second chance (Windows).
    pub exceptions: bool,
    /// Images that are mapped and unmapped (Windows; on Linux its loader has a place for that).
    pub modules: bool,
    /// Debug strings (Windows).
    pub debug_strings: bool,
    /// Threads that begin and end.
    pub threads: bool,
    /// Whether breakpoints may be taken where there are no probes, though the process dies of them
    /// when we are killed at the wrong moment (Linux).
    pub unsafe_breakpoints: bool,
    /// Places in its images.
    pub places: Vec<ArmedPlace>,
}

/// A place at which threads are held when they come by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArmedPlace {
    /// What it is reported under.
    pub number: u32,
    /// The image it lies in.
    pub module: Module,
    /// Where: in the image's file; on Windows, from where the image lies.
    pub offset: u64,
    /// What tells the kind of what is thrown there: kinds that
    /// [`Follow::pass`](crate::Follow::pass) names go by.
    pub kind: Option<KindAt>,
}

/// Where a thread that stands at a place has the kind of what is thrown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindAt {
    /// The register, counted in words of the processor's `struct pt_regs`.
    pub register: u8,
    /// How it is found from there.
    pub trail: Trail,
}

/// Signals whose default action is a core dump, but SIGQUIT, which people send on purpose: SIGILL,
/// SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS (signal(7)).
pub const FAULT_SIGNALS: [u32; 9] = [4, 5, 6, 7, 8, 11, 24, 25, 31];

/// The same as [`Arming::signals`] has them.
pub const FAULT_BITS: u64 = {
    let (mut bits, mut at) = (0, 0);
    while at < FAULT_SIGNALS.len() {
        bits |= 1 << (FAULT_SIGNALS[at] - 1);
        at += 1;
    }
    bits
};

impl Arming {
    /// Whether nothing is to be reported.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
