use crate::{Result, os};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// This program as a monitor of processes that `firstchance cancel PID` can reach.
#[derive(Debug)]
pub struct Monitor {
    shared: Shared,
    _listener: os::MonitorListener,
}

/// What the monitor and the listener to it share.
pub(crate) type Shared = Arc<Watched>;

/// The processes that are monitored, and what is done when somebody asks to leave one alone.
pub(crate) struct Watched {
    pids: Mutex<HashSet<u32>>,
    cancel: Box<dyn Fn(u32) + Send + Sync>,
}

impl Monitor {
    /// Opens the door. `cancel` is called from a thread of the door's, with the pid, when somebody
    /// asks to leave a monitored process alone.
    ///
    /// # Errors
    /// Where the system does not let us be reached.
    pub fn open(cancel: impl Fn(u32) + Send + Sync + 'static) -> Result<Self> {
        let shared = Arc::new(Watched {
            pids: Mutex::default(),
            cancel: Box::new(cancel),
        });
        let listener = os::MonitorListener::open(shared.clone())?;
        Ok(Self {
            shared,
            _listener: listener,
        })
    }

    /// Says which processes are monitored from now on.
    pub fn follow(&mut self, pids: impl Iterator<Item = u32>) {
        *self.shared.pids() = pids.collect();
    }
}

impl Watched {
    /// The pids that are monitored now.
    pub(crate) fn pids(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody asks to leave this process alone; returns whether it is monitored.
    pub(crate) fn ask(&self, pid: u32) -> bool {
        let is_meant = self.pids().contains(&pid);
        if is_meant {
            (self.cancel)(pid);
        }
        is_meant
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watched {:?}", *self.pids())
    }
}

/// Asks every monitor of this process to end; how many there were.
pub fn cancel_monitors(pid: u32) -> Result<u32> {
    os::cancel_monitors(pid)
}
