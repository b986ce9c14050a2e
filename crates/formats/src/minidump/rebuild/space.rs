//! The modules and the address space.

use crate::image;
use crate::minidump::{file::File, names};
use minidump::{
    CodeView as RawCodeView, MinidumpMemoryInfoList, MinidumpModule, MinidumpModuleList,
    MinidumpUnloadedModuleList, Module as _,
};
use minidump_common::format::{
    MINIDUMP_MEMORY_INFO, MINIDUMP_STREAM_TYPE as Stream, VS_FFI_SIGNATURE, VS_FIXEDFILEINFO,
};
use scroll::{LE, Pwrite};
use snapshot::{CodeView, Memory, Module, Protection, Range, Region, RegionKind, Thread, coalesce};

/// The modules, in the order of the file.
pub(super) fn modules(minidump: &File<'_>, memory: &dyn Memory) -> Vec<Module> {
    if !names::fit(minidump, Stream::ModuleListStream) {
        return Vec::new();
    }
    let list = minidump.get_stream::<MinidumpModuleList>();
    let list = list.iter().flat_map(MinidumpModuleList::iter);
    list.map(|raw| module(minidump, memory, raw)).collect()
}

/// The unloaded modules, in the order of the file.
pub(super) fn unloaded(minidump: &File<'_>) -> Vec<Module> {
    if !names::fit(minidump, Stream::UnloadedModuleListStream) {
        return Vec::new();
    }
    let list = minidump.get_stream::<MinidumpUnloadedModuleList>();
    let list = list.iter().flat_map(MinidumpUnloadedModuleList::iter);
    list.map(|module| Module {
        range: range_of(minidump, module.base_address(), module.size()),
        path: module.name.clone(),
        timestamp: module.raw.time_date_stamp,
        checksum: module.raw.checksum,
        ..Module::default()
    })
    .collect()
}

fn range_of(minidump: &File<'_>, start: u64, size: u64) -> Range {
    let start = minidump.address(start);
    Range::new(start, start.saturating_add(size))
}

fn module(minidump: &File<'_>, memory: &dyn Memory, raw: &MinidumpModule) -> Module {
    let raw_range = (raw.raw.base_of_image, raw.raw.size_of_image.into());
    let range = range_of(minidump, raw_range.0, raw_range.1);
    let mut module = Module {
        range,
        path: image::named_in_archive(&raw.name, memory, range.start),
        version: version(&raw.raw.version_info),
        timestamp: raw.raw.time_date_stamp,
        checksum: raw.raw.checksum,
        ..Module::default()
    };
    match &raw.codeview_info {
        Some(RawCodeView::Elf(elf)) => module.build_id.clone_from(&elf.build_id),
        Some(RawCodeView::Pdb70(pdb)) => {
            let mut guid = [0; 16];
            if guid.pwrite_with(pdb.signature, 0, LE).is_ok() {
                module.codeview = Some(CodeView {
                    guid,
                    age: pdb.age,
                    file: crate::bytes::c_text(&pdb.pdb_file_name),
                });
            }
        }
        _ => {}
    }
    module
}

fn version(info: &VS_FIXEDFILEINFO) -> String {
    if info.signature != VS_FFI_SIGNATURE {
        return String::new();
    }
    let (high, low) = (info.file_version_hi, info.file_version_lo);
    let parts = [high >> 16, high & 0xffff, low >> 16, low & 0xffff];
    parts.map(|part| part.to_string()).join(".")
}

/// The address space: by `/proc/PID/maps` if the dump holds it, else by
/// `MINIDUMP_MEMORY_INFO_LIST`, else only the memory in the dump. `there` is that memory.
pub(super) fn regions(
    minidump: &File<'_>,
    there: &[Range],
    modules: &[Module],
    threads: &[Thread],
) -> Vec<Region> {
    let maps = minidump.raw(Stream::LinuxMaps);
    let (mut regions, _) = snapshot::maps::parse(maps);
    if regions.is_empty() {
        regions = memory_info(minidump);
    }
    if regions.is_empty() {
        regions = there.iter().map(|&range| plain(range)).collect();
    }
    regions.sort_by_key(|region| region.range.start);
    regions.dedup_by(|next, kept| next.range.start < kept.range.end);
    regions
        .iter_mut()
        .for_each(|region| complete(region, there, modules));
    let stack_pointers = threads.iter().filter_map(|t| Some(t.registers?.sp()));
    stack_pointers.for_each(|sp| mark_stack(&mut regions, sp));
    regions
}

fn memory_info(minidump: &File<'_>) -> Vec<Region> {
    let region = |info| region(minidump, info);
    const MEM_FREE: u32 = 0x1_0000;
    let list = minidump.get_stream::<MinidumpMemoryInfoList<'_>>();
    let list = list.iter().flat_map(MinidumpMemoryInfoList::iter);
    list.filter(|info| info.raw.state != MEM_FREE && info.raw.region_size > 0)
        .map(|info| region(&info.raw))
        .collect()
}

fn region(minidump: &File<'_>, info: &MINIDUMP_MEMORY_INFO) -> Region {
    // The lowest byte is one of PAGE_NOACCESS … PAGE_EXECUTE_WRITECOPY.
    let any = |bits: u32| info.protection & bits != 0;
    Region {
        range: range_of(minidump, info.base_address, info.region_size),
        protection: Protection {
            read: any(0xee),
            write: any(0xcc),
            execute: any(0xf0),
        },
        kind: match info._type {
            0x0100_0000 => RegionKind::Image,
            0x0004_0000 => RegionKind::Mapped,
            _ => RegionKind::Private,
        },
        allocation_base: minidump.address(info.allocation_base),
        windows: [
            info.state,
            info.protection,
            info._type,
            info.allocation_protection,
        ],
        ..Region::default()
    }
}

fn plain(range: Range) -> Region {
    Region {
        range,
        protection: Protection {
            read: true,
            ..Protection::default()
        },
        ..Region::default()
    }
}

/// Sets what of the region is in the dump, and whether it belongs to a module.
fn complete(region: &mut Region, there: &[Range], modules: &[Module]) {
    let first = there.partition_point(|r| r.end <= region.range.start);
    let overlapping = there[first..]
        .iter()
        .take_while(|r| r.start < region.range.end);
    let resident = overlapping.filter_map(|r| r.intersect(region.range));
    region.resident = coalesce(resident.collect(), 0);
    let after = modules.partition_point(|m| m.range.start <= region.range.start);
    let module = modules[..after].last();
    let module = module.filter(|m| m.range.contains(region.range.start));
    if let Some(module) = module
        && matches!(region.kind, RegionKind::Mapped | RegionKind::Image)
    {
        region.kind = RegionKind::Image;
        if region.name.is_empty() {
            region.name.clone_from(&module.path);
        }
    }
}

fn mark_stack(regions: &mut [Region], sp: u64) {
    let after = regions.partition_point(|r| r.range.start <= sp);
    let Some(region) = after.checked_sub(1).and_then(|n| regions.get_mut(n)) else {
        return;
    };
    if region.range.contains(sp) && region.kind == RegionKind::Private {
        region.kind = RegionKind::Stack;
    }
}
