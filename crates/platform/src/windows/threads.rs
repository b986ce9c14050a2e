//! The threads of a process: ids, names, times, and the registers of stopped ones.

use super::{
    context,
    process::{duration, number},
    sys::{check, check_status, function, narrow, own, raw},
};
use snapshot::{Thread, ThreadState, WallTime};
use std::{io, mem::zeroed, os::windows::io::OwnedHandle};
use windows_sys::{
    Wdk::System::Threading::NtQueryInformationThread,
    Win32::{
        Foundation::{FILETIME, HANDLE, LocalFree, WAIT_OBJECT_0},
        Storage::FileSystem::SYNCHRONIZE,
        System::{
            Diagnostics::ToolHelp::{
                CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First,
                Thread32Next,
            },
            Threading::{
                GetThreadPriority, GetThreadTimes, OpenThread, THREAD_GET_CONTEXT,
                THREAD_QUERY_INFORMATION, WaitForSingleObject,
            },
        },
    },
    core::{HRESULT, PWSTR},
};

/// Classes of `NtQueryInformationThread` (`THREADINFOCLASS` of `winternl.h` and of ntdll's public
/// symbols).
const BASIC: i32 = 0;
const START_ADDRESS: i32 = 9;

/// Returns the ids of a process's threads.
pub(crate) fn ids(pid: u32) -> io::Result<Vec<u32>> {
    // SAFETY: a structure of integers, for which zeros are valid and whose size is set; the handle
    // of the snapshot is new and ours.
    unsafe {
        let list = own(CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0))?;
        let mut entry: THREADENTRY32 = zeroed();
        entry.dwSize = size_of::<THREADENTRY32>() as u32;
        let mut ids = Vec::new();
        let mut more = Thread32First(raw(&list), &raw mut entry);
        while more != 0 {
            if entry.th32OwnerProcessID == pid {
                ids.push(entry.th32ThreadID);
            }
            more = Thread32Next(raw(&list), &raw mut entry);
        }
        Ok(ids)
    }
}

/// Describes a thread, with its registers if it stands.
pub(crate) fn describe(id: u32, narrow: bool, stands: bool) -> Thread {
    let mut thread = Thread {
        id,
        letter: ' ',
        exit_code: Thread::STILL_ACTIVE,
        ..Thread::default()
    };
    let handle = match open(id) {
        Ok(handle) => handle,
        Err(error) => {
            thread.state = ThreadState::Unstopped(format!("it cannot be opened: {error}"));
            return thread;
        }
    };
    // Times that cannot be had stay 0.
    let _ = fill_times(&handle, &mut thread);
    fill_facts(&handle, &mut thread);
    if stands {
        fill_registers(&handle, &mut thread, narrow);
    } else {
        thread.state = ThreadState::Unstopped("not asked to stop".to_owned());
    }
    thread
}

/// Opens a thread, to ask about it and to read its registers.
pub(crate) fn open(id: u32) -> io::Result<OwnedHandle> {
    let access = THREAD_QUERY_INFORMATION | THREAD_GET_CONTEXT | SYNCHRONIZE;
    // SAFETY: the handle is new and nobody else's.
    unsafe { own(OpenThread(access, 0, id)) }
}

fn fill_registers(handle: &OwnedHandle, thread: &mut Thread, narrow: bool) {
    let taken = if narrow {
        context::narrow(raw(handle))
    } else {
        context::wide(raw(handle))
    };
    match taken {
        Ok((registers, extended)) => {
            thread.registers = Some(registers);
            thread.extended = extended;
        }
        Err(error) => {
            thread.state = ThreadState::Unstopped(format!("its registers cannot be had: {error}"));
        }
    }
}

/// Fills in when the thread began and ended, and its CPU times.
fn fill_times(handle: &OwnedHandle, thread: &mut Thread) -> io::Result<()> {
    let [mut begun, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: an open thread, and four live locals for the answers.
    check(unsafe {
        GetThreadTimes(
            raw(handle),
            &raw mut begun,
            &raw mut ended,
            &raw mut kernel,
            &raw mut user,
        )
    })?;
    thread.user_time = duration(user);
    thread.kernel_time = duration(kernel);
    thread.began = WallTime::from_filetime(number(begun));
    // The end of a thread that has not ended is undefined.
    if has_ended(handle) {
        thread.ended = WallTime::from_filetime(number(ended));
    }
    Ok(())
}

fn has_ended(thread: &OwnedHandle) -> bool {
    // SAFETY: an open thread with the right to wait.
    unsafe { WaitForSingleObject(raw(thread), 0) == WAIT_OBJECT_0 }
}

fn fill_facts(handle: &OwnedHandle, thread: &mut Thread) {
    // SAFETY: an open thread.
    thread.priority = unsafe { GetThreadPriority(raw(handle)) };
    let [status, teb, _, _, affinity, _] = query(handle, BASIC).unwrap_or_default();
    thread.exit_code = status as u32;
    thread.teb = teb;
    thread.affinity = affinity;
    thread.start_address = query(handle, START_ADDRESS).map_or(0, |[address]| address);
    thread.name = name(raw(handle)).unwrap_or_default();
}

/// Asks for information of a class whose structure is `N` words long. That of [`BASIC`],
/// `THREAD_BASIC_INFORMATION`, is six: status, TEB, process, thread, affinity, priorities.
fn query<const N: usize>(handle: &OwnedHandle, class: i32) -> io::Result<[u64; N]> {
    let mut answer = [0; N];
    let (at, size) = (answer.as_mut_ptr().cast(), size_of_val(&answer) as u32);
    // SAFETY: the call writes at most `size` bytes, which is the size of `answer`; every value of a
    // u64 is valid.
    check_status(unsafe {
        NtQueryInformationThread(raw(handle), class, at, size, std::ptr::null_mut())
    })?;
    Ok(answer)
}

/// Returns the name that the program gave the thread (Windows 10 and later).
fn name(thread: HANDLE) -> Option<String> {
    type Ask = unsafe extern "system" fn(HANDLE, *mut PWSTR) -> HRESULT;
    // SAFETY: the type is that of the documented function. The text that it returns ends with a
    // NUL, and is ours to free.
    unsafe {
        let ask: Ask = function("kernel32.dll", c"GetThreadDescription")?;
        let mut text: PWSTR = std::ptr::null_mut();
        if ask(thread, &raw mut text) < 0 || text.is_null() {
            return None;
        }
        let length = (0..4096).take_while(|&n| *text.add(n) != 0).count();
        let copy = narrow(std::slice::from_raw_parts(text, length));
        LocalFree(text.cast());
        Some(copy)
    }
}
