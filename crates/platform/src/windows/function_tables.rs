//! The function tables of code that a process made itself: those that it gave to
//! `RtlAddFunctionTable`, as just-in-time compilers do.
//!
//! ntdll keeps them in a list, whose head `RtlGetFunctionTableListHead` tells debuggers; ntdll is at
//! the same address in every 64-bit process, so that our own tells where to read
//! (<https://learn.microsoft.com/windows/win32/devnotes/rtlgetfunctiontablelisthead>,
//! <https://learn.microsoft.com/windows/win32/devnotes/dynamic_function_table_type>). Wine does not have
//! that function.

use super::{sys::function, unloaded::has_our_ntdll};
use snapshot::{FunctionTable, Memory, Module};
use std::collections::HashSet;

/// Offsets in `DYNAMIC_FUNCTION_TABLE`, and the size of what is read of it, in bytes.
const FUNCTIONS: usize = 0x10;
const LOWEST: usize = 0x20;
const HIGHEST: usize = 0x28;
const BASE: usize = 0x30;
const KIND: usize = 0x50;
const COUNT: usize = 0x54;
const SIZE: usize = 0x58;
/// The kinds of tables that have entries: `RF_SORTED` and `RF_UNSORTED`. Others have a callback.
const WITH_ENTRIES: std::ops::RangeInclusive<u32> = 0..=1;
/// How many tables are read, and how many entries of each, at most.
const MOST_TABLES: usize = 4096;
const MOST_ENTRIES: u32 = 1 << 16;

/// Returns the tables of a process; none of a 32-bit one, whose code is unwound without tables.
pub(crate) fn tables(memory: &dyn Memory, loaded: &[Module], narrow: bool) -> Vec<FunctionTable> {
    let head = if narrow || !has_our_ntdll(loaded) {
        None
    } else {
        head()
    };
    head.map_or(Vec::new(), |head| list(memory, head))
}

fn head() -> Option<u64> {
    type Ask = unsafe extern "system" fn() -> *const core::ffi::c_void;
    // SAFETY: the type is that of this function, which returns the address of a variable.
    let head = unsafe { function::<Ask>("ntdll.dll", c"RtlGetFunctionTableListHead")?() };
    (!head.is_null()).then_some(head as u64)
}

/// Follows the list, which begins and ends at `head`.
fn list(memory: &dyn Memory, head: u64) -> Vec<FunctionTable> {
    let mut tables = Vec::new();
    let mut seen = HashSet::new();
    let mut next = memory.read_u64(head);
    while let Some(at) = next.filter(|at| *at != head && *at != 0) {
        if tables.len() == MOST_TABLES || !seen.insert(at) {
            break;
        }
        tables.extend(table(memory, at));
        next = memory.read_u64(at);
    }
    tables
}

/// Reads a table; `None` if it cannot be read.
fn table(memory: &dyn Memory, at: u64) -> Option<FunctionTable> {
    let mut native = vec![0; SIZE];
    if !memory.read_all(at, &mut native) {
        return None;
    }
    let long = |at: usize| Some(u64::from_le_bytes(native.get(at..at + 8)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(native.get(at..at + 4)?.try_into().ok()?));
    let count = match WITH_ENTRIES.contains(&word(KIND)?) {
        true => word(COUNT)?.min(MOST_ENTRIES),
        false => 0,
    };
    let mut functions = vec![0; count as usize * FunctionTable::ENTRY];
    let got = memory.read(long(FUNCTIONS)?, &mut functions);
    functions.truncate(got / FunctionTable::ENTRY * FunctionTable::ENTRY);
    Some(FunctionTable {
        addresses: (long(LOWEST)?, long(HIGHEST)?),
        base: long(BASE)?,
        functions,
        native,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::test_memory::Bytes;

    /// The head, a table of two entries, and one with a callback that leads back to the first.
    #[test]
    fn n18_the_list_of_function_tables_is_followed_once_around() {
        let mut memory = Bytes(vec![0; 0x1000]);
        let mut put = |at: usize, value: u64| {
            memory.0[at - 0x1000..at - 0x1000 + 8].copy_from_slice(&value.to_le_bytes());
        };
        put(0x1000, 0x1100);
        put(0x1100, 0x1200);
        for (offset, value) in [(FUNCTIONS, 0x1800), (LOWEST, 0x7000), (HIGHEST, 0x7fff)] {
            put(0x1100 + offset, value);
        }
        put(0x1100 + BASE, 0x6000);
        put(0x1100 + KIND, 2 << 32);
        put(0x1200, 0x1100);
        put(0x1200 + KIND, 2 | 9 << 32);
        put(0x1810, 0x1234);
        let tables = list(&memory, 0x1000);
        assert_eq!(tables.len(), 2);
        let first = &tables[0];
        assert_eq!((first.addresses, first.base), ((0x7000, 0x7fff), 0x6000));
        assert_eq!(first.functions.len(), 2 * FunctionTable::ENTRY);
        assert_eq!(first.functions[16..18], [0x34, 0x12]);
        assert_eq!(tables[1].functions, []);
        assert_eq!(list(&memory, 0x9_0000), []);
    }
}
