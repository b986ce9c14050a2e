//! A simulated process as a [`Target`]: captures show one thread and no memory.

use super::{SimMachine, refusal::gone};
use crate::{Capture, CaptureOptions, Error, ErrorKind, Facts, Result, Target, capture::Held};
use snapshot::{Memory, NoMemory, Process, ProcessKey, Snapshot, Thread};
use std::{sync::Arc, time::Instant};

/// A simulated process of which dumps can be taken.
pub(super) struct SimTarget {
    pub(super) machine: SimMachine,
    pub(super) key: ProcessKey,
    /// Whether the process is traced between captures too, because somebody follows it.
    pub(super) follows: bool,
}

impl SimTarget {
    /// Opens the process.
    ///
    /// # Errors
    /// If it has ended, or the test has everybody refused.
    pub(super) fn new(machine: &SimMachine, key: ProcessKey) -> Result<Self> {
        let refusal = machine.with(key, |process| {
            let gone = process.is_gone.then(|| gone(key.pid));
            let refused = process.refuses.map(|kind| refused(key, kind));
            gone.or(refused)
        });
        match refusal {
            Some(None) => Ok(Self {
                machine: machine.clone(),
                key,
                follows: false,
            }),
            Some(Some(error)) => Err(error),
            None => Err(gone(key.pid)),
        }
    }

    /// Begins to trace the process.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if it is traced already: a process has one tracer at most.
    pub(super) fn trace(&self) -> Result<()> {
        let was_traced = self.machine.with(self.key, |process| {
            std::mem::replace(&mut process.is_traced, true)
        });
        match was_traced {
            Some(false) => Ok(()),
            Some(true) => {
                let what = format!("process {} is already traced", self.key);
                Err(Error::new(ErrorKind::Busy, what))
            }
            None => Err(gone(self.key.pid)),
        }
    }

    /// Ends the tracing, and lets the process run on.
    pub(super) fn let_go(&self) {
        self.machine.with(self.key, |process| {
            process.is_traced = false;
            process.stands = false;
        });
    }

    /// Counts the capture, and blocks as long as the test blocks captures of the process.
    fn wait_for_capture(&self) {
        self.machine.with(self.key, |process| process.captures += 1);
        let mut state = self.machine.state();
        let holds = |process: &super::SimProcess| process.holds_captures;
        while state.processes.get(&self.key.pid).is_some_and(holds) {
            state = self.machine.wait(state);
        }
    }
}

impl Target for SimTarget {
    fn key(&self) -> ProcessKey {
        self.key
    }

    fn facts(&mut self) -> Result<Facts> {
        let name = self.machine.with(self.key, |process| process.name.clone());
        let name = name.ok_or_else(|| gone(self.key.pid))?;
        Ok(Facts {
            process: Process {
                key: self.key,
                name,
                ..Process::default()
            },
            ..Facts::default()
        })
    }

    fn memory(&self) -> Arc<dyn Memory> {
        Arc::new(NoMemory)
    }

    fn capture(&mut self, options: &CaptureOptions) -> Result<Capture> {
        if !self.follows {
            self.trace()?;
        }
        self.wait_for_capture();
        let snapshot = Snapshot {
            process: self.facts()?.process,
            threads: vec![Thread {
                id: self.key.pid,
                ..Thread::default()
            }],
            ..Snapshot::default()
        };
        let held = SimHeld {
            target: Self {
                machine: self.machine.clone(),
                key: self.key,
                follows: self.follows,
            },
            lets_go: options.lets_go,
        };
        let (memory, since) = (self.memory(), Some(Instant::now()));
        Ok(Capture::new(
            snapshot,
            memory,
            Some(Box::new(held)),
            since,
            vec![],
        ))
    }
}

/// A simulated process that is held by a capture.
struct SimHeld {
    target: SimTarget,
    lets_go: bool,
}

impl Held for SimHeld {
    fn check(&mut self) -> Result<()> {
        Ok(())
    }

    fn release(&mut self) {
        if !self.target.follows {
            self.target.let_go();
        } else if self.lets_go {
            let key = self.target.key;
            self.target
                .machine
                .with(key, |process| process.stands = false);
        }
    }
}

fn refused(key: ProcessKey, kind: ErrorKind) -> Error {
    Error::new(kind, format!("touching process {key} is refused"))
}
