//! What is armed, in a process that runs meanwhile.

use super::{Follower, FollowerEvent, Result, Then};
use snapshot::TargetEvent;
use std::time::{Duration, Instant};

/// For how long a process is looked at anew, at most, because there was something new each time. One that loads images all
/// the time is not to keep us for ever: each is told of once the loader is armed.
const SETTLING: Duration = Duration::from_secs(2);

impl Follower {
    /// Arms the process, unless its death is all that there is to tell. It may die meanwhile.
    pub(super) fn begin(&mut self) -> Result<Then> {
        if !self.process.is_dying() {
            match self.arm() {
                Err(error) if error.is_of_end() && self.process.is_dying() => {}
                armed => return armed,
            }
        }
        self.tell.tell(FollowerEvent::Armed);
        Ok(Then::Stay)
    }

    /// Arms the process. If it runs meanwhile, it may have mapped images, or executed another program, after it was looked
    /// at and before anything was armed that would tell of it. So it is looked until there is nothing new.
    pub(super) fn arm(&mut self) -> Result<Then> {
        let end = Instant::now() + SETTLING;
        let is_first = self.arms.modules().is_empty();
        let mut changes = self.arms.look(&mut *self.process, &self.wake)?;
        if is_first {
            changes.clear();
        }
        loop {
            if self.arm_changed(changes)? == Then::Leave {
                return Ok(Then::Leave);
            }
            if Instant::now() >= end || self.process.is_standing() {
                break;
            }
            changes = self.arms.look(&mut *self.process, &self.wake)?;
            if changes.is_empty() {
                break;
            }
        }
        self.tell.tell(FollowerEvent::Armed);
        Ok(Then::Stay)
    }

    /// Arms the images that were just looked at, and tells which of them came and went.
    pub(super) fn arm_changed(&mut self, changes: Vec<TargetEvent>) -> Result<Then> {
        for event in changes {
            if self.wake.wants_module(&event) && self.report(event)? == Then::Leave {
                return Ok(Then::Leave);
            }
        }
        self.arm_what_is_there()?;
        self.note_what_it_throws();
        Ok(Then::Stay)
    }

    /// The process has executed another program, and did not wait for us.
    pub(super) fn executed(&mut self) -> Result<Then> {
        log::debug!("process {} executed another program", self.tell.id.key);
        self.forget_kinds();
        self.arms.forget_images();
        self.unless_it_ends(Self::begin)
    }

    /// Where nothing throws that has to be seen, nothing has to be seen of children that live for a moment only.
    fn note_what_it_throws(&mut self) {
        let is_quiet = self.wake.wants_only_unhandled() && !self.arms.throws();
        self.process.let_children_wait(is_quiet);
    }

    /// Arms the images that were just looked at.
    pub(super) fn arm_what_is_there(&mut self) -> Result<()> {
        let key = self.tell.id.key;
        let (arming, mut notices) = self.arms.plan(key, &*self.process, &self.wake);
        log::debug!("armed in process {key}: {arming}");
        notices.extend(self.process.arm(&arming)?);
        self.notice(notices);
        Ok(())
    }
}
