/// A fault: what happened, where, in which thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exception {
    /// The thread it happened in.
    pub thread: u32,
    /// The NTSTATUS code on Windows, the signal number on Linux.
    pub code: u32,
    /// Exception flags (Windows), `si_code` as raw bits (Linux).
    pub flags: u32,
    /// The faulting address: of the instruction on Windows, `si_addr` on Linux.
    pub address: u64,
    /// `ExceptionInformation` (Windows); empty on Linux.
    pub parameters: Vec<u64>,
    /// Seen before any handler, and may yet be handled.
    pub first_chance: bool,
    /// The printed name, `SIGSEGV.SEGV_MAPERR` or `C0000005.ACCESS_VIOLATION`; see DESIGN §1.
    pub name: String,
    /// Readable names of what its type derives from, nearest first; without the language. Filters
    /// match these too.
    pub bases: Vec<String>,
    /// What the program said of it, if anything.
    pub message: String,
}
