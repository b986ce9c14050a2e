/// An exception in a thread: one of Windows, a signal that a fault caused, or what a language
/// throws.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exception {
    /// Id of the thread.
    pub thread: u32,
    /// The NTSTATUS code on Windows, the signal number on Linux.
    pub code: u32,
    /// Exception flags (Windows), `si_code` as raw bits (Linux).
    pub flags: u32,
    /// On Windows, the address of the instruction; on Linux, `si_addr`.
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
}
