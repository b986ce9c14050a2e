//! Stopping a process as its debugger
//! (<https://learn.microsoft.com/windows/win32/debug/debugging-a-running-process>).
//!
//! The process stands from the moment at which we take its first event until we continue it or
//! detach. If we die, the system resumes what we debug, as long as the debug object was told before
//! the attachment not to kill. (A process that was suspended by `SuspendThread` or
//! `NtSuspendProcess` would stand for ever.)

use super::{
    debug_event::{DebugEvent, DebugEventKind},
    process::Process,
    sys::{check, check_status, function},
};
use std::{
    ffi::CStr,
    io,
    marker::PhantomData,
    time::{Duration, Instant},
};
use windows_sys::{
    Win32::{
        Foundation::{CloseHandle, DBG_CONTINUE, DBG_EXCEPTION_NOT_HANDLED, HANDLE, NTSTATUS},
        System::Diagnostics::Debug::{
            ContinueDebugEvent, DEBUG_EVENT, DebugActiveProcess, DebugActiveProcessStop,
            DebugSetProcessKillOnExit, WaitForDebugEvent,
        },
    },
    core::BOOL,
};

/// A process that this thread debugs. Dropping it detaches.
///
/// The system ties a debugger to its thread, so this value never leaves it.
#[derive(Debug)]
pub(crate) struct DebuggedProcess {
    pid: u32,
    /// The event at which the process stands: its thread, and the status to continue it with.
    stands: Option<(u32, NTSTATUS)>,
    _this_thread: PhantomData<*const ()>,
}

/// How long the first event may take.
const FIRST_EVENT: Duration = Duration::from_secs(5);

impl DebuggedProcess {
    /// Attaches, which stops every thread.
    ///
    /// # Errors
    /// If we may not debug it, another debugger does, or it does not stop within 5 seconds.
    pub(crate) fn stop(process: &Process) -> io::Result<Self> {
        connect()?;
        attach(process)?;
        let mut debugged = Self {
            pid: process.key.pid,
            stands: None,
            _this_thread: PhantomData,
        };
        // SAFETY: takes a plain number, and concerns what this thread debugs. It is called again
        // here for a system that forgets what was set before the attachment.
        unsafe { DebugSetProcessKillOnExit(0) };
        let _ = crate::failpoint("attached");
        debugged.take_first_event(process)?;
        Ok(debugged)
    }

    /// Returns the thread at whose event the process stands; `None` if it runs.
    pub(crate) fn stands(&self) -> Option<u32> {
        self.stands.map(|(thread, _)| thread)
    }

    /// Waits for the next event, at which the process stands then; `None` if there is none within
    /// `limit`. An exception is passed to the program when it continues, unless it is
    /// [ours](Self::ours).
    pub(crate) fn next(&mut self, process: &Process, limit: Duration) -> Option<DebugEvent> {
        let event = next_event(limit)?;
        let event = DebugEvent::read(&event, process);
        let status = match event.kind {
            DebugEventKind::Exception(_) => DBG_EXCEPTION_NOT_HANDLED,
            _ => DBG_CONTINUE,
        };
        self.stands = Some((event.thread, status));
        Some(event)
    }

    /// Declares the exception of the last event to be our own doing: the program does not see it.
    pub(crate) fn ours(&mut self) {
        if let Some((_, status)) = &mut self.stands {
            *status = DBG_CONTINUE;
        }
    }

    /// Continues the process.
    pub(crate) fn go_on(&mut self) {
        if let Some((thread, status)) = self.stands.take() {
            // SAFETY: takes plain numbers, those of the event that this thread took last and has
            // not continued.
            unsafe { ContinueDebugEvent(self.pid, thread, status) };
        }
    }

