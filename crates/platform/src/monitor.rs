//! This program as a monitor of processes, which `firstchance cancel PID` can reach from another
//! process.

use crate::{Result, lock, os};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

/// A monitor that can be reached by `firstchance cancel PID`.
#[derive(Debug)]
pub struct Monitor {
    shared: Shared,
    _listener: os::MonitorListener,
}

/// The state that the monitor and its listener share.
pub(crate) type Shared = Arc<Watched>;

/// The processes that are monitored, and what to do when somebody cancels one.
pub(crate) struct Watched {
    pids: Mutex<HashSet<u32>>,
    cancel: Box<dyn Fn(u32) + Send + Sync>,
}

impl Monitor {
    /// Begins to listen. `cancel` is called with the pid, from a thread of the listener, when
    /// somebody asks us to end the monitoring of a process.
    ///
    /// # Errors
    /// If the system does not let us be reached.
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

    /// Sets which processes are monitored from now on.
    pub fn follow(&mut self, pids: impl Iterator<Item = u32>) {
        *self.shared.pids() = pids.collect();
    }
}

impl Watched {
    /// Returns the pids that are monitored now.
    pub(crate) fn pids(&self) -> MutexGuard<'_, HashSet<u32>> {
        lock(&self.pids)
    }

    /// Cancels the monitoring of this process. Returns whether it was monitored.
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

/// Asks every monitor of this process to end, and returns how many there were.
///
/// # Errors
/// If the monitors cannot be reached.
pub fn cancel_monitors(pid: u32) -> Result<u32> {
    os::cancel_monitors(pid)
}
