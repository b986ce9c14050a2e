//! The open handles of a process, by `NtQuerySystemInformation`, with the type and name of each
//! object by `NtQueryObject`.

use super::{
    process::Process,
    sys::{check, check_status, own, raw, system_information, wine_version},
};
use snapshot::Handle;
use std::{
    collections::HashMap,
    io,
    os::windows::io::OwnedHandle,
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};
use windows_sys::{
    Wdk::Foundation::NtQueryObject,
    Win32::{
        Foundation::{DUPLICATE_SAME_ACCESS, DuplicateHandle},
        System::Threading::{
            GetCurrentProcess, GetProcessId, PROCESS_DUP_HANDLE, PROCESS_QUERY_LIMITED_INFORMATION,
        },
    },
};

/// Values of `SYSTEM_INFORMATION_CLASS` and `OBJECT_INFORMATION_CLASS` (ntdll's public symbols).
const EXTENDED_HANDLES: i32 = 64;
const OBJECT_BASIC: i32 = 0;
const OBJECT_NAME: i32 = 1;
const OBJECT_TYPE: i32 = 2;
/// How long to wait for the name of one object.
const PATIENCE: Duration = Duration::from_millis(200);
/// For how many handles type and name are read. Of the others only number and access are told.
const MOST_NAMED: usize = 20_000;

/// The index of a type that the system did not tell.
const UNKNOWN: u16 = u16::MAX;

/// An entry of the system's list of handles (`SYSTEM_HANDLE_TABLE_ENTRY_INFO_EX`).
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Entry {
    object: usize,
    process: usize,
    handle: usize,
    access: u32,
    _backtrace: u16,
    kind: u16,
    attributes: u32,
    _reserved: u32,
}

/// Returns the handles of a process, ascending, without those that we may not see.
pub(crate) fn handles(process: &Process) -> Vec<Handle> {
    let mut kinds = HashMap::new();
    let mut namer = Namer::default();
    let entries = entries(process.key.pid).unwrap_or_default();
    let mut handles: Vec<Handle> = entries
        .into_iter()
        .enumerate()
        .map(|(n, entry)| describe(process, entry, n < MOST_NAMED, &mut kinds, &mut namer))
        .collect();
    handles.sort_by_key(|handle| handle.number);
    handles
}

/// Returns how many handles a process has.
pub(crate) fn count(pid: u32) -> u32 {
    entries(pid).map_or(0, |entries| entries.len() as u32)
}

/// Describes one handle. `closely` says whether to read the type and name of its object.
fn describe(
    process: &Process,
    entry: Entry,
    closely: bool,
    kinds: &mut HashMap<u16, String>,
    namer: &mut Namer,
) -> Handle {
    let known = kinds.get(&entry.kind).filter(|_| entry.kind != UNKNOWN);
    let mut handle = Handle {
        number: entry.handle as u64,
        flags: entry.access,
        attributes: entry.attributes,
        kind: known.cloned().unwrap_or_default(),
        ..Handle::default()
    };
    let copy = closely
        .then(|| duplicate(process, entry.handle).ok())
        .flatten();
    if let Some(copy) = copy {
        count_references(&copy, &mut handle);
        if handle.kind.is_empty() {
            handle.kind = text_of(&copy, OBJECT_TYPE).unwrap_or_default();
            kinds.insert(entry.kind, handle.kind.clone());
        }
        handle.name = namer.name(copy, &handle.kind);
    }
    handle
}

/// Returns the entries of one process from the list of all handles of the machine. Wine's server
/// does not always survive that question; there, each handle is tried.
fn entries(pid: u32) -> io::Result<Vec<Entry>> {
    if wine_version().is_some() {
        return Ok(tried(pid));
    }
    let words = system_information(EXTENDED_HANDLES)?;
    // The answer has two words, of which the first is the count, then the entries.
    let room = (words.len() - 2) * 8 / size_of::<Entry>();
    let count = (words[0] as usize).min(room);
    // SAFETY: `count` entries lie behind the two words, within the buffer and aligned as words are;
    // any value is a valid entry.
    let all = unsafe { std::slice::from_raw_parts(words[2..].as_ptr().cast::<Entry>(), count) };
    let own = all.iter().filter(|entry| entry.process == pid as usize);
    Ok(own.copied().collect())
}

/// Finds handles by trying to duplicate each: they are multiples of four, from four on, with few
/// gaps.
fn tried(pid: u32) -> Vec<Entry> {
    const MOST_MISSED: u32 = 64;
    let Ok(process) = Process::open_for(pid, PROCESS_DUP_HANDLE) else {
        return Vec::new();
    };
    let (mut found, mut missed, mut handle) = (Vec::new(), 0, 4);
    while missed < MOST_MISSED {
        match duplicate(&process, handle) {
            Ok(copy) => {
                missed = 0;
                found.push(Entry {
                    process: pid as usize,
                    handle,
                    access: basic(&copy)[1],
                    kind: UNKNOWN,
                    ..Entry::default()
                });
            }
            Err(_) => missed += 1,
        }
        handle += 4;
    }
    found
}

