//! Starting a program that waits before its first instruction until we are ready for it.
//!
//! It is started suspended, and nobody but us would ever resume it. So that it does not stand for
//! ever when we are killed in between, we enter a job that ends with its last handle, which is ours:
//! the program is born into that job, and dies with us until it is let go. From then on the job
//! does nothing any more.

use super::sys::{check, check_status, function, own, raw};
use std::{
    io,
    os::windows::{
        io::{AsRawHandle, OwnedHandle},
        process::CommandExt,
    },
    path::Path,
    process::{Child, Command},
};
use windows_sys::Win32::{
    Foundation::{HANDLE, NTSTATUS},
    System::{
        JobObjects::{
            AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT,
            JOB_OBJECT_LIMIT_BREAKAWAY_OK, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
            JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation,
            SetInformationJobObject,
        },
        Threading::{CREATE_SUSPENDED, GetCurrentProcess},
    },
};

/// A program that was started.
#[derive(Debug)]
pub(crate) struct RawLaunched {
    child: Child,
    waits: bool,
    fate: Option<SharedFate>,
}

/// Starts it, held.
pub(crate) fn launch(program: &Path, arguments: &[String]) -> io::Result<RawLaunched> {
    let mut command = Command::new(program);
    command.args(arguments).creation_flags(CREATE_SUSPENDED);
    // Where it cannot be had (Windows 7 in somebody else's job) the program is started without.
    let fate = SharedFate::begin().ok();
    let child = command.spawn()?;
    let _ = crate::failpoint("launched");
    Ok(RawLaunched {
        child,
        waits: true,
        fate,
    })
}

impl RawLaunched {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn go(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.waits) {
            return Ok(());
        }
        if let Some(fate) = self.fate.take() {
            fate.end()?;
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

/// A job of ours, in which we and what we start die together.
#[derive(Debug)]
struct SharedFate {
    job: OwnedHandle,
}

impl SharedFate {
    fn begin() -> io::Result<Self> {
        // SAFETY: no name and no attributes; the handle is ours.
        let job = unsafe { own(CreateJobObjectW(std::ptr::null(), std::ptr::null()))? };
        limit(&job, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)?;
        // SAFETY: an open job, and ourselves.
        check(unsafe { AssignProcessToJobObject(raw(&job), GetCurrentProcess()) })?;
        Ok(Self { job })
    }

    /// Everybody lives on by himself. The job stays, as none can be left, without any limit.
    fn end(self) -> io::Result<()> {
        limit(&self.job, 0)
    }
}

/// What starts in the job may leave it, as it could without.
fn limit(job: &OwnedHandle, flags: JOB_OBJECT_LIMIT) -> io::Result<()> {
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags = flags | JOB_OBJECT_LIMIT_BREAKAWAY_OK;
    let (class, size) = (JobObjectExtendedLimitInformation, size_of_val(&limits));
    let at = (&raw const limits).cast();
    // SAFETY: an open job, and the structure of that class with its size.
    check(unsafe { SetInformationJobObject(raw(job), class, at, size as u32) })
}

impl Drop for RawLaunched {
    fn drop(&mut self) {
        if self.waits {
            // It never ran: nobody else could let it go.
            let _ = self.child.kill();
            // Else closing the job would end us too.
            if let Some(fate) = self.fate.take() {
                let _ = fate.end();
            }
        }
    }
}
