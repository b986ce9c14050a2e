//! An open process: its handle, its identity, its times and sizes. As long as the handle is open,
//! its pid cannot be given to another process.

use super::{
    sys::{check, narrow, own, raw},
    wine,
};
use crate::{Error, ErrorKind, Result};
use snapshot::ProcessKey;
use std::{io, os::windows::io::OwnedHandle, time::Duration};
use windows_sys::Win32::{
    Foundation::{ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER, FILETIME, HANDLE, WAIT_OBJECT_0},
    Storage::FileSystem::SYNCHRONIZE,
    System::{
        ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS_EX},
        Threading::{
            GetExitCodeProcess, GetProcessHandleCount, GetProcessTimes, IsWow64Process,
            OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, QueryFullProcessImageNameW,
            WaitForSingleObject,
        },
    },
};

/// A process by an open handle.
#[derive(Debug)]
pub(crate) struct Process {
    /// The identity of the process.
    pub(crate) key: ProcessKey,
    pub(crate) handle: OwnedHandle,
}

/// The start of a process and the CPU time that it has used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// The start, in units of 100 ns since 1601.
    pub(crate) start: u64,
    /// The time in user mode.
    pub(crate) user: Duration,
    /// The time in the kernel.
    pub(crate) kernel: Duration,
}

/// The memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MemoryUse {
    /// Private committed memory.
    pub(crate) private: u64,
    /// The working set.
    pub(crate) resident: u64,
}

impl Process {
    /// Opens the process that has this pid now, to query it and to wait for its end.
    pub(crate) fn open_pid(pid: u32) -> Result<Self> {
        Self::open_for(pid, 0)
    }

    /// The same with further rights.
    ///
    /// # Errors
    /// If there is no such process, or we do not have all of these rights.
    pub(crate) fn open_for(pid: u32, access: u32) -> Result<Self> {
        let access = access | PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE;
        // SAFETY: the handle is new and nobody else's.
        let handle = unsafe { own(OpenProcess(access, 0, pid)) };
        let handle = handle.map_err(|e| explain_opening(pid, &e))?;
        let start = times(raw(&handle))
            .map_err(|e| explain_opening(pid, &e))?
            .start;
        let process = Self {
            key: ProcessKey { pid, start },
            handle,
        };
        if process.has_ended() {
            return Err(no_such_process(pid));
        }
        Ok(process)
    }

    /// Opens exactly this process.
    ///
    /// # Errors
    /// If it has ended, or we do not have these rights.
    pub(crate) fn open(key: ProcessKey, access: u32) -> Result<Self> {
        let process = Self::open_for(key.pid, access)?;
        if process.key != key {
            return Err(ended(key));
        }
        Ok(process)
    }

    /// Returns the handle, for a call that only borrows it.
    pub(crate) fn raw(&self) -> HANDLE {
        raw(&self.handle)
    }

    /// Returns whether the process has ended. Its pid may still be in use as long as somebody has a
    /// handle.
    pub(crate) fn has_ended(&self) -> bool {
        // SAFETY: an open handle with the right to wait.
        unsafe { WaitForSingleObject(self.raw(), 0) == WAIT_OBJECT_0 }
    }

    /// Returns the start and the CPU time.
    pub(crate) fn times(&self) -> io::Result<Times> {
        let told = times(self.raw())?;
        Ok(wine::times(self.key.pid, told))
    }

    /// Returns the private committed memory and the working set.
    pub(crate) fn memory_use(&self) -> io::Result<MemoryUse> {
        let told = self.told_memory_use()?;
        Ok(MemoryUse {
            private: wine::private_bytes(self.raw(), told.private),
            ..told
        })
    }

    /// The same, but without counting private memory under Wine, which takes long: it may be 0
    /// there.
    pub(crate) fn told_memory_use(&self) -> io::Result<MemoryUse> {
        let mut counters = PROCESS_MEMORY_COUNTERS_EX {
            cb: size_of::<PROCESS_MEMORY_COUNTERS_EX>() as u32,
            ..PROCESS_MEMORY_COUNTERS_EX::default()
        };
        let (at, size) = ((&raw mut counters).cast(), counters.cb);
        // SAFETY: a structure that begins with its size, as the call demands.
        check(unsafe { K32GetProcessMemoryInfo(self.raw(), at, size) })?;
        Ok(MemoryUse {
            private: counters.PrivateUsage as u64,
            resident: counters.WorkingSetSize as u64,
        })
    }

    /// Returns the exit code; meaningless while the process runs.
    pub(crate) fn exit_code(&self) -> u32 {
        let mut code = 0;
        // SAFETY: an open process, and a live local for the answer.
        unsafe { GetExitCodeProcess(self.raw(), &raw mut code) };
        code
    }

    /// Returns how many handles the process has.
    pub(crate) fn handle_count(&self) -> io::Result<u32> {
        let told = self.told_handle_count()?;
        Ok(wine::handle_count(self.key.pid, told))
    }

    /// The same, but without counting under Wine, which takes its server long: it may be 0 there.
    pub(crate) fn told_handle_count(&self) -> io::Result<u32> {
        let mut count = 0;
        // SAFETY: an open process, and a live local for the answer.
        check(unsafe { GetProcessHandleCount(self.raw(), &raw mut count) })?;
        Ok(count)
    }

    /// Returns the full path of its image.
    pub(crate) fn image(&self) -> io::Result<String> {
        let mut path = vec![0u16; 32_768];
        let mut size = path.len() as u32;
        // SAFETY: a buffer with its size.
        check(unsafe {
            QueryFullProcessImageNameW(self.raw(), 0, path.as_mut_ptr(), &raw mut size)
        })?;
        Ok(narrow(&path[..size as usize]))
    }

    /// Returns whether it is a 32-bit process on 64-bit Windows.
    pub(crate) fn is_narrow(&self) -> bool {
        let mut narrow = 0;
        // SAFETY: an open process, and a live local for the answer.
        check(unsafe { IsWow64Process(self.raw(), &raw mut narrow) }).is_ok() && narrow != 0
    }
}

fn times(process: HANDLE) -> io::Result<Times> {
    let [mut start, mut end, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: an open process, and four live locals for the answers.
    check(unsafe {
        GetProcessTimes(
            process,
            &raw mut start,
            &raw mut end,
            &raw mut kernel,
            &raw mut user,
        )
    })?;
    Ok(Times {
        start: number(start),
        user: duration(user),
        kernel: duration(kernel),
    })
}

/// Returns a FILETIME as one number, in units of 100 ns.
pub(crate) fn number(time: FILETIME) -> u64 {
    u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)
}

/// Converts a FILETIME that is a length of time.
pub(crate) fn duration(time: FILETIME) -> Duration {
    Duration::from_nanos(number(time).saturating_mul(100))
}

/// Returns the error for a process that has ended.
pub(crate) fn ended(key: ProcessKey) -> Error {
    Error::new(ErrorKind::NoSuchProcess, format!("process {key} has ended"))
}

fn no_such_process(pid: u32) -> Error {
    Error::new(
        ErrorKind::NoSuchProcess,
        format!("there is no process {pid}"),
    )
    .advise("`firstchance ps` lists the processes.")
}

/// Explains why `OpenProcess` failed.
fn explain_opening(pid: u32, error: &io::Error) -> Error {
    match error.raw_os_error().map(|code| code as u32) {
        Some(ERROR_INVALID_PARAMETER) => no_such_process(pid),
        Some(ERROR_ACCESS_DENIED) => super::rights::explain_denied(pid),
        _ => Error::new(
            ErrorKind::Other,
            format!("opening process {pid} failed: {error}"),
        ),
    }
}
