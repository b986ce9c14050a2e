//! Why Windows refused to let us open or debug a process, and what to do about it, instead of a
//! bare "Access is denied".

use super::{
    process::Process,
    security,
    sys::{check, check_status, own, raw},
};
use crate::{Error, ErrorKind, error::ONE_DEBUGGER};
use snapshot::ProcessKey;
use std::io;
use windows_sys::{
    Wdk::System::Threading::NtQueryInformationProcess,
    Win32::{
        Foundation::{ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER},
        System::{
            Diagnostics::Debug::CheckRemoteDebuggerPresent,
            Threading::{OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION},
        },
    },
};

/// The class of `NtQueryInformationProcess` that tells the protection level of a process (Windows
/// 8.1 and later).
const PROTECTION: i32 = 61;

/// Explains why a process could not be opened with the rights that we need.
pub(crate) fn explain_denied(pid: u32) -> Error {
    if pid == 0 || pid == 4 {
        let what = format!("process {pid} is part of the kernel and has no memory to dump");
        return Error::new(ErrorKind::NotPermitted, what);
    }
    let what = format!("opening process {pid} is not permitted");
    let refused = |why: &str, advice: &str| {
        Error::new(ErrorKind::NotPermitted, format!("{what}: {why}")).advise(advice)
    };
    if is_protected(pid) {
        return refused(
            "it is a protected process, which no other program may read, not even as SYSTEM",
            "Windows itself can dump it when it crashes: HKLM\\SOFTWARE\\Microsoft\\Windows\\Windows Error Reporting\\LocalDumps.",
        );
    }
    if security::enable_debug_privilege() {
        return refused(
            "its own permissions or a security product forbid it, although SeDebugPrivilege is enabled",
            "",
        );
    }
    refused(
        "it belongs to another user or runs with higher rights",
        "Start firstchance as administrator, or as that user.",
    )
}

/// Explains why we could not attach to a process.
pub(crate) fn explain_attach(process: &Process, error: &io::Error) -> Error {
    let key = process.key;
    if process.has_ended() || error.kind() == io::ErrorKind::NotFound {
        let what = format!("process {key} ended while it was being dumped");
        return Error::new(ErrorKind::TargetDied, what);
    }
    if is_debugged(process) {
        let what = format!("process {key} is already debugged by another program");
        return Error::new(ErrorKind::Busy, what).advise(ONE_DEBUGGER);
    }
    if error.kind() == io::ErrorKind::TimedOut {
        let what = format!("process {key} did not stop within 5 seconds");
        return Error::new(ErrorKind::TimedOut, what);
    }
    match error.raw_os_error().map(|code| code as u32) {
        Some(ERROR_ACCESS_DENIED) => explain_denied(key.pid),
        Some(ERROR_INVALID_PARAMETER) => ended_or_gone(key),
        _ => Error::of_process("stopping the threads", key, error),
    }
}

fn ended_or_gone(key: ProcessKey) -> Error {
    let what = format!("process {key} ended while it was being dumped");
    Error::new(ErrorKind::TargetDied, what)
}

/// Returns whether another debugger is attached.
fn is_debugged(process: &Process) -> bool {
    let mut present = 0;
    // SAFETY: an open process, and a live local for the answer.
    check(unsafe { CheckRemoteDebuggerPresent(process.raw(), &raw mut present) }).is_ok()
        && present != 0
}

/// Returns whether it is a protected process or a protected process light
/// (<https://learn.microsoft.com/windows/win32/services/protecting-anti-malware-services->).
fn is_protected(pid: u32) -> bool {
    let mut level = 0u8;
    // SAFETY: the handle is new and ours; the answer of this class has one byte, for which there is
    // a live local.
    let asked = unsafe {
        own(OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid)).and_then(|process| {
            let at = (&raw mut level).cast();
            let nothing = std::ptr::null_mut();
            check_status(NtQueryInformationProcess(
                raw(&process),
                PROTECTION,
                at,
                1,
                nothing,
            ))
        })
    };
    asked.is_ok() && level & 7 != 0
}
