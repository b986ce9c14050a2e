//! Crash handling on Windows: the system itself writes dumps (LocalDumps), or starts a debugger
//! (AeDebug). There is no core handler, so most functions fail.

use super::{crash_folder, sys::wide};
use crate::{CoreHandler, Error, ErrorKind, Result, Use};
use snapshot::ProcessKey;
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use windows_sys::Win32::System::{
    Diagnostics::Debug::{SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SetErrorMode},
    EventLog::{DeregisterEventSource, EVENTLOG_ERROR_TYPE, RegisterEventSourceW, ReportEventW},
};

fn unsupported() -> Error {
    let what = "Windows has no core handler: no program is given the core of a crash";
    Error::new(ErrorKind::Unsupported, what)
}

pub(crate) fn core_handler() -> Result<CoreHandler> {
    Err(unsupported())
}

pub(crate) fn set_core_handler(_handler: &CoreHandler) -> Result<()> {
    Err(unsupported())
}

pub(crate) use super::guard::expect_guarded;

pub(crate) fn replace_file(_path: &Path, _bytes: &[u8], _usage: Use) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// See [`crate::expect_storage`]. Each file system of Windows stores files.
pub(crate) fn expect_storage(_folder: &Path) -> Result<()> {
    Ok(())
}

pub(crate) fn make_store(folder: &Path) -> io::Result<()> {
    crash_folder::make(folder, &[]).map_err(io::Error::other)
}

pub(crate) fn make_passage(_folder: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn own_user() -> Option<u32> {
    None
}

/// See [`crate::responsible_user`].
pub(crate) fn responsible_user(uid: u32) -> u32 {
    uid
}

pub(crate) fn only_ids(_key: ProcessKey) -> Option<(u32, u32)> {
    None
}

/// A process whose core we are given, which does not exist on Windows.
#[derive(Debug)]
pub(crate) struct RawCrashed;

impl RawCrashed {
    pub(crate) fn is_there(&self) -> bool {
        false
    }
}

pub(crate) fn identify(_pid: u32, _descriptor: Option<i32>) -> Result<(ProcessKey, RawCrashed)> {
    Err(unsupported())
}

pub(crate) fn is_ourselves(_key: ProcessKey) -> bool {
    false
}

/// Sees to it that a crash of this process starts no debugger, which would be this program again,
/// and leaves no dump.
pub(crate) fn become_crash_handler() -> Result<()> {
    // SAFETY: takes plain flags, of this process.
    unsafe { SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX) };
    Ok(())
}

/// Writes to the application log, which the event viewer shows.
pub(crate) fn system_log(text: &str) {
    let (source, text) = (wide("firstchance"), wide(text));
    let lines = [text.as_ptr()];
    // SAFETY: the texts end with a NUL, and the list has one of them, as is said; the log is ours
    // to close.
    unsafe {
        let log = RegisterEventSourceW(std::ptr::null(), source.as_ptr());
        if !log.is_null() {
            let (none, nothing) = (std::ptr::null_mut(), std::ptr::null());
            ReportEventW(
                log,
                EVENTLOG_ERROR_TYPE,
                0,
                1,
                none,
                1,
                0,
                lines.as_ptr(),
                nothing,
            );
            DeregisterEventSource(log);
        }
    }
}

pub(crate) fn kernel_log() -> io::Result<Vec<String>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn read_input(_buf: &mut [u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn system_note(_text: &str) {}

pub(crate) fn wait_for_input(_limit: Duration) -> bool {
    false
}

pub(crate) fn drain_input(_limit: Duration) -> u64 {
    0
}

pub(crate) fn become_program(_program: &Path, _arguments: &[Vec<u8>]) -> Error {
    unsupported()
}

pub(crate) fn own_program() -> PathBuf {
    std::env::current_exe().unwrap_or_default()
}
