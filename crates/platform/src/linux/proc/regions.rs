//! The regions of a process, read so that only few large maps are in our own memory at once: one with 65,000 mappings takes
//! some 20 MB while it is taken apart, and hundreds of such processes may start or die together.

use crate::linux::sys::{allocator::give_memory_back, lock::lock};
use snapshot::Region;
use std::{
    ops::{Deref, DerefMut},
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How many large maps there are at once of each kind ([`From`]).
const MOST: usize = 1;

/// After how long a map does not count any more, and how long one waits for those before it, at most. A process that maps
/// and maps holds the lock of its address space most of the time: on a loaded machine, reading its map takes many seconds.
/// But should it hang, it must not keep us from all others.
const COUNTS: Duration = Duration::from_secs(60);

/// The regions of a process, ascending.
pub(crate) struct Regions {
    list: Vec<Region>,
    /// Dropped after the list.
    _large: Option<LargeMap>,
}

impl Regions {
    pub(super) fn of_text(text: Vec<u8>, large: Option<LargeMap>) -> Self {
        let (list, _) = snapshot::maps::parse(&text);
        Self {
            list,
            _large: large,
        }
    }
}

impl Deref for Regions {
    type Target = Vec<Region>;

    fn deref(&self) -> &Vec<Region> {
        &self.list
    }
}

impl DerefMut for Regions {
    fn deref_mut(&mut self) -> &mut Vec<Region> {
        &mut self.list
    }
}

/// The right to have a large map, until this is dropped.
pub(crate) struct LargeMap {
    from: From,
    begun: Instant,
}

/// Where a map is read from.
#[derive(Clone, Copy)]
pub(super) enum From {
    /// The process, however long that takes.
    Process,
    /// What was kept of it, which takes a moment.
    Kept,
}

/// Since when each of those that are there was begun, by where they are read from.
static TAKEN: [Mutex<Vec<Instant>>; 2] = [const { Mutex::new(Vec::new()) }; 2];
static LEFT: [Condvar; 2] = [const { Condvar::new() }; 2];

impl LargeMap {
    /// Waits until few others have one, but not for ever.
    pub(super) fn wait(from: From) -> Self {
        let end = Instant::now() + COUNTS;
        let mut taken = lock(&TAKEN[from as usize]);
        while let Some(next) = next_to_leave(&taken).filter(|_| Instant::now() < end) {
            let until = next.saturating_duration_since(Instant::now());
            let waited = LEFT[from as usize].wait_timeout(taken, until);
            taken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let begun = Instant::now();
        taken.push(begun);
        Self { from, begun }
    }
}

impl Drop for LargeMap {
    fn drop(&mut self) {
        give_memory_back();
        let mut taken = lock(&TAKEN[self.from as usize]);
        let own = taken.iter().position(|begun| *begun == self.begun);
        own.map(|own| taken.swap_remove(own));
        drop(taken);
        LEFT[self.from as usize].notify_one();
    }
}

/// Returns when the next of those that count does not any more; `None` if there is room for one more.
fn next_to_leave(taken: &[Instant]) -> Option<Instant> {
    let now = Instant::now();
    let ends = taken.iter().map(|begun| *begun + COUNTS);
    let counting: Vec<Instant> = ends.filter(|end| *end > now).collect();
    (counting.len() >= MOST).then(|| counting.iter().min().copied())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn n36_only_few_large_maps_are_there_at_once() {
        let held: Vec<LargeMap> = (0..MOST).map(|_| LargeMap::wait(From::Process)).collect();
        let (tell, told) = mpsc::channel();
        let waits = std::thread::spawn(move || {
            drop(LargeMap::wait(From::Process));
            tell.send(()).expect("somebody listens");
        });
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        drop(held);
        waits.join().expect("no panic");
        told.recv().expect("it was its turn");
    }

    #[test]
    fn n32_a_map_whose_reading_hangs_does_not_count_for_ever() {
        let now = Instant::now();
        let old = now
            .checked_sub(COUNTS)
            .expect("a machine that runs for long");
        assert!(next_to_leave(&[old, old]).is_none());
        assert_eq!(next_to_leave(&[old, now]), Some(now + COUNTS));
    }
}
