//! What can be asked of a dump on Windows alone.

use platform::DumpCallback;

/// What is asked of dumps that only Windows has. The default is none of it.
#[derive(Clone, Debug, Default)]
pub struct WindowsOptions {
    /// Whether a 32-bit process is dumped as the 64-bit one that its system runs it in (ProcDump's `-64`).
    pub wide: bool,
    /// Whether a kernel dump with the kernel stacks of the process is written beside each dump (`-mk`).
    pub kernel: bool,
    /// Whether the largest dump is queued for Windows Error Reporting (`-wer`).
    pub reports: bool,
    /// What chooses the content of a dump of the kind [`DumpKind::Callback`](snapshot::DumpKind) (`-md`).
    pub callback: Option<DumpCallback>,
}
