//! A simulated process that is followed: the [`Follow`] of the simulated machine.

use super::{SimMachine, refusal::gone, target::SimTarget};
use crate::{
    Arming, Capture, CaptureOptions, Facts, Follow, Happened, Result, Standing, Target, Waker,
};
use snapshot::{Memory, ProcessKey, TargetEvent};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// A simulated process whose events are waited for.
pub(super) struct SimFollow {
    target: SimTarget,
    woken: Arc<AtomicBool>,
}

impl SimFollow {
    /// Begins to follow the process.
    ///
    /// # Errors
    /// As for a [`SimTarget`], if somebody traces the process already, or if it ends at this
    /// moment.
    pub(super) fn new(machine: &SimMachine, key: ProcessKey) -> Result<Self> {
        let vanishes = machine.with(key, |process| process.vanishes);
        if vanishes == Some(true) {
            machine.end(key);
            return Err(gone(key.pid));
        }
        let mut target = SimTarget::new(machine, key)?;
        target.trace()?;
        target.follows = true;
        Ok(Self {
            target,
            woken: Arc::default(),
        })
    }

    /// Returns an event or a wake if there is one now.
    fn next(&self) -> Option<Happened> {
        let woken = || {
            self.woken
                .swap(false, Ordering::AcqRel)
                .then_some(Happened::Woken)
        };
        let key = self.target.key;
        self.target
            .machine
            .with(key, |process| {
                assert!(!process.breaks, "the test has this follower panic");
                let events_first = process.events_first && !process.events.is_empty();
                let early = (!events_first).then(woken).flatten();
                early.or_else(|| {
                    let event = process.events.pop_front()?;
                    process.stands = !matches!(event, TargetEvent::Exited { .. });
                    Some(Happened::Event(event, Standing::default()))
                })
            })
            .flatten()
    }
}

impl Target for SimFollow {
    fn key(&self) -> ProcessKey {
        self.target.key()
    }

    fn facts(&mut self) -> Result<Facts> {
        self.target.facts()
    }

    fn memory(&self) -> Arc<dyn Memory> {
        self.target.memory()
    }

    fn capture(&mut self, options: &CaptureOptions) -> Result<Capture> {
        self.target.capture(options)
    }
}

impl Follow for SimFollow {
    fn arm(&mut self, what: &Arming) -> Result<Vec<String>> {
        let key = self.target.key;
        self.target
            .machine
            .with(key, |process| process.armed = Some(what.clone()));
        Ok(Vec::new())
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<Happened> {
        let machine = self.target.machine.clone();
        loop {
            if let Some(happened) = self.next() {
                return Ok(happened);
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(Happened::TimedOut);
            }
            let state = machine.state();
            let process = state.processes.get(&self.target.key.pid);
            let is_quiet = |p: &super::SimProcess| p.events.is_empty() && !p.breaks;
            let sleeps = process.is_none_or(is_quiet) && !self.woken.load(Ordering::Acquire);
            if sleeps && until.is_none() {
                drop(machine.wait(state));
            }
        }
    }

    fn waker(&self) -> Waker {
        let (machine, woken) = (self.target.machine.clone(), self.woken.clone());
        Waker::new(move || {
            woken.store(true, Ordering::Release);
            // A waiter checks this while it holds the lock, so that it cannot miss the wake after
            // we had the lock.
            drop(machine.state());
            machine.0.changed.notify_all();
        })
    }

    fn is_standing(&self) -> bool {
        self.target.machine.is_standing(self.target.key)
    }

    fn stay(&mut self) -> Result<bool> {
        Ok(self.is_standing())
    }

    fn go_on(&mut self) {
        let key = self.target.key;
        self.target
            .machine
            .with(key, |process| process.stands = false);
    }

    fn pass(&mut self, _: u64, _: bool) {
        // Exceptions of a simulated process have no types.
    }

    fn passed(&self, _: u64) -> u64 {
        0
    }

    fn missed(&mut self) -> u64 {
        0
    }

    fn process_of(&self, _: u64) -> Option<u32> {
        None
    }
}

impl Drop for SimFollow {
    fn drop(&mut self) {
        self.target.let_go();
        let key = self.target.key;
        self.target
            .machine
            .with(key, |process| process.armed = None);
    }
}
