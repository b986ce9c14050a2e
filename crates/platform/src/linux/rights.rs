//! Why the kernel refused to let us attach, and what to do about it, instead of a bare "Operation
//! not permitted".

use super::{
    other_tracer,
    proc::{ProcDir, stat, status},
};
use crate::{Error, ErrorKind};
use std::io;

/// Turns a refused attachment into a sentence. `tracer` is the pid of the tracer that the thread
/// has already, if any.
pub(crate) fn explain_refusal(proc: &ProcDir, tracer: Option<i32>, error: &io::Error) -> Error {
    let key = proc.key;
    if error.raw_os_error() == Some(libc::ESRCH) {
        return Error::new(
            ErrorKind::TargetDied,
            format!("process {key} ended while it was being dumped"),
        );
    }
    if error.raw_os_error() != Some(libc::EPERM) {
        return Error::of_process("stopping the threads", key, error);
    }
    if let Some(tracer) = tracer {
        return other_tracer::busy(proc, tracer);
    }
    if proc
        .stat()
        .is_ok_and(|stat| stat.flags & stat::KERNEL_THREAD != 0)
    {
        let what = format!("process {key} is a thread of the kernel");
        return Error::new(
            ErrorKind::NotPermitted,
            format!("{what} and has no memory to dump"),
        );
    }
    if key.pid == std::process::id() {
        return Error::new(ErrorKind::NotPermitted, "firstchance cannot dump itself");
    }
    let (why, advice) = reason(proc);
    Error::new(
        ErrorKind::NotPermitted,
        format!("stopping process {key} is not permitted: {why}"),
    )
    .advise(advice)
}

/// Returns the reason and the advice for the first of the kernel's conditions that fails
/// (ptrace(2), "Ptrace access mode checking").
fn reason(proc: &ProcDir) -> (String, String) {
    let theirs = proc.read("status").unwrap_or_default();
    let ours = std::fs::read("/proc/self/status").unwrap_or_default();
    let uid = |text: &[u8]| status::ids(text, "Uid").map(|(_, effective)| effective);
    let capable = has_ptrace_capability(&ours);
    match yama_scope() {
        Some(3) => return (
            "the kernel forbids all tracing (kernel.yama.ptrace_scope is 3)".into(),
            "Only a reboot changes that.".into(),
        ),
        Some(2) if !capable => return (
            "only processes with CAP_SYS_PTRACE may trace (kernel.yama.ptrace_scope is 2)".into(),
            "Run firstchance as root, or give it the capability: setcap cap_sys_ptrace+ep FILE.".into(),
        ),
        Some(1) if !capable && uid(&theirs) == uid(&ours) => return (
            "only a parent may trace its descendants (kernel.yama.ptrace_scope is 1)".into(),
            "Run firstchance as root or with CAP_SYS_PTRACE, or set the sysctl kernel.yama.ptrace_scope to 0.".into(),
        ),
        _ => {}
    }
    if uid(&theirs) != uid(&ours) && !capable {
        let owner = uid(&theirs).map_or("another user".to_owned(), |uid| format!("user {uid}"));
        return (
            format!("it belongs to {owner}, and firstchance has no CAP_SYS_PTRACE"),
            "Run firstchance as root or as that user.".into(),
        );
    }
    if !capable {
        return (
            "it does not let itself be dumped (a set-user-id program, one with capabilities, or prctl PR_SET_DUMPABLE 0)".into(),
            "Run firstchance as root.".into(),
        );
    }
    (
        "the kernel refuses it although firstchance has CAP_SYS_PTRACE (a security module, a seccomp filter, or a user namespace above ours)".into(),
        "In a container, allow ptrace (docker run --cap-add SYS_PTRACE), or run firstchance on the host.".into(),
    )
}

/// Returns whether our effective capabilities contain CAP_SYS_PTRACE (bit 19, capabilities(7)).
pub(crate) fn has_ptrace_capability(own_status: &[u8]) -> bool {
    status::mask(own_status, "CapEff").is_some_and(|caps| caps & (1 << 19) != 0)
}

/// Returns the sysctl `kernel.yama.ptrace_scope`; `None` if the kernel has no Yama.
pub(crate) fn yama_scope() -> Option<u32> {
    std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope")
        .ok()?
        .trim()
        .parse()
        .ok()
}
