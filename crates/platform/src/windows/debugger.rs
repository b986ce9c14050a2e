//! Holding a process as its debugger.
//!
//! It stands from the moment at which the debugger takes the first event until it lets go. A
//! debugger that dies lets go too: the system resumes what it held, as long as the debug object
//! is told before the attachment not to kill. (A process suspended by `SuspendThread` or
//! `NtSuspendProcess` would stand for ever.)

use super::{
    process::Process,
    sys::{check, check_status, function, own},
};
use std::{
    ffi::CStr,
    io,
    marker::PhantomData,
    time::{Duration, Instant},
};
use windows_sys::Win32::{
    Foundation::{
        CloseHandle, DBG_CONTINUE, DBG_EXCEPTION_NOT_HANDLED, EXCEPTION_BREAKPOINT, HANDLE,
        NTSTATUS, STATUS_WX86_BREAKPOINT,
    },
    System::Diagnostics::Debug::{
        CREATE_PROCESS_DEBUG_EVENT, ContinueDebugEvent, DEBUG_EVENT, DebugActiveProcess,
        DebugActiveProcessStop, DebugSetProcessKillOnExit, EXCEPTION_DEBUG_EVENT,
        EXIT_PROCESS_DEBUG_EVENT, LOAD_DLL_DEBUG_EVENT, WaitForDebugEvent,
    },
};

/// A process that this thread debugs. Dropping it lets the process go.
///
/// The system ties a debugger to its thread, so this never leaves it.
#[derive(Debug)]
pub(crate) struct Debugged {
    pid: u32,
    /// The event at which it stands: its thread, and how to go on.
    stands: Option<(u32, NTSTATUS)>,
    /// The breakpoints that are still to come of the loader (a 32-bit program has two of them) of
    /// a program that begins under a debugger. Any other is the program's own.
    greetings: Vec<NTSTATUS>,
    _this_thread: PhantomData<*const ()>,
}

/// What a process did that was told to report its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It goes on.
    NotYet,
    /// It stands in its end; its exit code.
    Exiting(i32),
}

/// What the loaders say to a debugger, the 64-bit one and the 32-bit one.
const GREETINGS: [NTSTATUS; 2] = [EXCEPTION_BREAKPOINT, STATUS_WX86_BREAKPOINT];
/// How long the first event may take.
const FIRST_EVENT: Duration = Duration::from_secs(5);

impl Debugged {
    /// Attaches and stops every thread; `begins` tells of a process whose loader has not run yet.
    pub(crate) fn stop(process: &Process, begins: bool) -> io::Result<Self> {
        connect()?;
        attach(process)?;
        let mut debugged = Self {
            pid: process.key.pid,
            stands: None,
            greetings: if begins { GREETINGS.to_vec() } else { vec![] },
            _this_thread: PhantomData,
        };
        // SAFETY: it concerns what this thread debugs. Said a second time, for a system that
        // forgets what it was told before the attachment.
        unsafe { DebugSetProcessKillOnExit(0) };
        let _ = crate::failpoint("attached");
        debugged.take_first_event()?;
        Ok(debugged)
    }

    /// Whether it stands.
    pub(crate) fn stands(&self) -> bool {
        self.stands.is_some()
    }

    /// Lets it run until its end; what else it does meanwhile is its own business.
    pub(crate) fn wait_for_end(&mut self, limit: Duration) -> End {
        let deadline = Instant::now() + limit;
        loop {
            self.go_on();
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(event) = next_event(left) else {
                return End::NotYet;
            };
            self.keep(&event);
            if event.dwDebugEventCode == EXIT_PROCESS_DEBUG_EVENT {
                // SAFETY: the code says which member of the union is meant.
                let code = unsafe { event.u.ExitProcess.dwExitCode };
                return End::Exiting(code as i32);
            }
        }
    }

