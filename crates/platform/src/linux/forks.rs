//! Who has forked whom of late, by the kernel's [reports](netlink). When a parent ends, the kernel gives its children to
//! another process (`ppid` of proc_pid_stat(5)): who belongs to whom is not to be seen any more then, before anybody may
//! have looked.

use super::sys::netlink::{self, ProcessEvent};
use crate::lock;
use std::{
    collections::{HashMap, VecDeque},
    io,
    os::fd::OwnedFd,
    sync::Mutex,
    time::{Duration, Instant},
};

/// How long a fork is remembered, and how many are. Whoever is looked at later than that has been looked at before.
const REMEMBERED: Duration = Duration::from_secs(10);
const MOST: usize = 1 << 13;

/// How many generations there may be.
const GENERATIONS: usize = 64;

/// How many reports can wait to be taken.
const MOST_WAITING: usize = 1 << 16;

static REPORTS: Mutex<Option<Reports>> = Mutex::new(None);

/// The kernel's reports.
struct Reports {
    socket: OwnedFd,
    /// Is called where reports have come that were not asked for by [`take`].
    tell: Box<dyn Fn() + Send>,
    waiting: Vec<ProcessEvent>,
    are_lost: bool,
    forks: Forks,
}

/// Takes all reports from this socket. `tell` is called when there are some to [take].
pub(crate) fn listen(socket: OwnedFd, tell: impl Fn() + Send + 'static) {
    let mut reports = lock(&REPORTS);
    *reports = Some(Reports {
        socket,
        tell: Box::new(tell),
        waiting: Vec::new(),
        are_lost: false,
        forks: Forks::default(),
    });
}

/// Returns the reports that have come, without waiting.
///
/// # Errors
/// If some were lost.
pub(crate) fn take() -> io::Result<Vec<ProcessEvent>> {
    with(|reports| {
        reports.read();
        let all = std::mem::take(&mut reports.waiting);
        match std::mem::take(&mut reports.are_lost) {
            true => Err(rustix::io::Errno::NOBUFS.into()),
            false => Ok(all),
        }
    })
    .unwrap_or_else(|| Ok(Vec::new()))
}

/// Returns who has forked a process, who has forked that one, and so on, as far as it is remembered, and was told by the
/// reports that were [taken](take).
pub(crate) fn known_ancestors(pid: u32) -> Vec<u32> {
    with(|reports| reports.forks.ancestors(pid)).unwrap_or_default()
}

/// As [`known_ancestors`], with all that has been reported until now.
pub(crate) fn ancestors(pid: u32) -> Vec<u32> {
    let ancestors = with(|reports| {
        reports.read();
        if !reports.waiting.is_empty() || reports.are_lost {
            (reports.tell)();
        }
        reports.forks.ancestors(pid)
    });
    ancestors.unwrap_or_default()
}

fn with<T>(act: impl FnOnce(&mut Reports) -> T) -> Option<T> {
    let mut reports = lock(&REPORTS);
    reports.as_mut().map(act)
}

impl Reports {
    fn read(&mut self) {
        let events = netlink::events(&self.socket).unwrap_or_else(|_| {
            // ENOBUFS: the socket had no room for more.
            self.are_lost = true;
            Vec::new()
        });
        let now = Instant::now();
        for event in &events {
            if let ProcessEvent::Forked { pid, parent } = *event {
                self.forks.add(pid, parent, now);
            }
        }
        self.are_lost |= self.waiting.len() + events.len() > MOST_WAITING;
        if !self.are_lost {
            self.waiting.extend(events);
        }
    }
}

/// Kept small: a busy machine forks thousands a second. Times are in milliseconds since the first use.
struct Forks {
    parents: HashMap<u32, (u32, u32)>,
    /// The oldest first. A pid may be there twice.
    order: VecDeque<(u32, u32)>,
    begin: Instant,
}

impl Default for Forks {
    fn default() -> Self {
        Self {
            parents: HashMap::new(),
            order: VecDeque::new(),
            begin: Instant::now(),
        }
    }
}

impl Forks {
    fn add(&mut self, pid: u32, parent: u32, now: Instant) {
        let now = now.saturating_duration_since(self.begin).as_millis() as u32;
        let is_old = |at: u32| now.wrapping_sub(at) > REMEMBERED.as_millis() as u32;
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
