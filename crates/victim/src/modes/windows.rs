//! Everything that a Windows debugger is told of. Each line of input is a word that says what to
//! do; the mode answers when it is done.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use windows_sys::Win32::Foundation::{
    CloseHandle, EXCEPTION_ACCESS_VIOLATION, EXCEPTION_BREAKPOINT, FreeLibrary, NTSTATUS,
};
use windows_sys::Win32::System::Diagnostics::Debug::{
    AddVectoredExceptionHandler, EXCEPTION_CONTINUE_EXECUTION, EXCEPTION_CONTINUE_SEARCH,
    EXCEPTION_POINTERS, IsDebuggerPresent, OutputDebugStringA, OutputDebugStringW, RaiseException,
};
use windows_sys::Win32::System::LibraryLoader::{GetProcAddress, LoadLibraryA};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, PAGE_NOACCESS, PAGE_READONLY, VirtualAlloc, VirtualProtect,
};
use windows_sys::Win32::System::Threading::{OpenProcess, PROCESS_TERMINATE, TerminateProcess};

use super::Mode;
use crate::harness::{Harness, Outcome, say};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "events", args: "", about: "does what its input says: raise, fault, break, trap, say, load, thread, handled, debugged, end PID, keep LIBRARY, crash, die, exit", run: events },
];

/// The code of the exceptions that we raise, which no other program uses.
const OURS: u32 = 0xe0f1_c0de;
/// How many exceptions there are for one word of input.
const TIMES: usize = 100;

static HANDLED: AtomicU64 = AtomicU64::new(0);
/// Whether breakpoints are not handled any more.
static TRAPPED: AtomicBool = AtomicBool::new(false);

fn events(harness: &Harness) -> Outcome {
    // SAFETY: `handle` has the type that is wanted, and lives as long as the program.
    unsafe { AddVectoredExceptionHandler(1, Some(handle)) };
    harness.serve(|word| match word {
        "raise" => (0..TIMES).for_each(|_| raise(0)),
        "fault" => (0..TIMES).for_each(|_| fault()),
        // SAFETY: `handle` continues behind the instruction.
        "break" => unsafe { std::arch::asm!("int3") },
        "trap" => trap(),
        "say" => speak(),
        "load" => load(),
        "thread" => drop(std::thread::spawn(|| {}).join()),
        // SAFETY: the function takes no arguments.
        "debugged" => say(format_args!("{}", unsafe { IsDebuggerPresent() })),
        "handled" => say(format_args!("{}", HANDLED.load(Ordering::SeqCst))),
        // SAFETY: it is not sound: the fault is the purpose.
        "crash" => unsafe { std::ptr::without_provenance_mut::<u32>(0x10).write_volatile(1) },
        "die" => raise(1),
        "exit" => quit(),
        other => {
            let pid = other.strip_prefix("end ").and_then(|pid| pid.parse().ok());
            pid.into_iter().for_each(end);
            other.strip_prefix("keep ").into_iter().for_each(keep);
        }
    })
}

/// Raises an exception. With `flags` 1 (`EXCEPTION_NONCONTINUABLE`) no handler may continue the
/// program.
fn raise(flags: u32) {
    // SAFETY: no parameters.
    unsafe { RaiseException(OURS, flags, 0, std::ptr::null()) };
}

/// Reads a page that cannot be read until [`handle`] has changed its protection.
fn fault() {
    // SAFETY: a page of our own, which `handle` makes readable when the read faults.
    unsafe {
        let page = VirtualAlloc(std::ptr::null(), 4096, MEM_COMMIT, PAGE_NOACCESS);
        page.cast::<u8>().read_volatile();
    }
}

/// Writes two debug strings, in the system's code page and in UTF-16.
fn speak() {
    let wide: Vec<u16> = "wide wörds\0".encode_utf16().collect();
    // SAFETY: both texts end with a NUL.
    unsafe {
        OutputDebugStringA(c"NotFound: narrow words".as_ptr().cast());
        OutputDebugStringW(wide.as_ptr());
    }
}

/// Comes to a breakpoint that nobody handles.
fn trap() {
    TRAPPED.store(true, Ordering::SeqCst);
    // SAFETY: it is not sound: the process ends there, which is the purpose.
    unsafe { std::arch::asm!("int3") };
}

/// Loads a library for good.
fn keep(library: &str) {
    let name = format!("{library}\0");
    // SAFETY: the name ends with a NUL.
    unsafe { LoadLibraryA(name.as_ptr()) };
}

/// Loads a library, calls a function of it, and unloads it again.
fn load() {
    let mut id = [0u8; 16];
    // SAFETY: the names end with a NUL, and the function has the type that is documented for
    // `HidD_GetHidGuid`: it fills a GUID, which is 16 bytes.
    unsafe {
        let library = LoadLibraryA(c"hid.dll".as_ptr().cast());
        if let Some(ask) = GetProcAddress(library, c"HidD_GetHidGuid".as_ptr().cast()) {
            let ask: unsafe extern "system" fn(*mut u8) = std::mem::transmute(ask);
            ask(id.as_mut_ptr());
        }
        FreeLibrary(library);
    }
}

/// Ends another process, by a handle that has no other right.
fn end(pid: u32) {
    // SAFETY: the handle was just opened for us, and is not used after it is closed.
    unsafe {
        let process = OpenProcess(PROCESS_TERMINATE, 0, pid);
        TerminateProcess(process, 9);
        CloseHandle(process);
    }
}

#[expect(clippy::exit, reason = "to end suddenly is what this is for")]
fn quit() {
    std::process::exit(7)
}

/// Continues the program after our own exceptions, after faults at pages that can be made readable,
/// and after breakpoints; counts what it handled.
unsafe extern "system" fn handle(told: *mut EXCEPTION_POINTERS) -> i32 {
    // SAFETY: Windows passes pointers to structures that are valid until we return.
    let (record, context) = unsafe { (&*(*told).ExceptionRecord, &mut *(*told).ContextRecord) };
    let handled = match record.ExceptionCode {
        code if code == OURS as NTSTATUS => record.ExceptionFlags & 1 == 0,
        EXCEPTION_ACCESS_VIOLATION => readable(record.ExceptionInformation[1]),
        EXCEPTION_BREAKPOINT if !TRAPPED.load(Ordering::SeqCst) => {
            context.Rip = record.ExceptionAddress as u64 + 1;
            true
        }
        _ => false,
    };
    if !handled {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    HANDLED.fetch_add(1, Ordering::SeqCst);
    EXCEPTION_CONTINUE_EXECUTION
}

/// Makes the page at this address readable. Returns whether that succeeded.
fn readable(address: usize) -> bool {
    let mut before = 0;
    let page = std::ptr::without_provenance(address & !0xfff);
    // SAFETY: changes the protection of a page of ours; the call fails if no memory is committed
    // there.
    unsafe { address > 0x1000 && VirtualProtect(page, 4096, PAGE_READONLY, &raw mut before) != 0 }
}
