/// An exception in a thread: one of Windows, a signal that a fault caused, or what a language
/// throws.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exception {
    /// Id of the thread.
    pub thread: u32,
    /// The NTSTATUS code on Windows, the signal number on Linux and the BSDs, the Mach exception on macOS (`EXC_…`).
    pub code: u32,
    /// Exception flags (Windows), `si_code` as raw bits (Linux), the exception's first code (macOS).
    pub flags: u32,
    /// On Windows, the address of the instruction; on Linux, `si_addr`; on macOS, the address that was accessed.
    pub address: u64,
    /// `ExceptionInformation` (Windows); empty on Linux.
    pub parameters: Vec<u64>,
    /// Whether it is seen at its first chance: before any handler, so that it may still be handled.
    pub first_chance: bool,
    /// The printed name: `SIGSEGV.SEGV_MAPERR`, `C0000005.ACCESS_VIOLATION`.
    pub name: String,
    /// The demangled names of its base classes, nearest first, without the language. Filters match
    /// these too.
    pub bases: Vec<String>,
    /// Its message; empty if it has none.
    pub message: String,
    /// The printed name of the signal by which the program ends because nobody caught the exception
    /// (`SIGABRT.SI_TKILL`); empty otherwise. Who asks for that signal asks for the exception.
    pub signal: String,
    /// How much the dump tells of it. What is not told is 0 here.
    pub told: Told,
}

/// How much a dump tells of an exception.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// All that the system knew.
    #[default]
    All,
    /// Not why a signal was sent, `si_code`: older Breakpads leave it out.
    NoReason,
    /// Only the number of a signal: neither `si_code` nor `si_addr`.
    OnlySignal,
}

impl Exception {
    /// Whether nothing had failed, and the program asked for the dump itself: what Breakpad and Crashpad write on Linux
    /// (`MD_EXCEPTION_CODE_LIN_DUMP_REQUESTED`), and Crashpad on Windows and macOS (`kSimulatedExceptionCode`,
    /// `kMachExceptionSimulated`).
    pub const fn is_dump_request(&self) -> bool {
        matches!(self.code, 0xffff_ffff | 0x0517_a7ed | 0x4350_7378)
    }
}
