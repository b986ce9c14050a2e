//! The first process of a pid namespace, as the main process of any container. A fault of its own ends it, but
//! not while it is traced: the kernel spares it then (`force_sig_info_to_task` in `kernel/signal.c` keeps
//! `SIGNAL_UNKILLABLE` for a traced thread), drops the signal, and the thread faults again, for ever. So its
//! thread is detached at the fault that nobody handles; it faults once more, and ends as it would without us.

use super::{
    proc::{ProcDir, status},
    sys::ptrace::SignalInfo,
};

/// Faults that come again when the instruction is tried again.
const FAULTS: [i32; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// Returns whether a process is the first one of its pid namespace.
pub(crate) fn is_namespace_init(proc: &ProcDir) -> bool {
    let text = proc.read("status").unwrap_or_default();
    let ids = status::field(&text, "NSpid").unwrap_or_default();
    ids.split_ascii_whitespace().next_back() == Some("1")
}

/// Returns whether this signal is one of those faults.
pub(crate) fn is_fault(signal: i32) -> bool {
    FAULTS.contains(&signal)
}

/// Returns whether the instruction of the thread faults, and nobody has only sent the signal
/// (sigaction(2), `si_code`).
pub(crate) fn is_own_fault(info: &SignalInfo) -> bool {
    is_fault(info.number) && info.code > 0
}
