//! Streams that only dumps of Windows have: the unloaded images, the machine's memory, and the
//! functions of code that the process made itself.

use super::body::{Body, put};
use crate::bytes::Put;
use minidump_common::format::{MINIDUMP_LOCATION_DESCRIPTOR as Location, MINIDUMP_UNLOADED_MODULE};
use snapshot::{FunctionTable, Module, System};

/// `MINIDUMP_UNLOADED_MODULE_LIST`.
pub(super) fn unloaded_modules(body: &mut Body, modules: &[Module]) -> Location {
    let mut out = Vec::new();
    [12, 24, modules.len() as u32]
        .into_iter()
        .for_each(|word| out.u32(word));
    for module in modules {
        let entry = MINIDUMP_UNLOADED_MODULE {
            base_of_image: module.range.start,
            size_of_image: module.range.len().min(u32::MAX.into()) as u32,
            checksum: module.checksum,
            time_date_stamp: module.timestamp,
            module_name_rva: body.string(&module.path),
        };
        put(&mut out, entry);
    }
    body.bytes(&out)
}

/// The first part of `MINIDUMP_SYSTEM_MEMORY_INFO_1`. Its flags say that the other parts are not
/// known.
pub(super) fn system_memory(body: &mut Body, system: &System) -> Location {
    const SIZE: usize = 492;
    const REVISION: u32 = 1;
    /// The first and the last address that a program can use, and the granularity of allocations,
    /// in bytes.
    const USER: [u64; 2] = [0x1_0000, 0x7fff_fffe_ffff];
    const GRANULARITY: u32 = 0x1_0000;
    let page = system.page_size.max(1);
    let pages = system.memory_total / page;
    let mut out = Vec::with_capacity(SIZE);
    // Revision and flags; timer, page size, pages: how many, the first, the last; granularity.
    [REVISION, 0, page as u32, pages as u32, 0, 0, GRANULARITY]
        .into_iter()
        .for_each(|word| out.u32(word));
    USER.into_iter().for_each(|address| out.u64(address));
    out.u64(u64::MAX.unbounded_shr(64u32.saturating_sub(system.cpus)));
    out.u32(system.cpus);
    out.resize(SIZE, 0);
    body.bytes(&out)
}

/// `MINIDUMP_FUNCTION_TABLE_STREAM`: for each table its descriptor, its description in the process,
/// and its entries.
pub(super) fn function_tables(tables: &[FunctionTable]) -> Vec<u8> {
    const HEADER: u32 = 24;
    const DESCRIPTOR: u32 = 32;
    let native = tables.iter().map(|table| table.native.len()).max();
    let native = native.unwrap_or(0).next_multiple_of(8);
    let mut out = Vec::new();
    let entry = FunctionTable::ENTRY as u32;
    // The sizes; how many tables; no padding.
    [
        HEADER,
        DESCRIPTOR,
        native as u32,
        entry,
        tables.len() as u32,
        0,
    ]
    .into_iter()
    .for_each(|word| out.u32(word));
    for table in tables {
        let count = table.functions.len() / FunctionTable::ENTRY;
        let end = out.len() + DESCRIPTOR as usize + native + table.functions.len();
        let padding = end.next_multiple_of(8) - end;
        let (lowest, highest) = table.addresses;
        [lowest, highest, table.base]
            .into_iter()
            .for_each(|word| out.u64(word));
        out.u32(count as u32);
        out.u32(padding as u32);
        let start = out.len();
        out.put(&table.native);
        out.resize(start + native, 0);
        out.put(&table.functions);
        out.resize(end + padding, 0);
    }
    out
}
