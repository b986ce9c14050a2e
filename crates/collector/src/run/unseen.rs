//! Processes that had ended before anything could be armed in them.

use std::collections::{HashSet, VecDeque};

/// How many are told apart.
const MOST: usize = 1 << 16;

/// How many are remembered that were found: a report of them may come late. Pids are not given again as fast.
const FOUND: usize = 1024;

/// How many there are. Several threads may report the same one, and one that was taken for lost may be found.
#[derive(Debug, Default)]
pub(super) struct Unseen {
    pids: HashSet<u32>,
    more: u64,
    /// Those that were found last.
    found: VecDeque<u32>,
}

impl Unseen {
    /// Counts a process, once.
    pub(super) fn add(&mut self, pid: u32) {
        if self.found.contains(&pid) {
            return;
        }
        if self.pids.len() < MOST {
            self.pids.insert(pid);
        } else if !self.pids.contains(&pid) {
            self.more += 1;
        }
    }

    /// What the process died of has been seen after all.
    pub(super) fn found(&mut self, pid: u32) {
        self.pids.remove(&pid);
        self.found.truncate(FOUND - 1);
        self.found.push_front(pid);
    }

    pub(super) fn count(&self) -> u64 {
        self.pids.len() as u64 + self.more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n23_each_process_counts_once_and_not_if_it_is_found() {
        let mut unseen = Unseen::default();
        [1, 2, 2, 3].into_iter().for_each(|pid| unseen.add(pid));
        assert_eq!(unseen.count(), 3);
        unseen.found(2);
        unseen.found(7);
        assert_eq!(unseen.count(), 2);
        // Told late.
        unseen.add(7);
        unseen.add(2);
        assert_eq!(unseen.count(), 2);
        (10..100_000).for_each(|pid| unseen.add(pid));
        assert_eq!(unseen.count(), 99_992);
    }
}
