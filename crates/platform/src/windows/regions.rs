//! The address space of a process, as `VirtualQueryEx` tells it
//! (<https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-virtualqueryex>).

use super::sys::narrow;
use snapshot::{Module, Protection, Range, Region, RegionKind};
use windows_sys::Win32::{
    Foundation::HANDLE,
    System::{
        Memory::{
            MEM_COMMIT, MEM_FREE, MEM_IMAGE, MEM_MAPPED, MEMORY_BASIC_INFORMATION, PAGE_EXECUTE,
            PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_EXECUTE_WRITECOPY, PAGE_GUARD,
            PAGE_NOACCESS, PAGE_NOCACHE, PAGE_READWRITE, PAGE_WRITECOPY, VirtualQueryEx,
        },
        ProcessStatus::K32GetMappedFileNameW,
    },
};

/// Returns all regions that are not free, ascending.
pub(crate) fn regions(process: HANDLE) -> Vec<Region> {
    let mut regions = Vec::new();
    let mut at = 0;
    while let Some(found) = query(process, at) {
        let start = found.BaseAddress as u64;
        let Some(end) = start.checked_add(found.RegionSize as u64) else {
            break;
        };
        if end <= at {
            break;
        }
        if found.State != MEM_FREE {
            regions.push(region(&found, Range::new(start, end)));
        }
        at = end;
    }
    regions
}

/// Returns the committed private memory in bytes.
pub(crate) fn private_bytes(process: HANDLE) -> u64 {
    let regions = regions(process);
    let private = regions
        .iter()
        .filter(|region| region.kind == RegionKind::Private && region.windows[0] == MEM_COMMIT);
    private.map(|region| region.range.len()).sum()
}

/// Sets the names and kinds of regions: files, stacks and heaps. `stacks` has the allocation
/// address of each stack and its thread, `heaps` the addresses of heaps.
pub(crate) fn name(
    process: HANDLE,
    regions: &mut [Region],
    modules: &[Module],
    stacks: &[(u64, u32)],
    heaps: &[u64],
) {
    let mut last = (0, String::new());
    for region in regions {
        let base = region.allocation_base;
        if let Some((_, thread)) = stacks.iter().find(|(stack, _)| *stack == base) {
            region.kind = RegionKind::Stack;
            region.name = format!("[stack:{thread}]");
        } else if heaps.contains(&base) {
            region.kind = RegionKind::Heap;
            region.name = "[heap]".to_owned();
        } else if matches!(region.kind, RegionKind::Image | RegionKind::Mapped) {
            if last.0 != base {
                last = (base, name_of_file(process, modules, base));
            }
            region.name.clone_from(&last.1);
        }
    }
}

fn query(process: HANDLE, at: u64) -> Option<MEMORY_BASIC_INFORMATION> {
    let mut found = MEMORY_BASIC_INFORMATION::default();
    let size = size_of::<MEMORY_BASIC_INFORMATION>();
    let address = std::ptr::without_provenance(at as usize);
    // SAFETY: a structure with its size; the address is only looked up in the other process.
    let got = unsafe { VirtualQueryEx(process, address, &raw mut found, size) };
    (got == size).then_some(found)
}

fn region(found: &MEMORY_BASIC_INFORMATION, range: Range) -> Region {
    let protect = found.Protect;
    let committed = found.State == MEM_COMMIT;
    let protection = protection(if committed { protect } else { 0 });
    // Reading a guard page would clear its guard; memory without a cache belongs to a device.
    let readable = protection.read && protect & PAGE_GUARD == 0;
    let device = protect & PAGE_NOCACHE != 0;
    let resident = if readable && !device {
        vec![range]
    } else {
        vec![]
    };
    let kind = match found.Type {
        MEM_IMAGE => RegionKind::Image,
        MEM_MAPPED => RegionKind::Mapped,
        _ => RegionKind::Private,
    };
    // Windows turns a copy-on-write page of an image into a plain one when it is written to.
    let written = protect & (PAGE_READWRITE | PAGE_EXECUTE_READWRITE) != 0;
    let private = kind == RegionKind::Private || kind == RegionKind::Image && written;
    let base = found.AllocationBase as u64;
    Region {
        range,
        protection,
        kind,
        shared: kind == RegionKind::Mapped,
        offset: range.start.saturating_sub(base),
        private_pages: if private { resident.clone() } else { vec![] },
        resident,
        untouchable: device,
        allocation_base: base,
        windows: [found.State, protect, found.Type, found.AllocationProtect],
        ..Region::default()
    }
}

fn protection(protect: u32) -> Protection {
    let has = |bits: u32| protect & bits != 0;
    let execute = PAGE_EXECUTE | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE;
    Protection {
        read: protect & 0xff != 0 && !has(PAGE_NOACCESS | PAGE_EXECUTE),
        write: has(PAGE_READWRITE
            | PAGE_WRITECOPY
            | PAGE_EXECUTE_READWRITE
            | PAGE_EXECUTE_WRITECOPY),
        execute: has(execute | PAGE_EXECUTE_WRITECOPY),
    }
}

/// Returns the path of a module as its loader knows it, else the kernel's name for the mapped file.
fn name_of_file(process: HANDLE, modules: &[Module], base: u64) -> String {
    if let Some(module) = modules.iter().find(|module| module.range.start == base) {
        return module.path.clone();
    }
    let mut path = [0u16; 1024];
    let address = std::ptr::without_provenance(base as usize);
    // SAFETY: a buffer with its size; the address is only looked up in the other process.
    let size = unsafe { K32GetMappedFileNameW(process, address, path.as_mut_ptr(), 1024) };
    narrow(&path[..size as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protections_are_told_apart() {
        let shown = |bits| protection(bits).to_string();
        assert_eq!(shown(PAGE_NOACCESS), "---");
        assert_eq!(shown(PAGE_EXECUTE), "--x");
        assert_eq!(shown(PAGE_WRITECOPY), "rw-");
        assert_eq!(shown(PAGE_EXECUTE_READ), "r-x");
        assert_eq!(shown(PAGE_READWRITE | PAGE_GUARD), "rw-");
        assert_eq!(shown(0), "---");
    }
}
