//! A stack that is full.

use snapshot::{Range, Region, RegionKind, Snapshot};

/// A stack that was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// The memory of the stack.
    pub stack: Range,
    /// How many frames are on it.
    pub frames: usize,
    /// Whether these are all of them: a small dump has only the inner part of a stack.
    pub is_whole: bool,
}

/// The largest frame that is taken for one, in bytes: a function with a larger array touches memory far below the stack.
const LARGEST_FRAME: u64 = 64 << 20;
/// How far the stack pointer may be above the begin of a full stack, in bytes, if the stack pointer itself is still in it.
const NEARLY_FULL: u64 = 8 << 10;
/// How far below a stack a program touches it whose stack pointer is still in it: the red zone, and probes of one page after the
/// other (`-fstack-clash-protection`).
const PROBED: u64 = 64 << 10;

/// The stack that was full, if the access to `address` was one below it: a push, a call, or a first access to a variable. `sp` is
/// the stack pointer.
pub(super) fn full_stack(snapshot: &Snapshot, address: u64, sp: u64) -> Option<Range> {
    let stack = lowest_above(snapshot, address)?.range;
    // A thread whose stack pointer is in other memory has its stack there.
    let here = snapshot.region_at(sp);
    let is_elsewhere = here.is_some_and(|region| region.protection.write && sp < stack.start);
    let is_below = match sp < stack.start {
        true => {
            !is_elsewhere
                && address.saturating_add(PROBED) >= sp
                && stack.start - address.max(sp) < LARGEST_FRAME
        }
        false => sp - stack.start < NEARLY_FULL && stack.start - address <= PROBED,
    };
    is_below.then_some(stack)
}

/// The stack above an address; `None` if there is other memory in between. Below a stack is a page that nobody may access
/// (pthread_attr_setguardsize(3)), or nothing.
fn lowest_above(snapshot: &Snapshot, address: u64) -> Option<&Region> {
    let after = snapshot
        .regions
        .partition_point(|region| region.range.end <= address);
    let mut above = snapshot.regions[after..].iter();
    let region = above.find(|region| region.protection.read || region.protection.write)?;
    let is_stack = region.protection.write
        && matches!(
            region.kind,
            RegionKind::Stack | RegionKind::Private | RegionKind::Heap
        );
    (is_stack && region.range.start > address).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::Protection;

    fn region(start: u64, end: u64, is_open: bool) -> Region {
        Region {
            range: Range::new(start, end),
            protection: Protection {
                read: is_open,
                write: is_open,
                execute: false,
            },
            ..Region::default()
        }
    }

    #[test]
    fn a_stack_is_full_if_what_is_below_it_is_touched_by_its_thread() {
        let snapshot = Snapshot {
            regions: vec![
                region(0x10_0000, 0x20_0000, true),
                region(0x7f0_0000, 0x7f0_1000, false),
                region(0x7f0_1000, 0x7f8_0000, true),
            ],
            ..Snapshot::default()
        };
        let full = Some(Range::new(0x7f0_1000, 0x7f8_0000));
        for (address, sp, told) in [
            (0x7f0_0ff8, 0x7f0_1000, full),
            (0x7f0_0ff8, 0x7f0_1100, full),
            (0x7f0_0800, 0x7f0_0800, full),
            // A large array: the page after the guard is touched.
            (0x7ef_f000, 0x7ef_0000, full),
            // Somebody else's guard page.
            (0x7f0_0ff8, 0x7f7_0000, None),
            (0x7f0_0ff8, 0x15_0000, None),
            // In the stack.
            (0x7f0_2000, 0x7f0_1f00, None),
        ] {
            assert_eq!(
                full_stack(&snapshot, address, sp),
                told,
                "{address:x} {sp:x}"
            );
        }
    }
}
