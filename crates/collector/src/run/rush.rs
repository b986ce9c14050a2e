//! Many processes that begin within a moment, as those of somebody's crash loop, or of a script. To follow each of them
//! takes a thread and some twenty descriptors, and most end at once. Where those that die are caught at their death anyway,
//! they are followed when they have lived for a moment.

use snapshot::{ProcessKey, Time};
use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

/// How many are followed at once, within this time.
const AT_ONCE: usize = 64;
const WITHIN: Duration = Duration::from_secs(1);

/// How long the others wait.
const MOMENT: Duration = Duration::from_millis(100);

/// Who has begun lately, and who waits.
#[derive(Default)]
pub(super) struct Rush {
    /// When those that were followed at once began, the first of them first.
    begun: VecDeque<Time>,
    /// Until when the others wait, the first of them first.
    waiting: VecDeque<(Time, ProcessKey)>,
    held: HashSet<ProcessKey>,
}

impl Rush {
    /// Returns whether a process that begins now has to wait.
    pub(super) fn holds(&mut self, process: ProcessKey, now: Time) -> bool {
        while self
            .begun
            .pop_front_if(|at| now.since(*at) >= WITHIN)
            .is_some()
        {}
        let is_full = self.begun.len() >= AT_ONCE;
        match is_full {
            true => {
                self.waiting.push_back((now + MOMENT, process));
                self.held.insert(process);
            }
            false => self.begun.push_back(now),
        }
        is_full
    }

    /// Returns whether a process waits.
    pub(super) fn is_held(&self, process: ProcessKey) -> bool {
        self.held.contains(&process)
    }

    /// A process waits no longer.
    pub(super) fn let_go(&mut self, process: ProcessKey) {
        self.held.remove(&process);
    }

    /// Returns those that have waited.
    pub(super) fn due(&mut self, now: Time) -> Vec<ProcessKey> {
        let mut due = Vec::new();
        while let Some((_, process)) = self.waiting.pop_front_if(|(at, _)| *at <= now) {
            due.extend(self.held.remove(&process).then_some(process));
        }
        due
    }

    /// Returns when the next has waited.
    pub(super) fn next(&self) -> Option<Time> {
        self.waiting.front().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n23_of_many_that_begin_at_once_most_are_followed_a_moment_later() {
        let mut rush = Rush::default();
        let at = |ms| Time(Duration::from_millis(ms));
        let key = |pid| ProcessKey { pid, start: 0 };
        let held = (0..1000).filter(|pid| rush.holds(key(*pid), at(0))).count();
        assert_eq!(held, 1000 - AT_ONCE);
        assert_eq!(rush.due(at(99)), []);
        assert_eq!(rush.next(), Some(at(100)));
        assert!(rush.is_held(key(500)) && !rush.is_held(key(0)));
        rush.let_go(key(500));
        assert!(!rush.is_held(key(500)));
        assert_eq!(rush.due(at(100)).len(), held - 1);
        assert_eq!(rush.next(), None);
        assert!(!rush.holds(key(1000), at(1000)));
    }
}
