//! Stopping a process by a state change (Windows 11, Server 2022): the kernel suspends the process
//! for as long as a handle is open. Our own death closes the handle, and so resumes the process.
//!
//! Wine has no state changes, so this code is compiled by the tests, but not run.

use super::{
    process::Process,
    sys::{check_status, function, own, raw},
};
use std::{io, os::windows::io::OwnedHandle};
use windows_sys::Win32::Foundation::{HANDLE, NTSTATUS};

/// A process that is suspended until this is dropped.
#[derive(Debug)]
pub(crate) struct StateChange {
    _suspends: OwnedHandle,
}

type Create = unsafe extern "system" fn(
    change: *mut HANDLE,
    access: u32,
    attributes: *const core::ffi::c_void,
    process: HANDLE,
    reserved: u64,
) -> NTSTATUS;

type Change = unsafe extern "system" fn(
    change: HANDLE,
    process: HANDLE,
    action: i32,
    more: *const core::ffi::c_void,
    more_size: usize,
    reserved: u64,
) -> NTSTATUS;

/// All rights on a state change: the standard rights, and that to change the state
/// (`PROCESS_STATE_ALL_ACCESS`).
const ALL_ACCESS: u32 = 0x001f_0001;
/// The change that suspends a process (`ProcessStateChangeSuspend`).
const SUSPEND: i32 = 0;

impl StateChange {
    /// Suspends a process that was opened with the rights to suspend it and to set its properties.
    /// Returns `None` if the system has no state changes, or refuses.
    pub(crate) fn suspend(process: &Process) -> Option<Self> {
        let (create, change) = functions()?;
        let handle = make(create, process).ok()?;
        // SAFETY: the type is that of this function, which gets an open state change and the
        // process that it is for.
        check_status(unsafe {
            let (none, process) = (std::ptr::null(), process.raw());
            change(raw(&handle), process, SUSPEND, none, 0, 0)
        })
        .ok()?;
        Some(Self { _suspends: handle })
    }
}

fn functions() -> Option<(Create, Change)> {
    // SAFETY: the types are those of these functions (`ntpsapi.h` of the public headers of System
    // Informer).
    unsafe {
        Some((
            function::<Create>("ntdll.dll", c"NtCreateProcessStateChange")?,
            function::<Change>("ntdll.dll", c"NtChangeProcessState")?,
        ))
    }
}

fn make(create: Create, process: &Process) -> io::Result<OwnedHandle> {
    let mut handle: HANDLE = std::ptr::null_mut();
    let none = std::ptr::null();
    // SAFETY: the type is that of this function, which gets an open process, and writes a new
    // handle that is ours to a live local.
    unsafe {
        check_status(create(&raw mut handle, ALL_ACCESS, none, process.raw(), 0))?;
        own(handle)
    }
}
