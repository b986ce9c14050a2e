use snapshot::{Range, Region, RegionKind, Snapshot};
use std::fmt;

/// What a region of memory is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The C heap (`[heap]` on Linux) and the segments of Windows' heaps.
    Heap,
    /// The stacks of threads.
    Stacks,
    /// Loaded programs and libraries.
    Image,
    /// Other files, mapped privately.
    MappedFile,
    /// Anonymous memory: large allocations, arenas, managed heaps.
    Anonymous,
    /// Memory that other processes may share: shared files, `/dev/shm`, System V segments.
    Shared,
    /// The kernel's own pages in the process (vdso, vvar).
    Kernel,
}

impl Class {
    /// All classes, in the order in which they are shown.
    pub const ALL: [Class; 7] = [
        Class::Heap,
        Class::Stacks,
        Class::Image,
        Class::MappedFile,
        Class::Anonymous,
        Class::Shared,
        Class::Kernel,
    ];
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Heap => "heap",
            Class::Stacks => "stacks",
            Class::Image => "image",
            Class::MappedFile => "mapped file",
            Class::Anonymous => "anonymous",
            Class::Shared => "shared",
            Class::Kernel => "kernel",
        })
    }
}

/// How much memory of one class there is; all sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassSize {
    /// The class.
    pub class: Class,
    /// The number of regions.
    pub regions: usize,
    /// Their address space.
    pub virtual_bytes: u64,
    /// The part of it that exists: in memory or swapped out.
    pub resident_bytes: u64,
    /// The part of it that is in the dump.
    pub dumped_bytes: u64,
}

/// The memory of a process by class, in the order of [`Class::ALL`], without empty classes.
/// `present` is the memory in the dump, ascending, without overlaps.
pub fn memory_summary(snapshot: &Snapshot, present: &[Range]) -> Vec<ClassSize> {
    let stack_pointers = stack_pointers(snapshot);
    let mut sizes = Class::ALL.map(|class| ClassSize {
        class,
        regions: 0,
        virtual_bytes: 0,
        resident_bytes: 0,
        dumped_bytes: 0,
    });
    for region in &snapshot.regions {
        let size = &mut sizes[class_of(region, &stack_pointers) as usize];
        size.regions += 1;
        size.virtual_bytes = size.virtual_bytes.saturating_add(region.range.len());
        size.resident_bytes = size.resident_bytes.saturating_add(region.resident_bytes());
        size.dumped_bytes = size
            .dumped_bytes
            .saturating_add(bytes_in(present, region.range));
    }
    sizes.into_iter().filter(|size| size.regions > 0).collect()
}

/// The largest region that is taken for a stack, in bytes. Larger ones only contain stacks: those
/// of goroutines are inside Go's heap arenas of 64 MiB.
const LARGEST_STACK: u64 = 64 << 20;

fn class_of(region: &Region, stack_pointers: &[u64]) -> Class {
    match region.kind {
        RegionKind::Kernel => Class::Kernel,
        RegionKind::Image => Class::Image,
        RegionKind::Heap => Class::Heap,
        RegionKind::Stack => Class::Stacks,
        _ if region.shared => Class::Shared,
        RegionKind::Mapped => Class::MappedFile,
        RegionKind::Private if holds_a_stack(region, stack_pointers) => Class::Stacks,
        RegionKind::Private => Class::Anonymous,
    }
}

/// Whether a thread's stack pointer points into the region. Cores do not say which anonymous
/// regions are stacks.
fn holds_a_stack(region: &Region, stack_pointers: &[u64]) -> bool {
    let first = stack_pointers.partition_point(|&sp| sp < region.range.start);
    let has_one = stack_pointers
        .get(first)
        .is_some_and(|&sp| region.range.contains(sp));
    has_one && region.protection.write && region.range.len() <= LARGEST_STACK
}

fn stack_pointers(snapshot: &Snapshot) -> Vec<u64> {
    let registers = snapshot.threads.iter().filter_map(|t| t.registers);
    let mut pointers: Vec<u64> = registers.map(|r| r.sp()).collect();
    pointers.sort_unstable();
    pointers
}

fn bytes_in(present: &[Range], range: Range) -> u64 {
    let first = present.partition_point(|p| p.end <= range.start);
    let overlapping = present[first..].iter().take_while(|p| p.start < range.end);
    overlapping
        .filter_map(|p| p.intersect(range))
        .map(|both| both.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::{Protection, Registers, Thread, X86_64};

    fn region(start: u64, len: u64, kind: RegionKind, name: &str) -> Region {
        Region {
            range: Range::new(start, start + len),
            protection: Protection {
                read: true,
                write: true,
                execute: false,
            },
            kind,
            name: name.to_owned(),
            resident: vec![Range::new(start, start + len / 2)],
            ..Region::default()
        }
    }

    #[test]
    fn every_byte_is_counted_once_in_the_class_a_person_expects() {
        let sp = Registers::X86_64(X86_64 {
            rsp: 0x7_1800,
            ..X86_64::default()
        });
        let mut shared = region(0x9_0000, 0x1000, RegionKind::Mapped, "/dev/shm/x");
        shared.shared = true;
        let snapshot = Snapshot {
            threads: vec![Thread {
                registers: Some(sp),
                ..Thread::default()
            }],
            regions: vec![
                region(0x1_0000, 0x4000, RegionKind::Image, "/bin/x"),
                region(0x2_0000, 0x8000, RegionKind::Heap, "[heap]"),
                region(0x5_0000, 0x2000, RegionKind::Private, ""),
                region(0x7_0000, 0x2000, RegionKind::Private, ""),
                region(0x8_0000, 0x1000, RegionKind::Mapped, "/data"),
                shared,
            ],
            ..Snapshot::default()
        };
        let present = [
            Range::new(0x2_1000, 0x5_0800),
            Range::new(0x7_1000, 0x9_0010),
        ];
        let told: Vec<String> = memory_summary(&snapshot, &present)
            .iter()
            .map(|s| {
                format!(
                    "{} {:x} {:x} {:x}",
                    s.class, s.virtual_bytes, s.resident_bytes, s.dumped_bytes
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "heap 8000 4000 7000",
                "stacks 2000 1000 1000",
                "image 4000 2000 0",
                "mapped file 1000 800 1000",
                "anonymous 2000 1000 800",
                "shared 1000 800 10",
            ]
        );
    }
}
