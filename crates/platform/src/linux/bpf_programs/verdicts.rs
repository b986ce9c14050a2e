//! Which types of exceptions are held, and how many of the others passed.

use crate::linux::sys::bpf::{self, SharedWords};
use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    sync::atomic::{AtomicU64, Ordering},
};

/// How many types can be told apart in one process.
const KINDS: u32 = 2048;

/// The size of an entry in bytes: a word that says whether the type is held, and how many were not.
const ENTRY: usize = 16;

/// The known types of one process.
pub(super) struct Verdicts {
    /// The map with the number of each known type's entry.
    pub(super) numbers: OwnedFd,
    /// The map with the entries.
    pub(super) entries: OwnedFd,
    known: HashMap<u64, usize>,
    /// The entries that have been needed so far, page by page: most processes throw few types.
    pages: Vec<SharedWords>,
}

impl Verdicts {
    /// Nothing is known yet.
    ///
    /// # Errors
    /// If the kernel gives us no BPF maps, as without root.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            numbers: bpf::create_map(bpf::HASH, 8, 8, KINDS, 0)?,
            entries: bpf::create_map(bpf::ARRAY, 4, ENTRY as u32, KINDS, bpf::MAPPABLE)?,
            known: HashMap::new(),
            pages: Vec::new(),
        })
    }

    /// See [`ThreadHolds::pass`](super::ThreadHolds::pass).
    pub(super) fn pass(&mut self, kind: u64, pass: bool) -> io::Result<()> {
        let next = self.known.len();
        let at = self.known.get(&kind).copied().unwrap_or(next);
        if at >= KINDS as usize {
            return Ok(());
        }
        self.map_page_of(at)?;
        self.entry(at)[0].store(u64::from(!pass), Ordering::Release);
        if at == next {
            bpf::set(&self.numbers, kind, at as u64)?;
            self.known.insert(kind, at);
        }
        Ok(())
    }

    /// Returns how many exceptions of this type were not held.
    pub(super) fn passed(&self, kind: u64) -> u64 {
        let at = self.known.get(&kind);
        at.map_or(0, |at| self.entry(*at)[1].load(Ordering::Acquire))
    }

    /// Forgets all types.
    pub(super) fn forget(&mut self) {
        for (kind, at) in std::mem::take(&mut self.known) {
            let _ = bpf::remove(&self.numbers, kind);
            self.entry(at)[1].store(0, Ordering::Release);
        }
    }

    /// Returns the two words of an entry, whose page is mapped.
    pub(super) fn entry(&self, at: usize) -> &[AtomicU64] {
        let of_page = rustix::param::page_size() / ENTRY;
        let words = self.pages[at / of_page].words();
        &words[at % of_page * 2..][..2]
    }

    fn map_page_of(&mut self, at: usize) -> io::Result<()> {
        let page = rustix::param::page_size();
        while self.pages.len() <= at / (page / ENTRY) {
            let offset = self.pages.len() * page;
            let bytes = page.min(KINDS as usize * ENTRY - offset);
            let words = SharedWords::new(&self.entries, offset as u64, bytes)?;
            self.pages.push(words);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs root, as the maps themselves.
    #[test]
    fn n56_types_have_room_as_they_come_up_to_a_bound() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let mut verdicts = Verdicts::new().expect("maps");
        for kind in 0..u64::from(KINDS) + 10 {
            verdicts.pass(kind, kind % 2 == 0).expect("room");
        }
        let held = |at: usize| verdicts.entry(at)[0].load(Ordering::Acquire);
        assert_eq!([0, 1, 2046, 2047].map(held), [0, 1, 0, 1]);
        verdicts.entry(2000)[1].store(5, Ordering::Release);
        let passed = [2000, 2001, 2050].map(|kind| verdicts.passed(kind));
        assert_eq!(passed, [5, 0, 0]);
        verdicts.forget();
        verdicts.pass(2050, false).expect("room");
        assert_eq!(verdicts.passed(2050), 0);
    }
}