    /// Waits for the event that announces the process itself. From then on every thread stands.
    fn take_first_event(&mut self, process: &Process) -> io::Result<()> {
        let deadline = Instant::now() + FIRST_EVENT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.next(process, left).ok_or(io::ErrorKind::TimedOut)?;
            match event.kind {
                DebugEventKind::Attached => return Ok(()),
                DebugEventKind::Exit(_) => return Err(io::ErrorKind::NotFound.into()),
                _ => self.go_on(),
            }
        }
    }
}

impl Drop for DebuggedProcess {
    fn drop(&mut self) {
        // Detach at the event without continuing it first: no further event can begin, and the
        // system wakes what waits for the debugger. Not at an exception, which Wine would take for
        // one that the debugger has handled.
        if let Some((_, DBG_EXCEPTION_NOT_HANDLED)) = self.stands {
            self.go_on();
        }
        // SAFETY: takes a plain number, and concerns what this thread debugs.
        let stopped = check(unsafe { DebugActiveProcessStop(self.pid) });
        if stopped.is_err() {
            self.go_on();
        }
        disconnect();
    }
}

/// Makes this thread's debug object, and tells it not to kill what it debugs. In this order our
/// death never becomes the target's.
fn connect() -> io::Result<()> {
    type Connect = unsafe extern "system" fn() -> NTSTATUS;
    // SAFETY: the types are those of these functions, which take nothing and act on this thread.
    unsafe {
        if let Some(connect) = function::<Connect>("ntdll.dll", c"DbgUiConnectToDbg") {
            check_status(connect())?;
            check(DebugSetProcessKillOnExit(0))?;
        }
    }
    Ok(())
}

/// Closes this thread's debug object, which would otherwise exist until the program ends.
fn disconnect() {
    type Forget = unsafe extern "system" fn(HANDLE);
    // SAFETY: the types are those of these functions. The object belongs to this thread, and is
    // detached from it before it is closed.
    unsafe {
        let forget = function::<Forget>("ntdll.dll", c"DbgUiSetThreadDebugObject");
        if let (Some(object), Some(forget)) = (debug_object(), forget) {
            forget(std::ptr::null_mut());
            CloseHandle(object);
        }
    }
}

/// Returns the handle of this thread's debug object.
fn debug_object() -> Option<HANDLE> {
    type Get = unsafe extern "system" fn() -> HANDLE;
    const NAME: &CStr = c"DbgUiGetThreadDebugObject";
    // SAFETY: the type is that of this function, which takes nothing.
    let object = unsafe { function::<Get>("ntdll.dll", NAME)?() };
    (!object.is_null()).then_some(object)
}

/// Attaches without the break-in thread that `DebugActiveProcess` starts in the target: it is not
/// needed to stop the process, hangs if the loader's lock is held, and would be one thread too many
/// in the dump.
fn attach(process: &Process) -> io::Result<()> {
    type Attach = unsafe extern "system" fn(HANDLE, HANDLE) -> NTSTATUS;
    // SAFETY: the type is that of this function, which gets an open process and this thread's debug
    // object.
    unsafe {
        let attach = function::<Attach>("ntdll.dll", c"NtDebugActiveProcess");
        match (attach, debug_object()) {
            (Some(attach), Some(object)) => check_status(attach(process.raw(), object)),
            _ => check(DebugActiveProcess(process.key.pid)),
        }
    }
}

/// Waits for the next debug event, by the function of Windows 10 that tells debug strings in UTF-16
/// if there is one.
fn next_event(limit: Duration) -> Option<DEBUG_EVENT> {
    type Wait = unsafe extern "system" fn(*mut DEBUG_EVENT, u32) -> BOOL;
    let millis = limit.as_millis().min(u32::MAX as u128 - 1) as u32;
    let mut event = DEBUG_EVENT::default();
    // SAFETY: the type is that of this function, which fills the same structure as
    // WaitForDebugEvent.
    let came = check(unsafe {
        match function::<Wait>("kernel32.dll", c"WaitForDebugEventEx") {
            Some(wait) => wait(&raw mut event, millis),
            None => WaitForDebugEvent(&raw mut event, millis),
        }
    });
    came.ok().map(|()| event)
}
