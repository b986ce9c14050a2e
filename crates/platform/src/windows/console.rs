//! Our own process: how it is asked to stop, and where it loads libraries from.

use super::sys::own;
use std::{
    io,
    ops::ControlFlow,
    os::windows::io::{AsRawHandle, OwnedHandle},
    sync::OnceLock,
    time::Instant,
};
use windows_sys::{
    Win32::{
        Foundation::HANDLE,
        System::{
            Console::{
                CONSOLE_SCREEN_BUFFER_INFO, CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT,
                GetConsoleScreenBufferInfo, SetConsoleCtrlHandler,
            },
            Environment::GetCommandLineW,
            LibraryLoader::{LOAD_LIBRARY_SEARCH_SYSTEM32, SetDefaultDllDirectories},
            Threading::{CreateEventW, INFINITE, SetEvent, WaitForSingleObject},
        },
    },
    core::BOOL,
};

/// An event that is signalled when we are asked to stop.
static ASKED: OnceLock<Option<OwnedHandle>> = OnceLock::new();

/// Prepares this process; see [`crate::init`].
pub(crate) fn init_process() -> ControlFlow<()> {
    // SAFETY: the handler is a function that exists as long as the program, and the event's handle
    // is new and nobody else's.
    unsafe {
        // Libraries that we load by name come from System32 only, never from the folder that we
        // were started in: a dumper runs with high rights beside files that others have put there.
        SetDefaultDllDirectories(LOAD_LIBRARY_SEARCH_SYSTEM32);
        ASKED.get_or_init(|| own(CreateEventW(std::ptr::null(), 1, 0, std::ptr::null())).ok());
        SetConsoleCtrlHandler(Some(on_control), 1);
    }
    super::security::enable_debug_privilege();
    ControlFlow::Continue(())
}

/// Returns the number of columns of the console that standard error is; `None` if it is no console.
pub(crate) fn has_terminal() -> bool {
    true
}

/// See [`crate::terminal_width`].
pub(crate) fn terminal_width() -> Option<usize> {
    let mut found = CONSOLE_SCREEN_BUFFER_INFO::default();
    let handle = std::io::stderr().as_raw_handle();
    // SAFETY: standard error is open as long as we run, and the call writes to a live local.
    super::sys::check(unsafe { GetConsoleScreenBufferInfo(handle, &raw mut found) }).ok()?;
    usize::try_from(found.srWindow.Right - found.srWindow.Left + 1).ok()
}

/// Returns the arguments of our own command line, as they were typed.
pub(crate) fn typed_arguments() -> Option<String> {
    // SAFETY: the call returns the command line of this process, a text that ends with a NUL and
    // that nobody changes or frees. It has fewer than 32,768 units (`CreateProcessW`).
    let line = unsafe {
        let text = GetCommandLineW();
        let length = (0..32_768).take_while(|&n| *text.add(n) != 0).count();
        super::sys::narrow(std::slice::from_raw_parts(text, length))
    };
    let (_program, arguments) = super::peb::split_program(&line)?;
    Some(arguments.trim().to_owned())
}

/// Calls `act` in a thread of its own once we are asked to stop; see [`crate::on_interrupt`].
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

/// Handles Ctrl-C, Ctrl-Break and the closing of the console: each cancels our work. A second
/// Ctrl-C that comes some seconds after the first ends us at once, as usual. Windows calls this in a thread of its own.
unsafe extern "system" fn on_control(kind: u32) -> BOOL {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    let started = STARTED.get_or_init(Instant::now);
    let again = crate::cancel::ends_at_once(started.elapsed());
    if ![CTRL_C_EVENT, CTRL_BREAK_EVENT, CTRL_CLOSE_EVENT].contains(&kind) || again {
        return 0;
    }
    crate::cancel::interrupt();
    if let Some(event) = cancel_event() {
        // SAFETY: an event that is never closed.
        unsafe { SetEvent(event) };
    }
    if kind == CTRL_CLOSE_EVENT {
        // Windows ends us when this returns: leave time to release the target.
        std::thread::sleep(std::time::Duration::from_secs(4));
    }
    1
}

/// Ends this process as SIGKILL does on Linux: no code of ours runs any more.
#[cfg(feature = "failpoints")]
pub(crate) fn kill_self() {
    use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};
    // SAFETY: the pseudo handle of this process.
    unsafe { TerminateProcess(GetCurrentProcess(), 137) };
}

/// Sleeps until somebody ends this process; Windows has no SIGSTOP.
#[cfg(feature = "failpoints")]
pub(crate) fn stop_self() {
    std::thread::sleep(std::time::Duration::from_secs(60));
}
