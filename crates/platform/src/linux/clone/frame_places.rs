//! Where a frame may be written: below the stack pointer of a thread, on a stack that is known to be one. A goroutine's or a
//! coroutine's stack lies in a heap, and what is below it is somebody's data. A library of threads has the thread pointer
//! point to the top of the stack that it has made (glibc's and musl's do, which the JVM and .NET use).

use snapshot::{Range, Region};

/// The stacks of a process, ascending.
#[derive(Debug, Default)]
pub(super) struct FramePlaces(Vec<Place>);

#[derive(Debug)]
struct Place {
    stack: Range,
    is_first: bool,
}

/// A stack pointer further than this above the begin of its mapping is none of a thread's stack.
const LARGEST: u64 = 1 << 30;

impl FramePlaces {
    /// Finds them: the first thread's, and private mappings with one right below that cannot be accessed.
    pub(super) fn of(regions: &[Region]) -> Self {
        let mut below: Option<&Region> = None;
        let stacks = regions.iter().filter_map(|region| {
            let guard = below.replace(region);
            let is_guarded = guard.is_some_and(|guard| {
                guard.range.end == region.range.start
                    && !guard.protection.read
                    && !guard.protection.write
            });
            let is_first = region.name == "[stack]";
            let is_stack = is_first || is_guarded && region.inode == 0;
            let is_own = region.protection.write && !region.shared;
            let stack = region.range;
            (is_stack && is_own).then_some(Place { stack, is_first })
        });
        Self(stacks.collect())
    }

    /// Whether there are so many bytes below a thread's stack pointer.
    pub(super) fn has_room(&self, pointer: u64, thread_pointer: u64, bytes: u64) -> bool {
        let after = self.0.partition_point(|place| place.stack.start <= pointer);
        let place = after.checked_sub(1).map(|at| &self.0[at]);
        place.is_some_and(|Place { stack, is_first }| {
            let is_made = stack.contains(thread_pointer) && thread_pointer > pointer;
            let below = pointer - stack.start;
            pointer < stack.end && (*is_first || is_made) && below > bytes && below < LARGEST
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(maps: &str) -> FramePlaces {
        FramePlaces::of(&snapshot::maps::parse(maps.as_bytes()).0)
    }

    #[test]
    fn a_frame_goes_on_stacks_alone() {
        let places = places(
            "10000-20000 rw-p 00000000 00:00 0 [heap]\n\
             30000-31000 ---p 00000000 00:00 0 \n\
             31000-39000 rw-p 00000000 00:00 0 \n\
             40000-41000 ---p 00000000 00:00 0 \n\
             41000-49000 r--p 00000000 00:00 0 \n\
             7ff000-807000 rw-p 00000000 00:00 0 [stack]\n",
        );
        let has_room = |pointer, thread_pointer| places.has_room(pointer, thread_pointer, 0x1000);
        assert!(!has_room(0x18000, 0x38800), "a heap");
        assert!(has_room(0x38000, 0x38800), "a thread's stack");
        assert!(
            !has_room(0x38000, 0x18000),
            "a coroutine's, in an arena of the heap"
        );
        assert!(!has_room(0x31800, 0x38800), "no room is left");
        assert!(!has_room(0x39000, 0x38800), "above it");
        assert!(!has_room(0x48000, 0x48800), "nobody may write there");
        assert!(has_room(0x806000, 0x18000), "the first thread's");
    }
}
