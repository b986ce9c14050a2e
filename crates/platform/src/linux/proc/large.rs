//! Turns to have something large of a process in our own memory: hundreds of large processes may start or die together.

use super::status;
use crate::{linux::sys::allocator::give_memory_back, lock};
use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How many there are at once in each lane.
const MOST: usize = 1;

/// After how long one does not count any more, and how long one waits for those before it, at most. A process that maps
/// and maps holds the lock of its address space most of the time: on a loaded machine, reading its map takes many seconds.
/// But should it hang, it must not keep us from all others.
const COUNTS: Duration = Duration::from_secs(60);

/// The right to have something large, until this is dropped.
pub(crate) struct Large {
    lane: usize,
    begun: Instant,
}

/// What it is.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    /// The map of a process, however long it takes to read it.
    Map,
    /// A map that was kept, which takes a moment.
    KeptMap,
    /// The other facts of a process.
    Facts,
}

/// How many lanes there are: each kind has one for root's processes, which wait for nobody else's, and one for all others.
const LANES: usize = 6;

/// Since when each of those that are there was begun, by lane.
static TAKEN: [Mutex<Vec<Instant>>; LANES] = [const { Mutex::new(Vec::new()) }; LANES];
static LEFT: [Condvar; LANES] = [const { Condvar::new() }; LANES];

impl Large {
    /// Waits until few others have one of this kind, but not for ever. `status` is that file of the process.
    pub(crate) fn wait(of: Of, status: &[u8]) -> Self {
        let is_roots = status::only_id(status, "Uid") == Some(0);
        Self::wait_in(lane(of, is_roots))
    }

    fn wait_in(lane: usize) -> Self {
        let end = Instant::now() + COUNTS;
        let mut taken = lock(&TAKEN[lane]);
        while let Some(next) = next_to_leave(&taken).filter(|_| Instant::now() < end) {
            let until = next.saturating_duration_since(Instant::now());
            let waited = LEFT[lane].wait_timeout(taken, until);
            taken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let begun = Instant::now();
        taken.push(begun);
        Self { lane, begun }
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        give_memory_back();
        let mut taken = lock(&TAKEN[self.lane]);
        let own = taken.iter().position(|begun| *begun == self.begun);
        own.map(|own| taken.swap_remove(own));
        drop(taken);
        LEFT[self.lane].notify_one();
    }
}

fn lane(of: Of, is_roots: bool) -> usize {
    2 * of as usize + usize::from(is_roots)
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
        let lane = lane(Of::Map, false);
        let held: Vec<Large> = (0..MOST).map(|_| Large::wait_in(lane)).collect();
        let (tell, told) = mpsc::channel();
        let waits = std::thread::spawn(move || {
            drop(Large::wait_in(lane));
            tell.send(()).expect("somebody listens");
        });
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        drop(held);
        waits.join().expect("no panic");
        told.recv().expect("it was its turn");
    }

    #[test]
    fn n34_roots_processes_do_not_wait_for_those_of_others() {
        let all = [Of::Map, Of::KeptMap, Of::Facts];
        let begun = Instant::now();
        let of_users: Vec<Large> = all.map(|of| Large::wait_in(lane(of, false))).into();
        let of_root: Vec<Large> = all.map(|of| Large::wait_in(lane(of, true))).into();
        assert!(begun.elapsed() < COUNTS);
        assert_eq!(of_users.len() + of_root.len(), LANES);
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
