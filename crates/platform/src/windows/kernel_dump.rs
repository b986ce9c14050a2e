//! Triage dumps of the kernel: the kernel stacks of given threads, which the kernel writes into a buffer
//! (`NtSystemDebugControl` with `SysDbgGetTriageDump`; its structure is that of the headers of System Informer). Wine knows
//! the function, but takes no dumps.

use super::{
    security,
    sys::{check_status, function, raw},
    threads,
};
use crate::{Error, ErrorKind, Result};
use std::{io, os::windows::io::OwnedHandle};
use windows_sys::Win32::Foundation::{HANDLE, NTSTATUS};

type Control = unsafe extern "system" fn(
    u32,
    *const TriageDump,
    u32,
    *mut core::ffi::c_void,
    u32,
    *mut u32,
) -> NTSTATUS;

/// `SysDbgGetTriageDump`.
const COMMAND: u32 = 29;
/// The bug check that the dump tells: LIVE_SYSTEM_DUMP.
const BUG_CHECK: u32 = 0x161;
/// How a dump of the kernel begins: `PAGEDUMP`, or `PAGEDU64` of 64-bit systems.
const BEGIN: &[u8] = b"PAGEDU";
/// Room for a dump, in bytes: a small kernel dump has 64 KiB to 2 MiB.
const ROOM: usize = 16 << 20;
/// With so few threads the kernel is asked again if it refuses more of them.
const FEW: usize = 16;

/// `SYSDBG_TRIAGE_DUMP`.
#[repr(C)]
struct TriageDump {
    flags: u32,
    bug_check: u32,
    parameters: [usize; 4],
    processes: u32,
    threads: u32,
    handles: *const HANDLE,
}

/// Takes a dump with the stacks of these threads, or with those of the first ones if the kernel refuses so many. Returns the
/// dump, and the number of threads.
///
/// # Errors
/// If we do not have SeDebugPrivilege, no thread can be opened, or the kernel refuses.
pub(crate) fn kernel_dump(threads: &[u32]) -> Result<(Vec<u8>, usize)> {
    let failed = |why: String| Error::new(ErrorKind::Other, format!("no kernel dump: {why}"));
    if !security::enable_debug_privilege() {
        return Err(failed("it needs SeDebugPrivilege".to_owned())
            .advise("Start firstchance as administrator."));
    }
    let open: Vec<_> = threads
        .iter()
        .filter_map(|id| threads::open(*id).ok())
        .collect();
    let few = &open[..open.len().min(FEW)];
    let taken = take(&open).or_else(|error| match few.len() < open.len() {
        true => take(few),
        false => Err(error),
    });
    taken.map_err(|error| {
        failed(format!(
            "NtSystemDebugControl(SysDbgGetTriageDump) failed: {error}"
        ))
    })
}

fn take(threads: &[OwnedHandle]) -> io::Result<(Vec<u8>, usize)> {
    // SAFETY: the type is that of this function.
    let control = unsafe { function::<Control>("ntdll.dll", c"NtSystemDebugControl") };
    let control = control.ok_or(io::ErrorKind::Unsupported)?;
    let handles: Vec<HANDLE> = threads.iter().map(raw).collect();
    let asked = TriageDump {
        flags: 0,
        bug_check: BUG_CHECK,
        parameters: [0; 4],
        processes: 0,
        threads: handles.len() as u32,
        handles: handles.as_ptr(),
    };
    let mut bytes = vec![0; ROOM];
    let (at, mut written) = (bytes.as_mut_ptr().cast(), 0);
    let size = size_of::<TriageDump>() as u32;
    // SAFETY: the structure of that command with its size, whose handles are open meanwhile, and a buffer with its size.
    check_status(unsafe { control(COMMAND, &asked, size, at, ROOM as u32, &raw mut written) })?;
    bytes.truncate(written as usize);
    bytes.shrink_to_fit();
    match bytes.starts_with(BEGIN) {
        true => Ok((bytes, threads.len())),
        false => Err(io::Error::other("it told no dump")),
    }
}
