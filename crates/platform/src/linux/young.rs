//! Processes that were forked a moment ago. A server that starts one for each connection starts hundreds a second, and
//! most end at once: they are reported when they have lived for a moment, if somebody has said of their parent that
//! they can wait. What crashes before that is [caught](super::dying) at its death.

use super::{dying, forks, proc};
use crate::lock;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Mutex,
    time::{Duration, Instant},
};

/// How long such a process waits.
const MOMENT: Duration = Duration::from_millis(100);

/// Within which time one that was reported has been looked at, also on a loaded machine.
const LOOKED_AT: Duration = Duration::from_secs(5);

/// The pids of processes whose children can wait.
static PARENTS: Mutex<Option<HashSet<u32>>> = Mutex::new(None);

/// The children of a process can wait, as long as this is kept.
pub(crate) struct ChildrenWait(u32);

impl ChildrenWait {
    /// Has the children of a process wait. `None` if those that crash meanwhile would be lost.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        dying::is_catching().then(|| {
            with_parents(|parents| parents.insert(pid));
            Self(pid)
        })
    }
}

impl Drop for ChildrenWait {
    fn drop(&mut self) {
        with_parents(|parents| parents.remove(&self.0));
    }
}

fn with_parents<T>(act: impl FnOnce(&mut HashSet<u32>) -> T) -> T {
    let mut parents = lock(&PARENTS);
    act(parents.get_or_insert_default())
}

/// Those that wait, the oldest first.
#[derive(Default)]
pub(crate) struct Young {
    pids: HashSet<u32>,
    order: VecDeque<(Instant, u32)>,
    /// Those that have waited and were reported, and when.
    reported: HashMap<u32, Instant>,
}

impl Young {
    /// Takes a process that was just forked. Returns whether it waits: its parent's children can, or its parent waits
    /// itself.
    pub(crate) fn takes(&mut self, pid: u32, parent: u32) -> bool {
        let waits =
            self.pids.contains(&parent) || with_parents(|parents| parents.contains(&parent));
        if waits && self.pids.insert(pid) {
            self.order.push_back((Instant::now() + MOMENT, pid));
        }
        waits
    }

    /// A process has ended: those that it has forked, or that these have, do not wait any longer. Returns those that live.
    pub(crate) fn of(&mut self, parent: u32) -> Vec<u32> {
        let descends = |pid: &u32| forks::known_ancestors(*pid).contains(&parent);
        let mut all: Vec<u32> = self.pids.iter().copied().filter(descends).collect();
        all.retain(|pid| self.pids.remove(pid) && proc::open_dir(*pid).is_ok());
        self.reported
            .extend(all.iter().map(|pid| (*pid, Instant::now())));
        all
    }

    /// A process has executed a program, and is reported if it has waited.
    pub(crate) fn executes(&mut self, pid: u32) {
        if self.pids.remove(&pid) {
            self.reported.insert(pid, Instant::now());
        }
    }

    /// A process has ended. Returns whether it had waited, and may have been looked at by nobody yet.
    pub(crate) fn ends(&mut self, pid: u32) -> bool {
        let reported = self.reported.remove(&pid);
        self.pids.remove(&pid) || reported.is_some_and(|at| at.elapsed() < LOOKED_AT)
    }

    /// Returns those that have waited long enough and live; once one has, also those that have nearly.
    pub(crate) fn due(&mut self) -> Vec<u32> {
        let mut due = Vec::new();
        if self.next().is_some_and(|next| next <= Instant::now()) {
            let nearly = Instant::now() + MOMENT / 2;
            while let Some((_, pid)) = self.order.pop_front_if(|(at, _)| *at <= nearly) {
                due.extend(self.pids.remove(&pid).then_some(pid));
            }
        }
        due.retain(|pid| proc::open_dir(*pid).is_ok());
        let now = Instant::now();
        self.reported
            .retain(|_, at| now.saturating_duration_since(*at) < LOOKED_AT);
        self.reported.extend(due.iter().map(|pid| (*pid, now)));
        due
    }

    /// Returns when the next will have.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.front().map(|(at, _)| *at)
    }
}
