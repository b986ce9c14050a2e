use crate::{Result, os};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// This program as a monitor of processes that `firstchance cancel PID` can reach.
#[derive(Debug)]
pub struct Monitor {
    shared: Shared,
    _door: os::MonitorDoor,
}

/// What the monitor and the door to it share.
pub(crate) type Shared = Arc<Mutex<Watched>>;

/// Pids that are monitored, and whether one of them was asked to be left alone.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) pids: HashSet<u32>,
    pub(crate) asked: bool,
}

impl Monitor {
    /// Opens the door.
    pub fn open() -> Result<Self> {
        let shared = Shared::default();
        let door = os::MonitorDoor::open(shared.clone())?;
        Ok(Self {
            shared,
            _door: door,
        })
    }

    /// Says which processes are monitored from now on.
    pub fn follow(&mut self, pids: impl Iterator<Item = u32>) {
        self.watched().pids = pids.collect();
    }

    /// Whether somebody asked to leave one of them alone.
    pub fn is_asked_to_stop(&self) -> bool {
        self.watched().asked
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks every monitor of this process to end; how many there were.
pub fn cancel_monitors(pid: u32) -> Result<u32> {
    os::cancel_monitors(pid)
}
