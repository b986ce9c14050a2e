//! Processes that start, where the kernel does not tell of them: `/proc` is listed ten times a second.

use super::proc;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How often it is listed.
const INTERVAL: Duration = Duration::from_millis(100);

/// The processes that there were when it was listed last.
pub(super) struct PolledStarts {
    /// For each pid the inode of its folder, which is another one when another process has the pid.
    known: HashMap<i32, u64>,
    /// Those that were new then.
    new: Vec<i32>,
    next: Instant,
}

impl PolledStarts {
    pub(super) fn begin() -> Self {
        Self {
            known: listed().into_iter().collect(),
            new: Vec::new(),
            next: Instant::now() + INTERVAL,
        }
    }

    /// When it is listed next.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Lists it, if it is time. Returns those that have started, each of them twice: when it is seen first, it may not have
    /// executed its program yet, and its parent may not have been looked at.
    pub(super) fn due(&mut self) -> Vec<u32> {
        match self.next <= Instant::now() {
            true => self.compare(listed()),
            false => Vec::new(),
        }
    }

    fn compare(&mut self, now: Vec<(i32, u64)>) -> Vec<u32> {
        self.next = Instant::now() + INTERVAL;
        let is_new = |(pid, folder): &&(i32, u64)| self.known.get(pid) != Some(folder);
        let new: Vec<i32> = now.iter().filter(is_new).map(|(pid, _)| *pid).collect();
        self.known = now.into_iter().collect();
        let before = std::mem::replace(&mut self.new, new);
        let all = before.iter().chain(&self.new);
        all.map(|pid| *pid as u32).collect()
    }
}

fn listed() -> Vec<(i32, u64)> {
    proc::all_pids_and_folders().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n23_each_start_is_told_twice_also_of_one_that_has_the_pid_of_another() {
        let mut starts = PolledStarts::begin();
        starts.known = HashMap::from([(1, 10), (2, 20)]);
        assert_eq!(starts.compare(vec![(1, 10), (3, 30)]), [3]);
        assert_eq!(starts.compare(vec![(1, 11), (3, 30)]), [3, 1]);
        assert_eq!(starts.compare(vec![(1, 11), (3, 30)]), [1]);
        assert!(starts.compare(vec![(1, 11)]).is_empty());
    }

    #[test]
    fn n23_the_folder_of_a_process_stays_the_same() {
        let mut starts = PolledStarts::begin();
        starts.compare(listed());
        let me = std::process::id();
        assert!(!starts.compare(listed()).contains(&me));
    }
}
