//! Modules that a process has unloaded: its loader remembers the last 64.
//!
//! ntdll is at the same address in every 64-bit process, so that our own tells where to read. The
//! entries are `RTL_UNLOAD_EVENT_TRACE`
//! (<https://learn.microsoft.com/windows/win32/devnotes/rtlgetunloadeventtraceex>): base and size
//! (8 bytes each), sequence number, link time, checksum, name (32 units of UTF-16).

use super::{facts::base_name, sys::function, sys::narrow};
use snapshot::{Memory, Module, Range};
use windows_sys::Win32::System::LibraryLoader::GetModuleHandleW;

/// Offsets of the fields of an entry in bytes, and its smallest length.
const SEQUENCE: usize = 16;
const LINK_TIME: usize = 20;
const CHECKSUM: usize = 24;
const NAME: usize = 28;
const NAME_END: usize = NAME + 64;
/// How many entries are read at most: a larger number is not the loader's.
const MOST: u32 = 1024;

/// Returns the unloaded modules, the oldest first. There are none for a 32-bit process, whose own
/// ntdll is elsewhere.
pub(crate) fn modules(memory: &dyn Memory, loaded: &[Module], narrow: bool) -> Vec<Module> {
    if narrow || !has_our_ntdll(loaded) {
        return Vec::new();
    }
    let mut found = list(memory).unwrap_or_default();
    found.sort_by_key(|(sequence, _)| *sequence);
    found.into_iter().map(|(_, module)| module).collect()
}

/// Returns whether the ntdll of a process is at the same address as ours.
pub(super) fn has_our_ntdll(loaded: &[Module]) -> bool {
    let name: Vec<u16> = "ntdll.dll\0".encode_utf16().collect();
    // SAFETY: the name ends with a NUL.
    let ours = unsafe { GetModuleHandleW(name.as_ptr()) } as u64;
    let is_it = |module: &Module| base_name(&module.path).eq_ignore_ascii_case("ntdll.dll");
    loaded
        .iter()
        .any(|module| is_it(module) && module.range.start == ours)
}

fn list(memory: &dyn Memory) -> Option<Vec<(u32, Module)>> {
    let [size, count, list] = places()?;
    let size = memory.read_u32(size)?.max(NAME_END as u32);
    let count = memory.read_u32(count)?.min(MOST);
    let list = memory.read_u64(list)?;
    let mut bytes = vec![0; size as usize * count as usize];
    let got = memory.read(list, &mut bytes);
    let entries = bytes[..got].chunks_exact(size as usize);
    Some(entries.filter_map(module).collect())
}

/// Returns the addresses at which ntdll keeps the size of an entry, their number, and the address
/// of the first.
fn places() -> Option<[u64; 3]> {
    type Ask = unsafe extern "system" fn(*mut u64, *mut u64, *mut u64);
    let mut places = [0; 3];
    let [size, count, list] = &mut places;
    // SAFETY: the type is that of this function, which writes three pointers.
    unsafe {
        let ask: Ask = function("ntdll.dll", c"RtlGetUnloadEventTraceEx")?;
        ask(size, count, list);
    }
    Some(places)
}

/// Decodes an entry, and returns it with its sequence number; `None` for one that was never used,
/// which has no base.
fn module(entry: &[u8]) -> Option<(u32, Module)> {
    let word = |at: usize| Some(u32::from_le_bytes(entry.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_le_bytes(entry.get(at..at + 8)?.try_into().ok()?));
    let (base, size) = (long(0)?, long(8)?);
    let units = entry[NAME..NAME_END].as_chunks().0.iter();
    let units: Vec<u16> = units.map(|unit| u16::from_le_bytes(*unit)).collect();
    let module = Module {
        range: Range::new(base, base.checked_add(size)?),
        path: narrow(&units),
        timestamp: word(LINK_TIME)?,
        checksum: word(CHECKSUM)?,
        ..Module::default()
    };
    (base != 0).then_some((word(SEQUENCE)?, module))
}
