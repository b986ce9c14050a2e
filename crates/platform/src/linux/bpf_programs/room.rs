//! Where one generation of probes reports, and where the threads that they hold wait.

use super::{
    probe_report::HoldId,
    ring::{LARGE, Ring, SMALL},
};
use crate::linux::sys::bpf::{self, SharedWords};
use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    sync::atomic::{AtomicU64, Ordering},
};

/// Up to how many threads a process has few of them: few reports come at once, and few threads are held. A server may have
/// hundreds of processes, and each takes this memory.
pub(super) const FEW_THREADS: usize = 16;

/// How many threads can be held at once; powers of two.
const FEW_SLOTS: u32 = 512;
const SLOTS: u32 = 4096;

/// A generation of probes, and what they share with us.
pub(super) struct Room {
    /// The number of the generation.
    pub(super) generation: u32,
    pub(super) ring: Ring,
    /// The map with one word for each held thread: the number of the hold, or 0 when the thread may go on.
    pub(super) slots: OwnedFd,
    pub(super) words: SharedWords,
    /// By the number that they report.
    pub(super) probes: HashMap<u32, OwnedFd>,
}

impl Room {
    /// Makes room for the probes of a process that has so many threads.
    ///
    /// # Errors
    /// If the kernel gives us no BPF maps, as without root.
    pub(super) fn new(generation: u32, threads: usize) -> io::Result<Self> {
        let (count, ring) = match threads <= FEW_THREADS {
            true => (FEW_SLOTS, SMALL),
            false => (SLOTS, LARGE),
        };
        let slots = bpf::create_map(bpf::ARRAY, 4, 8, count, bpf::MAPPABLE)?;
        Ok(Self {
            generation,
            ring: Ring::new(ring)?,
            words: SharedWords::new(&slots, 0, count as usize * 8)?,
            slots,
            probes: HashMap::new(),
        })
    }

    /// Returns whether this is enough for so many threads.
    pub(super) fn is_enough_for(&self, threads: usize) -> bool {
        threads <= FEW_THREADS || self.slot_count() > FEW_SLOTS
    }

    /// Returns how many slots there are.
    pub(super) fn slot_count(&self) -> u32 {
        self.words.words().len() as u32
    }

    /// Returns whether no thread is held here, and none has been reported.
    pub(super) fn is_quiet(&self) -> bool {
        let mut slots = self.words.words().iter();
        self.ring.is_empty() && slots.all(|slot| slot.load(Ordering::Acquire) == 0)
    }

    /// Returns whether this thread is held here.
    pub(super) fn is_held(&self, hold: HoldId) -> bool {
        self.slot(hold).load(Ordering::Acquire) == hold.0
    }

    /// Lets a thread go on if it is held here.
    pub(super) fn let_go(&self, hold: HoldId) {
        let slot = self.slot(hold);
        let _ = slot.compare_exchange(hold.0, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Lets all threads go on that are held here.
    pub(super) fn let_all_go(&self) {
        let slots = self.words.words().iter();
        slots.for_each(|slot| slot.store(0, Ordering::Release));
    }

    /// Returns the word that the program of a held thread watches.
    fn slot(&self, hold: HoldId) -> &AtomicU64 {
        &self.words.words()[(hold.0 % u64::from(self.slot_count())) as usize]
    }
}