/// Fills in how many handles and other references the object of a handle has, without `copy`, which
/// is our own.
fn count_references(copy: &OwnedHandle, handle: &mut Handle) {
    let [_, _, handles, pointers] = basic(copy);
    handle.handle_count = handles.saturating_sub(1);
    handle.pointer_count = pointers.saturating_sub(1);
}

/// Reads `OBJECT_BASIC_INFORMATION`: attributes, granted access, counts of handles and of pointers;
/// ten further words are left out. Zeros if it cannot be read.
fn basic(handle: &OwnedHandle) -> [u32; 4] {
    let mut words = [0u32; 14];
    let (at, size) = (words.as_mut_ptr().cast(), size_of_val(&words) as u32);
    // SAFETY: a buffer with its size.
    unsafe { NtQueryObject(raw(handle), OBJECT_BASIC, at, size, std::ptr::null_mut()) };
    [words[0], words[1], words[2], words[3]]
}

/// Returns the pid of the process that a handle of `process` refers to. The handle may only have
/// the right to end that process, so our copy asks for the right to query it.
pub(crate) fn process_of(process: &Process, handle: u64) -> Option<u32> {
    let handle = handle as usize;
    let copy = copy(process, handle, PROCESS_QUERY_LIMITED_INFORMATION, 0);
    let copy = copy.or_else(|_| duplicate(process, handle)).ok()?;
    // SAFETY: an open handle.
    let pid = unsafe { GetProcessId(raw(&copy)) };
    (pid != 0).then_some(pid)
}

/// Returns our own handle of the same object, with the same access.
fn duplicate(process: &Process, handle: usize) -> io::Result<OwnedHandle> {
    copy(process, handle, 0, DUPLICATE_SAME_ACCESS)
}

fn copy(process: &Process, handle: usize, access: u32, options: u32) -> io::Result<OwnedHandle> {
    let mut copy = std::ptr::null_mut();
    // SAFETY: an open process. The handle is only a number to the call, and the copy is new and
    // ours.
    unsafe {
        check(DuplicateHandle(
            process.raw(),
            std::ptr::without_provenance_mut(handle),
            GetCurrentProcess(),
            &raw mut copy,
            access,
            0,
            options,
        ))?;
        own(copy)
    }
}

/// Reads the names of objects. Asking for that of a file can block for ever, if somebody waits in a
/// pipe. Such questions are asked by another thread, which is abandoned if it does not answer.
#[derive(Default)]
struct Namer {
    asker: Option<(Sender<OwnedHandle>, Receiver<String>)>,
    gave_up: bool,
}

impl Namer {
    fn name(&mut self, handle: OwnedHandle, kind: &str) -> String {
        match kind {
            // Objects of these types have no useful name.
            "EtwRegistration" | "WaitCompletionPacket" | "IRTimer" | "IoCompletion" => {
                String::new()
            }
            "File" if self.gave_up => String::new(),
            "File" => self.ask(handle).unwrap_or_default(),
            _ => text_of(&handle, OBJECT_NAME).unwrap_or_default(),
        }
    }

    fn ask(&mut self, handle: OwnedHandle) -> Option<String> {
        let (questions, answers) = self.asker.get_or_insert_with(start_asker);
        questions.send(handle).ok()?;
        let name = answers.recv_timeout(PATIENCE);
        self.gave_up = name.is_err();
        name.ok()
    }
}

fn start_asker() -> (Sender<OwnedHandle>, Receiver<String>) {
    let (questions, inbox) = channel::<OwnedHandle>();
    let (outbox, answers) = channel();
    std::thread::spawn(move || {
        for handle in inbox {
            let name = text_of(&handle, OBJECT_NAME).unwrap_or_default();
            if outbox.send(name).is_err() {
                break;
            }
        }
    });
    (questions, answers)
}

/// Returns the text that a class answers with: a `UNICODE_STRING` with its text behind it in the
/// same buffer.
fn text_of(handle: &OwnedHandle, class: i32) -> Option<String> {
    let mut words = vec![0u64; (8 << 10) / 8];
    let size = (words.len() * 8) as u32;
    let (at, mut needed) = (words.as_mut_ptr().cast(), 0);
    // SAFETY: an aligned buffer with its size.
    check_status(unsafe { NtQueryObject(raw(handle), class, at, size, &raw mut needed) }).ok()?;
    let start = words.as_ptr() as u64;
    let first = (words[1].checked_sub(start)? / 2) as usize;
    let length = words[0] as u16 as usize / 2;
    let unit = |n: usize| Some((words.get(n / 4)? >> (n % 4 * 16)) as u16);
    let units: Option<Vec<u16>> = (first..first + length).map(unit).collect();
    Some(String::from_utf16_lossy(&units?))
}
