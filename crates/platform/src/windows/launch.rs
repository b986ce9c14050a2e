//! Starting a program that waits before its first instruction until we are ready.
//!
//! It is started suspended, and only we would ever resume it. So that it does not stand for ever if
//! we are killed in between, we enter a job
//! (<https://learn.microsoft.com/windows/win32/procthread/job-objects>) that kills its members when
//! its last handle is closed, which is ours. The program is started in that job, and dies with us
//! until we let it go; from then on the job has no limits.

use super::sys::{check, check_status, function, own, raw};
use snapshot::EndStatus;
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
        Threading::{CREATE_NEW_PROCESS_GROUP, CREATE_SUSPENDED, GetCurrentProcess},
    },
};

/// A program that we have started.
#[derive(Debug)]
pub(crate) struct RawLaunched {
    child: Child,
    waits: bool,
    fate: Option<SharedFate>,
}

/// Starts a program suspended.
///
/// # Errors
/// If there is no such program, or it cannot be started.
pub(crate) fn launch(program: &Path, arguments: &[String]) -> io::Result<RawLaunched> {
    let mut command = Command::new(super::search::find(program)?);
    // In a group of its own, Ctrl-C in our console is not for it ("Process Creation Flags").
    let flags = CREATE_SUSPENDED | CREATE_NEW_PROCESS_GROUP;
    command.args(arguments).creation_flags(flags);
    // Without a job, as on Windows 7 inside somebody else's job, the program is started all the
    // same.
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

    /// Lets the program run. A second call does nothing.
    pub(crate) fn go(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.waits) {
            return Ok(());
        }
        if let Some(fate) = self.fate.take() {
            fate.end()?;
        }
        type Resume = unsafe extern "system" fn(HANDLE) -> NTSTATUS;
        // SAFETY: the type is that of this function, which takes an open process and resumes its
        // threads.
        unsafe {
            let resume = function::<Resume>("ntdll.dll", c"NtResumeProcess");
            let resume = resume.ok_or(io::ErrorKind::Unsupported)?;
            check_status(resume(self.child.as_raw_handle()))
        }
    }

    /// Returns success: Windows tells at once, in `launch`, if a program cannot be started.
    pub(crate) fn started(&mut self) -> Option<io::Result<()>> {
        Some(Ok(()))
    }

    /// Returns the exit code once the program has ended.
    pub(crate) fn status(&mut self) -> Option<EndStatus> {
        let code = self.child.try_wait().ok()??.code()?;
        Some(EndStatus::Code(code as u32))
    }
}

/// A job in which we and the program that we start die together.
#[derive(Debug)]
struct SharedFate {
    job: OwnedHandle,
}

impl SharedFate {
    /// Makes the job and enters it.
    fn begin() -> io::Result<Self> {
        // SAFETY: the job has no name and no attributes, and the handle is new and ours.
        let job = unsafe { own(CreateJobObjectW(std::ptr::null(), std::ptr::null()))? };
        limit(&job, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)?;
        // SAFETY: an open job, and the pseudo handle of this process.
        check(unsafe { AssignProcessToJobObject(raw(&job), GetCurrentProcess()) })?;
        Ok(Self { job })
    }

    /// Removes the limits of the job, so that its members live independently. A process cannot
    /// leave a job.
    fn end(&self) -> io::Result<()> {
        limit(&self.job, 0)
    }
}

/// Closing the job with its limits would end us, too.
impl Drop for SharedFate {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Sets the limits of the job. Processes that start in it may leave it, as they could without.
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
            // It never ran, and nobody else could resume it.
            let _ = self.child.kill();
        }
    }
}
