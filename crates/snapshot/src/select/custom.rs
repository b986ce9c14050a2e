//! Dumps of which a mask says what is in them.

use super::{MINI_STACK, existing, header_page, regions, safe_pages, stacks};
use crate::{Memory, OperatingSystem, Range, Region, RegionKind, Snapshot};

/// `/proc/PID/coredump_filter` bits (core(5)) on Linux; the memory bits of `MINIDUMP_TYPE`
/// (minidumpapiset.h) on Windows.
pub(super) fn custom(
    snapshot: &Snapshot,
    memory: &dyn Memory,
    mask: u64,
    extra: &[Range],
) -> Vec<Range> {
    let mut ranges = match snapshot.system.os {
        OperatingSystem::Linux | OperatingSystem::Foreign(_) => {
            regions(snapshot, |region| filtered(region, mask))
        }
        OperatingSystem::Windows => windows_custom(snapshot, mask),
    };
    ranges.extend(stacks(snapshot, memory, MINI_STACK, false));
    ranges.extend(existing(snapshot, memory, extra));
    ranges
}

fn filtered(region: &Region, mask: u64) -> Vec<Range> {
    let bit = |n: u32| mask & (1 << n) != 0;
    let file_backed = region.is_file_backed();
    let whole = match (file_backed, region.shared, region.hugetlb) {
        (_, false, true) => bit(5),
        (_, true, true) => bit(6),
        // Anonymous shared memory is that of a file without a name: /dev/zero's, shmget(2)'s, memfd_create(2)'s, and to the
        // kernel any deleted one (`vma_dump_size` in fs/coredump.c).
        (true, true, _) if region.deleted => bit(1),
        (true, true, _) => bit(3),
        (true, false, _) => bit(2),
        (false, true, _) => bit(1),
        (false, false, _) => bit(0),
    };
    // The kernel takes a private mapping as a whole once the process has written to it.
    let written = bit(0) && !region.shared && !region.private_pages.is_empty();
    // The kernel takes the first page of these, gcore the mapping, which has the symbols, too.
    let has_header = bit(4) && header_page(region).is_some();
    match whole || written || has_header || region.kind == RegionKind::Kernel {
        true => safe_pages(region).to_vec(),
        false => Vec::new(),
    }
}

fn windows_custom(snapshot: &Snapshot, mask: u64) -> Vec<Range> {
    const DATA_SEGMENTS: u64 = 0x1;
    const FULL_MEMORY: u64 = 0x2;
    const PRIVATE_READ_WRITE: u64 = 0x200;
    const CODE_SEGMENTS: u64 = 0x2000;
    const PRIVATE_WRITE_COPY: u64 = 0x10000;
    let wanted = |region: &Region| match region.kind {
        _ if mask & FULL_MEMORY != 0 => true,
        RegionKind::Image if region.protection.write => mask & DATA_SEGMENTS != 0,
        RegionKind::Image => mask & CODE_SEGMENTS != 0 && region.protection.execute,
        RegionKind::Mapped => mask & PRIVATE_WRITE_COPY != 0 && !region.shared,
        _ => mask & PRIVATE_READ_WRITE != 0 && region.protection.write,
    };
    regions(snapshot, |region| {
        if wanted(region) {
            safe_pages(region).to_vec()
        } else {
            vec![]
        }
    })
}
