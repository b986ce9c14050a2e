//! Breakpoints that are reached, and images that come and go.

use super::{
    super::arms::{Ended, ended},
    Follower, FollowerEvent, Result, Then,
};
use snapshot::{OperatingSystem, TargetEvent};

impl Follower {
    /// A thread came to a breakpoint.
    pub(super) fn breakpoint(&mut self, number: u32, thread: u32) -> Result<Then> {
        let own = self.tell.id.key.pid;
        let ends = match self.ended_at(number) {
            Some(Ended::Process(handle)) => self.process.process_of(handle),
            Some(Ended::Itself) => Some(own),
            None => None,
        };
        let itself = ends == Some(own);
        if itself && std::mem::replace(&mut self.ends, true) {
            return Ok(Then::Stay);
        }
        self.report(TargetEvent::Breakpoint {
            place: number,
            thread,
            ends: ends.filter(|_| !itself),
        })
    }

    /// Whom the thread that stands at a breakpoint is about to end.
    fn ended_at(&self, number: u32) -> Option<Ended> {
        let mut places = self.wake.breakpoints.iter();
        let (_, place) = places.find(|(known, _)| *known == number)?;
        let registers = self.at.registers?;
        let here = platform::OS == OperatingSystem::Windows;
        here.then(|| ended(place, &registers)).flatten()
    }

    /// An image came or went, as Windows tells.
    pub(super) fn module(&mut self, event: TargetEvent) -> Result<Then> {
        if let TargetEvent::ModuleUnload { path, base } = &event {
            self.arms.unmapped(*base, path);
        }
        let comes = matches!(event, TargetEvent::ModuleLoad { .. });
        if let TargetEvent::ModuleLoad { path, .. } = &event {
            self.arms.came(path);
            self.notice(self.arms.strangers(&self.wake));
        }
        let is_wanted = self.wake.wants_module(&event);
        if is_wanted && self.report(event)? == Then::Leave {
            return Ok(Then::Leave);
        }
        if comes && !self.wake.breakpoints.is_empty() {
            self.arms.look(&mut *self.process, &self.wake)?;
            self.arm_what_is_there()?;
        }
        Ok(Then::Stay)
    }

    /// The loader has mapped or unmapped images.
    pub(super) fn loaded(&mut self) -> Result<Then> {
        let changes = self.arms.look(&mut *self.process, &self.wake)?;
        // It calls before it begins, too.
        let then = match changes.is_empty() {
            true => Then::Stay,
            false => self.arm_changed(changes)?,
        };
        self.tell.tell(FollowerEvent::Armed);
        Ok(then)
    }
}
