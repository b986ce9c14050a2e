//! Streams that only dumps of Windows have: the unloaded images, and the machine's memory.

use super::body::{Body, put};
use crate::bytes::Put;
use minidump_common::format::{MINIDUMP_LOCATION_DESCRIPTOR as Location, MINIDUMP_UNLOADED_MODULE};
use snapshot::{Module, System};

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
