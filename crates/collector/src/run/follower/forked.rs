//! Processes that have just been forked. Many of them end at once, as those of a server that starts one for each
//! connection: what they map is what their parent maps, and it is looked at only when they have lived for a moment.

use super::{Follower, FollowerEvent, Result};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a forked process is watched lightly.
const MOMENT: Duration = Duration::from_millis(100);

/// The pids of followed processes in whose images nothing throws that has to be seen.
static QUIET: Mutex<Option<HashSet<u32>>> = Mutex::new(None);

/// Whether a followed process is among those, as long as this is kept.
pub(super) struct Quiet(u32);

impl Quiet {
    fn of(pid: u32) -> Self {
        with(|quiet| quiet.insert(pid));
        Self(pid)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        with(|quiet| quiet.remove(&self.0));
    }
}

fn with<T>(act: impl FnOnce(&mut HashSet<u32>) -> T) -> T {
    let mut quiet = QUIET.lock().unwrap_or_else(PoisonError::into_inner);
    act(quiet.get_or_insert_default())
}

impl Follower {
    /// Arms a process at the beginning.
    pub(super) fn arm_first(&mut self) -> Result<()> {
        if !self.is_like_its_parent() {
            return self.arm();
        }
        let notices = self.process.arm(&self.arms.plan_lightly())?;
        self.notice(notices);
        self.settles_at = Some(Instant::now() + MOMENT);
        self.tell.tell(FollowerEvent::Armed);
        Ok(())
    }

    /// Arms the process wholly if it has lived for a moment.
    pub(super) fn settle_if_due(&mut self) -> Result<()> {
        if self.settles_at.is_some_and(|at| at <= Instant::now()) {
            self.settles_at = None;
            self.unless_it_ends(Self::arm_anew)?;
        }
        Ok(())
    }

    /// Notes whether children of the process can be watched lightly.
    pub(super) fn note_what_it_throws(&mut self) {
        let is_quiet = self.wake.wants_only_unhandled() && !self.arms.throws();
        self.quiet = is_quiet.then(|| Quiet::of(self.tell.id.key.pid));
    }

    fn is_like_its_parent(&self) -> bool {
        let parent = self.process.forked_from();
        let is_quiet = |parent| with(|quiet| quiet.contains(&parent));
        self.wake.wants_only_unhandled() && parent.is_some_and(is_quiet)
    }
}
