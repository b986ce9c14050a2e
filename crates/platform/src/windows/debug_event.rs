//! What Windows tells a debugger (`DEBUG_EVENT`;
//! <https://learn.microsoft.com/windows/win32/debug/debugging-events>), as plain facts.

use super::{
    process::Process,
    sys::{check, narrow, own, raw},
};
use snapshot::Exception;
use std::{io, os::windows::io::OwnedHandle};
use windows_sys::Win32::{
    Foundation::HANDLE,
    Globalization::{CP_ACP, MultiByteToWideChar},
    Storage::FileSystem::GetFinalPathNameByHandleW,
    System::{
        Diagnostics::Debug::{
            CREATE_PROCESS_DEBUG_EVENT, CREATE_THREAD_DEBUG_EVENT, DEBUG_EVENT,
            EXCEPTION_DEBUG_EVENT, EXCEPTION_DEBUG_INFO, EXIT_PROCESS_DEBUG_EVENT,
            EXIT_THREAD_DEBUG_EVENT, LOAD_DLL_DEBUG_EVENT, OUTPUT_DEBUG_STRING_EVENT,
            OUTPUT_DEBUG_STRING_INFO, ReadProcessMemory, UNLOAD_DLL_DEBUG_EVENT,
        },
        ProcessStatus::K32GetMappedFileNameW,
    },
};

/// An event of a debugged process, and the thread that caused it.
#[derive(Debug)]
pub(crate) struct DebugEvent {
    /// The thread id.
    pub(crate) thread: u32,
    /// What happened.
    pub(crate) kind: DebugEventKind,
}

/// The kinds of events.
#[derive(Debug)]
pub(crate) enum DebugEventKind {
    /// We are attached: the first event of all.
    Attached,
    ThreadStart,
    ThreadExit,
    /// A module was loaded: base address and path.
    Load(u64, String),
    /// The module at this base address was unloaded.
    Unload(u64),
    DebugString(String),
    Exception(Exception),
    /// The process is ending with this exit code.
    Exit(u32),
    /// An event of a kind that we do not use.
    Other,
}

impl DebugEvent {
    /// Decodes an event of this process, and closes the files that come with some.
    pub(crate) fn read(event: &DEBUG_EVENT, process: &Process) -> Self {
        let thread = event.dwThreadId;
        // SAFETY: the event's code says which member of the union is valid. The handles of files
        // that come with some events are ours to close.
        let kind = unsafe {
            match event.dwDebugEventCode {
                CREATE_PROCESS_DEBUG_EVENT => {
                    drop(own(event.u.CreateProcessInfo.hFile));
                    DebugEventKind::Attached
                }
                CREATE_THREAD_DEBUG_EVENT => DebugEventKind::ThreadStart,
                EXIT_THREAD_DEBUG_EVENT => DebugEventKind::ThreadExit,
                LOAD_DLL_DEBUG_EVENT => {
                    let base = event.u.LoadDll.lpBaseOfDll as u64;
                    DebugEventKind::Load(base, path(own(event.u.LoadDll.hFile), base, process))
                }
                UNLOAD_DLL_DEBUG_EVENT => {
                    DebugEventKind::Unload(event.u.UnloadDll.lpBaseOfDll as u64)
                }
                OUTPUT_DEBUG_STRING_EVENT => {
                    DebugEventKind::DebugString(text(&event.u.DebugString, process))
                }
                EXCEPTION_DEBUG_EVENT => {
                    DebugEventKind::Exception(exception(thread, &event.u.Exception))
                }
                EXIT_PROCESS_DEBUG_EVENT => DebugEventKind::Exit(event.u.ExitProcess.dwExitCode),
                _ => DebugEventKind::Other,
            }
        };
        Self { thread, kind }
    }
}

/// Decodes an exception and its parameters.
fn exception(thread: u32, info: &EXCEPTION_DEBUG_INFO) -> Exception {
    let record = &info.ExceptionRecord;
    let count = record
        .ExceptionInformation
        .len()
        .min(record.NumberParameters as usize);
    let parameters = record.ExceptionInformation[..count].iter();
    Exception {
        thread,
        code: record.ExceptionCode as u32,
        flags: record.ExceptionFlags,
        address: record.ExceptionAddress as u64,
        parameters: parameters.map(|word| *word as u64).collect(),
        first_chance: info.dwFirstChance != 0,
        ..Exception::default()
    }
}

/// Returns the path of a module: that of the file that comes with the event, else the kernel's name
/// for what is mapped there (`\\Device\\…`).
fn path(file: io::Result<OwnedHandle>, base: u64, process: &Process) -> String {
    let mut path = vec![0u16; 32_768];
    let size = path.len() as u32;
    if let Ok(file) = file {
        // SAFETY: an open file, and a buffer with its size.
        let got = unsafe { GetFinalPathNameByHandleW(raw(&file), path.as_mut_ptr(), size, 0) };
        if (1..size).contains(&got) {
            return plain(narrow(&path[..got as usize]));
        }
    }
    let address = std::ptr::without_provenance(base as usize);
    // SAFETY: a buffer with its size; the address is only looked up in the other process.
    let got = unsafe { K32GetMappedFileNameW(process.raw(), address, path.as_mut_ptr(), size) };
    narrow(&path[..got.min(size) as usize])
}

/// Removes the prefix `\\?\` of a path.
fn plain(path: String) -> String {
    match path.strip_prefix(r"\\?\UNC\") {
        Some(share) => format!(r"\\{share}"),
        None => path
            .strip_prefix(r"\\?\")
            .map_or(path.clone(), str::to_owned),
    }
}

/// Reads a debug string from the process. Its length counts the NUL, in units of the text.
fn text(info: &OUTPUT_DEBUG_STRING_INFO, process: &Process) -> String {
    let unit = if info.fUnicode == 0 { 1 } else { 2 };
    let mut bytes = vec![0; usize::from(info.nDebugStringLength) * unit];
    read(process.raw(), info.lpDebugStringData as u64, &mut bytes);
    let units: Vec<u16> = match unit {
        1 => wide_of(&bytes),
        _ => {
            let pairs = bytes.as_chunks().0.iter();
            pairs.map(|pair| u16::from_le_bytes(*pair)).collect()
        }
    };
    narrow(&units)
}

/// Reads memory of the process.
fn read(process: HANDLE, address: u64, buffer: &mut [u8]) {
    let from = std::ptr::without_provenance(address as usize);
    let (to, size) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: the call writes at most `size` bytes to the buffer. What cannot be read stays zero.
    let _ = check(unsafe { ReadProcessMemory(process, from, to, size, std::ptr::null_mut()) });
}

/// Decodes text in the system's code page.
fn wide_of(bytes: &[u8]) -> Vec<u16> {
    let mut units = vec![0; bytes.len()];
    let (size, room) = (bytes.len() as i32, units.len() as i32);
    // SAFETY: both buffers with their sizes. No code page makes more units than bytes.
    let got =
        unsafe { MultiByteToWideChar(CP_ACP, 0, bytes.as_ptr(), size, units.as_mut_ptr(), room) };
    units.truncate(got.max(0) as usize);
    units
}
