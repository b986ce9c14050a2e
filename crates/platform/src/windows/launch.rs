//! Starting a program that waits before its first instruction until we are ready for it.

use super::sys::{check_status, function};
use std::{
    io,
    os::windows::{io::AsRawHandle, process::CommandExt},
    path::Path,
    process::{Child, Command},
};
use windows_sys::Win32::{
    Foundation::{HANDLE, NTSTATUS},
    System::Threading::CREATE_SUSPENDED,
};

/// A program that was started.
#[derive(Debug)]
pub(crate) struct RawLaunched {
    child: Child,
    waits: bool,
}

/// Starts it, held.
pub(crate) fn launch(program: &Path, arguments: &[String]) -> io::Result<RawLaunched> {
    let mut command = Command::new(program);
    command.args(arguments).creation_flags(CREATE_SUSPENDED);
    let child = command.spawn()?;
    Ok(RawLaunched { child, waits: true })
}

impl RawLaunched {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn go(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.waits) {
            return Ok(());
        }
        type Resume = unsafe extern "system" fn(HANDLE) -> NTSTATUS;
        // SAFETY: the type of this function, which takes a process and resumes its threads.
        unsafe {
            let resume = function::<Resume>("ntdll.dll", c"NtResumeProcess");
            let resume = resume.ok_or(io::ErrorKind::Unsupported)?;
            check_status(resume(self.child.as_raw_handle()))
        }
    }

    /// Windows knows at once whether a program can be started.
    pub(crate) fn started(&mut self) -> Option<io::Result<()>> {
        Some(Ok(()))
    }

    /// Its exit code once it has ended.
    pub(crate) fn status(&mut self) -> Option<i32> {
        self.child.try_wait().ok()??.code()
    }
}

impl Drop for RawLaunched {
    fn drop(&mut self) {
        if self.waits {
            // It never ran: nobody else could let it go.
            let _ = self.child.kill();
        }
    }
}
