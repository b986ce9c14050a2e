//! What a debugger is told, as plain facts.

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

/// Something that a process did, and the thread that did it.
#[derive(Debug)]
pub(crate) struct DebugEvent {
    pub(crate) thread: u32,
    pub(crate) kind: DebugEventKind,
}

/// What it did.
#[derive(Debug)]
pub(crate) enum DebugEventKind {
    /// We hold it: the first event of all.
    Attached,
    ThreadStart,
    ThreadExit,
    /// An image was mapped at this base.
    Load(u64, String),
    /// The image at this base is no longer.
    Unload(u64),
    DebugString(String),
    Exception(Exception),
    /// It ends, with this code.
    Exit(i32),
    /// What nobody wants to know.
    Other,
}

impl DebugEvent {
    /// Reads an event of this process; the files that come with some are closed.
    pub(crate) fn read(event: &DEBUG_EVENT, process: &Process) -> Self {
        let thread = event.dwThreadId;
        // SAFETY: the code says which member of the union is meant; the files are ours to close.
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
                EXIT_PROCESS_DEBUG_EVENT => {
                    DebugEventKind::Exit(event.u.ExitProcess.dwExitCode as i32)
                }
                _ => DebugEventKind::Other,
            }
        };
        Self { thread, kind }
    }
}

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

/// By the file that comes with the event, else by what is mapped there (as `\\Device\\…`).
fn path(file: io::Result<OwnedHandle>, base: u64, process: &Process) -> String {
    let mut path = vec![0u16; 32_768];
    let size = path.len() as u32;
    if let Ok(file) = file {
        // SAFETY: an open file, and room for the text with its size.
        let got = unsafe { GetFinalPathNameByHandleW(raw(&file), path.as_mut_ptr(), size, 0) };
        if (1..size).contains(&got) {
            return plain(narrow(&path[..got as usize]));
        }
    }
    let address = std::ptr::without_provenance(base as usize);
    // SAFETY: room for the text, with its size; the address is only looked up.
    let got = unsafe { K32GetMappedFileNameW(process.raw(), address, path.as_mut_ptr(), size) };
    narrow(&path[..got.min(size) as usize])
}

/// Without the prefix that says that a path is whole.
fn plain(path: String) -> String {
    match path.strip_prefix(r"\\?\UNC\") {
        Some(share) => format!(r"\\{share}"),
        None => path
            .strip_prefix(r"\\?\")
            .map_or(path.clone(), str::to_owned),
    }
}

/// Its length counts the NUL, in units; at most 64 KiB.
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

fn read(process: HANDLE, address: u64, buffer: &mut [u8]) {
    let from = std::ptr::without_provenance(address as usize);
    let (to, size) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: the call writes at most `size` bytes to the buffer; what cannot be read stays zero.
    let _ = check(unsafe { ReadProcessMemory(process, from, to, size, std::ptr::null_mut()) });
}

/// Text in the code page of the system.
fn wide_of(bytes: &[u8]) -> Vec<u16> {
    let mut units = vec![0; bytes.len()];
    let (size, room) = (bytes.len() as i32, units.len() as i32);
    // SAFETY: both buffers with their sizes; no code page makes more units than bytes.
    let got =
        unsafe { MultiByteToWideChar(CP_ACP, 0, bytes.as_ptr(), size, units.as_mut_ptr(), room) };
    units.truncate(got.max(0) as usize);
    units
}
