//! A process's own memory: anonymous pages, what is swapped out of them, and its share of the shared
//! memory that it has touched.
//!
//! Shared memory (`RssShmem` of `status`: System V and anonymous shared memory, memfds, files of tmpfs)
//! may be the heap of one program, which maps it three times over (ZGC), or the buffers of a database
//! with a hundred processes. `Pss_Shmem` of `smaps_rollup` divides each page by the number of its
//! mappings: it has the heap once, and the buffers once in all processes together. The kernel walks the
//! page tables for it, milliseconds for a GiB. So it is read where there is shared memory of any size,
//! and seldom; in between, its proportion to `RssShmem` is taken to be what it was.

use super::proc::{ProcDir, status};
use snapshot::Time;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A size in bytes up to which shared memory counts in full: no walk is worth it.
const SMALL: u64 = 1 << 20;
/// All walks together take at most one part in so many of one processor's time.
const PART: u32 = 100;

/// Returns a process's own memory in bytes, read once; `status` is the text of its `status`.
pub(crate) fn own(dir: &ProcDir, status: &[u8]) -> u64 {
    let mut shared = SharedMemory::default();
    shared.take(0, status);
    status::private(status) + shared.own(dir, Time::default(), &Walkers::default())
}

/// The processes whose page tables are walked now and then: one reference for each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walkers(Arc<()>);

impl Walkers {
    fn count(&self) -> u32 {
        Arc::strong_count(&self.0) as u32 - 1
    }
}

/// The shared memory that a process has touched, as far as it is known.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    /// `shared` of `statm` when `status` was read last: as long as it is the same, so is the rest.
    pages: Option<u64>,
    /// `RssShmem` of `status`, in bytes.
    touched: u64,
    /// `Pss_Shmem` as a part of `RssShmem`.
    share: f64,
    next_walk: Time,
    /// Set if there is enough of it for a walk.
    walker: Option<Walkers>,
}

impl Default for SharedMemory {
    fn default() -> Self {
        Self {
            pages: None,
            touched: 0,
            share: 1.0,
            next_walk: Time::default(),
            walker: None,
        }
    }
}

impl SharedMemory {
    /// Returns whether `status` has to be read anew: `shared` of `statm`, the pages of files and of
    /// shared memory together, is not what it was.
    pub(crate) fn is_outdated(&self, pages: u64) -> bool {
        self.pages != Some(pages)
    }

    /// Takes the text of `status` in, which was read when `shared` of `statm` was `pages`.
    pub(crate) fn take(&mut self, pages: u64, status: &[u8]) {
        self.pages = Some(pages);
        self.touched = status::bytes(status, "RssShmem").unwrap_or(0);
    }

    /// Returns how much of it is the process's own, in bytes: all of it where the kernel does not tell
    /// (before Linux 5.3), or not to us.
    pub(crate) fn own(&mut self, dir: &ProcDir, now: Time, walkers: &Walkers) -> u64 {
        let before = self.walker.take();
        let is_large = self.touched > SMALL;
        self.walker = is_large.then(|| before.unwrap_or_else(|| walkers.clone()));
        if is_large && now >= self.next_walk {
            let (share, took) = walk(dir, self.touched);
            self.share = share.unwrap_or(1.0);
            self.next_walk = now + took * PART * walkers.count();
        }
        (self.touched as f64 * self.share) as u64
    }
}

/// Reads `Pss_Shmem`, as a part of these bytes of `RssShmem`; `None` if it is not told. Returns it with
/// the time that the kernel took.
fn walk(dir: &ProcDir, touched: u64) -> (Option<f64>, Duration) {
    let began = Instant::now();
    let text = dir.read_living("smaps_rollup").ok();
    let share = text.and_then(|text| status::bytes(&text, "Pss_Shmem"));
    let share = share.map(|bytes| (bytes as f64 / touched as f64).min(1.0));
    (share, began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n25_only_processes_with_shared_memory_share_the_time_for_walks() {
        let dir = ProcDir::open_pid(std::process::id()).expect("we live");
        let walkers = Walkers::default();
        let [mut large, mut small] = [(); 2].map(|()| SharedMemory::default());
        large.take(1, b"RssShmem:\t 8192 kB\n");
        small.take(1, b"RssShmem:\t 64 kB\n");
        large.own(&dir, Time::default(), &walkers);
        assert_eq!(small.own(&dir, Time::default(), &walkers), 64 << 10);
        assert_eq!(walkers.count(), 1);
        assert!(large.next_walk > Time::default() && !large.is_outdated(1) && large.is_outdated(2));
        drop(large);
        assert_eq!(walkers.count(), 0);
    }
}
