//! Who has forked whom of late. When a parent ends, the kernel gives its children to another process (`ppid` of
//! proc_pid_stat(5)): who belongs to whom is not to be seen any more then, before anybody may have looked.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a fork is remembered, and how many are. Whoever is looked at later than that has been looked at before.
const REMEMBERED: Duration = Duration::from_secs(10);
const MOST: usize = 1 << 15;

/// How many generations there may be.
const GENERATIONS: usize = 64;

static FORKS: Mutex<Option<Forks>> = Mutex::new(None);

/// A process has forked another one.
pub(crate) fn add(pid: u32, parent: u32) {
    with(|forks| forks.add(pid, parent, Instant::now()));
}

/// Returns who has forked a process, who has forked that one, and so on, as far as it is remembered.
pub(crate) fn ancestors(pid: u32) -> Vec<u32> {
    with(|forks| forks.ancestors(pid))
}

fn with<T>(act: impl FnOnce(&mut Forks) -> T) -> T {
    let mut forks = FORKS.lock().unwrap_or_else(PoisonError::into_inner);
    act(forks.get_or_insert_default())
}

#[derive(Default)]
struct Forks {
    parents: HashMap<u32, (u32, Instant)>,
    /// The oldest first. A pid may be there twice.
    order: VecDeque<(Instant, u32)>,
}

impl Forks {
    fn add(&mut self, pid: u32, parent: u32, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) > REMEMBERED;
        while let Some((at, old)) = self.order.front().copied()
            && (is_old(at) || self.order.len() >= MOST)
        {
            self.order.pop_front();
            if self.parents.get(&old).is_some_and(|(_, of)| *of == at) {
                self.parents.remove(&old);
            }
        }
        self.parents.insert(pid, (parent, now));
        self.order.push_back((now, pid));
    }

    fn ancestors(&self, pid: u32) -> Vec<u32> {
        let parent = |pid: &u32| self.parents.get(pid).map(|(parent, _)| *parent);
        let chain = std::iter::successors(parent(&pid), parent);
        chain.take(GENERATIONS).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n23_generations_are_known_for_a_while() {
        let (mut forks, begin) = (Forks::default(), Instant::now());
        forks.add(2, 1, begin);
        forks.add(3, 2, begin);
        assert_eq!(forks.ancestors(3), [2, 1]);
        assert!(forks.ancestors(1).is_empty());
        // Another process has the pid, and an older entry of it is forgotten.
        forks.add(3, 7, begin + REMEMBERED);
        forks.add(4, 3, begin + REMEMBERED + Duration::from_secs(1));
        assert_eq!(forks.ancestors(4), [3, 7]);
    }

    #[test]
    fn n23_not_all_forks_are_remembered_and_circles_end() {
        let (mut forks, now) = (Forks::default(), Instant::now());
        (0..100_000).for_each(|pid| forks.add(pid, pid + 1, now));
        assert!(forks.parents.len() <= MOST && forks.order.len() <= MOST);
        forks.add(1, 2, now);
        forks.add(2, 1, now);
        assert_eq!(forks.ancestors(1).len(), GENERATIONS);
    }
}
