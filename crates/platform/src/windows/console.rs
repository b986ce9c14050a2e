//! Our own process: how it is asked to stop, and what it loads.

use super::sys::own;
use std::{
    io,
    os::windows::io::{AsRawHandle, OwnedHandle},
    sync::OnceLock,
};
use windows_sys::{
    Win32::{
        Foundation::HANDLE,
        System::{
            Console::{
                CONSOLE_SCREEN_BUFFER_INFO, CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT,
                GetConsoleScreenBufferInfo, SetConsoleCtrlHandler,
            },
            LibraryLoader::{LOAD_LIBRARY_SEARCH_SYSTEM32, SetDefaultDllDirectories},
            Threading::{CreateEventW, INFINITE, SetEvent, WaitForSingleObject},
        },
    },
    core::BOOL,
};

/// Signalled when somebody asks us to stop.
static ASKED: OnceLock<Option<OwnedHandle>> = OnceLock::new();

/// Prepares this process.
pub(crate) fn init_process() {
    // SAFETY: plain calls; the handler is a function for good, and the event is ours.
    unsafe {
        // What we load by name comes from System32 alone, never from the folder we were started
        // in: a dumper runs with high rights beside files that others have put there.
        SetDefaultDllDirectories(LOAD_LIBRARY_SEARCH_SYSTEM32);
        ASKED.get_or_init(|| own(CreateEventW(std::ptr::null(), 1, 0, std::ptr::null())).ok());
        SetConsoleCtrlHandler(Some(on_control), 1);
    }
    super::security::enable_debug_privilege();
}

/// Columns of the window that standard error is; `None` where it is none.
pub(crate) fn terminal_width() -> Option<usize> {
    let mut found = CONSOLE_SCREEN_BUFFER_INFO::default();
    let handle = std::io::stderr().as_raw_handle();
    // SAFETY: standard error lives as long as we do; the place is a live local.
    super::sys::check(unsafe { GetConsoleScreenBufferInfo(handle, &raw mut found) }).ok()?;
    usize::try_from(found.srWindow.Right - found.srWindow.Left + 1).ok()
}

/// Calls `act` from a thread of its own once somebody asks us to stop; see
/// [`crate::on_interrupt`].
pub(crate) fn on_interrupt(act: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    std::thread::Builder::new().spawn(move || {
        let Some(event) = cancel_event() else { return };
        // SAFETY: an event that is never closed.
        unsafe { WaitForSingleObject(event, INFINITE) };
        act();
    })?;
    Ok(())
}

fn cancel_event() -> Option<HANDLE> {
    let event = ASKED.get()?.as_ref()?;
    Some(event.as_raw_handle())
}

/// Ctrl-C, Ctrl-Break and the closing of the console ask to cancel; a second Ctrl-C ends at once,
/// as usual. Windows calls this in a thread of its own.
unsafe extern "system" fn on_control(kind: u32) -> BOOL {
    let again = crate::cancel::is_interrupted();
    if ![CTRL_C_EVENT, CTRL_BREAK_EVENT, CTRL_CLOSE_EVENT].contains(&kind) || again {
        return 0;
    }
    crate::cancel::interrupt();
    if let Some(event) = cancel_event() {
        // SAFETY: an event that is never closed.
        unsafe { SetEvent(event) };
    }
    if kind == CTRL_CLOSE_EVENT {
        // The process is ended when this returns: leave the target a moment to be let go.
        std::thread::sleep(std::time::Duration::from_secs(4));
    }
    1
}

/// Ends this process as SIGKILL does on Linux: nothing of ours runs any more.
#[cfg(feature = "failpoints")]
pub(crate) fn kill_self() {
    use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};
    // SAFETY: the pseudo handle of ourselves.
    unsafe { TerminateProcess(GetCurrentProcess(), 137) };
}

/// Stands still until somebody ends it; there is no SIGSTOP.
#[cfg(feature = "failpoints")]
pub(crate) fn stop_self() {
    std::thread::sleep(std::time::Duration::from_secs(60));
}