    /// Waits for the event that tells of the process itself: from it on every thread stands.
    fn take_first_event(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + FIRST_EVENT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = next_event(left).ok_or(io::ErrorKind::TimedOut)?;
            self.keep(&event);
            match event.dwDebugEventCode {
                CREATE_PROCESS_DEBUG_EVENT => return Ok(()),
                EXIT_PROCESS_DEBUG_EVENT => return Err(io::ErrorKind::NotFound.into()),
                _ => self.go_on(),
            }
        }
    }

    /// Notes where it stands, and closes the file that comes with some events.
    fn keep(&mut self, event: &DEBUG_EVENT) {
        let mut status = DBG_EXCEPTION_NOT_HANDLED;
        // SAFETY: the code says which member of the union is meant; the files are ours to close.
        unsafe {
            match event.dwDebugEventCode {
                CREATE_PROCESS_DEBUG_EVENT => close(event.u.CreateProcessInfo.hFile),
                LOAD_DLL_DEBUG_EVENT => close(event.u.LoadDll.hFile),
                EXCEPTION_DEBUG_EVENT => {
                    let code = event.u.Exception.ExceptionRecord.ExceptionCode;
                    if let Some(at) = self.greetings.iter().position(|known| *known == code) {
                        self.greetings.remove(at);
                        status = DBG_CONTINUE;
                    }
                }
                _ => {}
            }
        }
        self.stands = Some((event.dwThreadId, status));
    }

    fn go_on(&mut self) {
        if let Some((thread, status)) = self.stands.take() {
            // SAFETY: the event that this thread took last and has not continued.
            unsafe { ContinueDebugEvent(self.pid, thread, status) };
        }
    }
}

impl Drop for Debugged {
    fn drop(&mut self) {
        // Letting go at the event, without continuing it first: no further event can begin, and
        // the system wakes what waits for the debugger.
        // SAFETY: it concerns what this thread debugs.
        let stopped = check(unsafe { DebugActiveProcessStop(self.pid) });
        if stopped.is_err() {
            self.go_on();
        }
        disconnect();
    }
}

/// Makes this thread's debug object, and tells it not to kill. In this order there is no instant
/// at which our death would be the target's.
fn connect() -> io::Result<()> {
    type Connect = unsafe extern "system" fn() -> NTSTATUS;
    // SAFETY: the types of these functions, which take nothing and act on this thread.
    unsafe {
        if let Some(connect) = function::<Connect>("ntdll.dll", c"DbgUiConnectToDbg") {
            check_status(connect())?;
            check(DebugSetProcessKillOnExit(0))?;
        }
    }
    Ok(())
}

/// Closes this thread's debug object, which would otherwise stay until the program ends.
fn disconnect() {
    type Forget = unsafe extern "system" fn(HANDLE);
    // SAFETY: the types of these functions; the object is this thread's own, and is forgotten
    // before it is closed.
    unsafe {
        let forget = function::<Forget>("ntdll.dll", c"DbgUiSetThreadDebugObject");
        if let (Some(object), Some(forget)) = (debug_object(), forget) {
            forget(std::ptr::null_mut());
            CloseHandle(object);
        }
    }
}

fn debug_object() -> Option<HANDLE> {
    type Get = unsafe extern "system" fn() -> HANDLE;
    const NAME: &CStr = c"DbgUiGetThreadDebugObject";
    // SAFETY: the type of this function, which takes nothing.
    let object = unsafe { function::<Get>("ntdll.dll", NAME)?() };
    (!object.is_null()).then_some(object)
}

/// Attaches without the break-in thread that `DebugActiveProcess` starts in the target: it is not
/// needed to stop it, hangs where the loader's lock is held, and would be one thread too many.
fn attach(process: &Process) -> io::Result<()> {
    type Attach = unsafe extern "system" fn(HANDLE, HANDLE) -> NTSTATUS;
    // SAFETY: the type of this function; an open process and this thread's debug object.
    unsafe {
        let attach = function::<Attach>("ntdll.dll", c"NtDebugActiveProcess");
        match (attach, debug_object()) {
            (Some(attach), Some(object)) => check_status(attach(process.raw(), object)),
            _ => check(DebugActiveProcess(process.key.pid)),
        }
    }
}

fn next_event(limit: Duration) -> Option<DEBUG_EVENT> {
    let millis = limit.as_millis().min(u32::MAX as u128 - 1) as u32;
    let mut event = DEBUG_EVENT::default();
    // SAFETY: a structure to be filled.
    let came = check(unsafe { WaitForDebugEvent(&raw mut event, millis) });
    came.ok().map(|()| event)
}

/// # Safety
/// The handle must be ours, or none.
unsafe fn close(handle: HANDLE) {
    // SAFETY: the caller says that it is ours.
    drop(unsafe { own(handle) });
}
