use crate::Cancel;
use snapshot::{Memory, Snapshot, Warning};
use std::{
    marker::PhantomData,
    sync::Arc,
    time::{Duration, Instant},
};

/// How a target is to be captured.
#[derive(Clone, Debug)]
pub struct CaptureOptions {
    /// Whether its threads are stopped.
    pub stop: Stop,
    /// How long to wait for a thread that does not stop.
    pub thread_deadline: Duration,
    /// When to give up altogether.
    pub deadline: Option<Instant>,
    /// Whether the thread that stands for an event (see [`Follow`](crate::Follow)) goes on with
    /// the others when the capture is released, instead of standing on.
    pub lets_go: bool,
    /// Ends the wait for threads that do not stop.
    pub cancel: Cancel,
}

impl Default for CaptureOptions {
    fn default() -> Self {
        Self {
            stop: Stop::Threads,
            thread_deadline: Duration::from_secs(1),
            deadline: None,
            lets_go: false,
            cancel: Cancel::default(),
        }
    }
}

/// Whether a target's threads are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All of them.
    Threads,
    /// None: memory and facts only, taken while it runs.
    Nothing,
}

/// How what is captured was kept from changing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Its threads stand.
    Stopped,
    /// A copy of it was made, and it ran on.
    Clone,
    /// It has crashed, and the kernel holds it.
    Crash,
    /// Not at all.
    NotStopped,
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Stopped => "stopped",
            Self::Clone => "clone",
            Self::Crash => "crash",
            Self::NotStopped => "not stopped",
        })
    }
}

/// A process held still. Dropping it lets the process go, on every path, a panic included.
///
/// It is bound to the thread that made it: both ptrace and the Windows debug loop want that.
pub struct Capture {
    /// What is known of it; its memory is behind [`Capture::memory`].
    pub snapshot: Snapshot,
    /// What did not go as wished while it was captured.
    pub warnings: Vec<Warning>,
    /// When its first thread was stopped; `None` when nothing was stopped.
    pub stopped_at: Option<Instant>,
    /// How it is kept from changing.
    pub method: Method,
    memory: Arc<dyn Memory>,
    held: Option<Box<dyn Held>>,
    _one_thread: PhantomData<*const ()>,
}

/// How a capture ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Released {
    /// From the first stop of a thread to the last release; `None` when nothing was stopped.
    pub pause: Option<Duration>,
}

/// What stands still and must be let go; `Drop` does it too.
pub(crate) trait Held {
    /// Whether the target still stands; an error when it died or was replaced meanwhile.
    fn check(&mut self) -> crate::Result<()>;
    /// Lets every thread go.
    fn release(&mut self);
}

impl Capture {
    pub(crate) fn new(
        snapshot: Snapshot,
        memory: Arc<dyn Memory>,
        held: Option<Box<dyn Held>>,
        stopped_at: Option<Instant>,
        warnings: Vec<Warning>,
    ) -> Self {
        let method = match stopped_at {
            Some(_) => Method::Stopped,
            None => Method::NotStopped,
        };
        Self {
            snapshot,
            warnings,
            stopped_at,
            method,
            memory,
            held,
            _one_thread: PhantomData,
        }
    }

    /// The memory of the held process; usable from other threads until the release.
    pub fn memory(&self) -> Arc<dyn Memory> {
        self.memory.clone()
    }

    /// Whether the process still stands; an error when it died or was replaced meanwhile.
    /// Call it now and then while copying.
    pub fn check(&mut self) -> crate::Result<()> {
        self.held.as_mut().map_or(Ok(()), |held| held.check())
    }

    /// How long it has been held so far.
    pub fn held_for(&self) -> Option<Duration> {
        self.stopped_at.map(|at| at.elapsed())
    }

    /// Lets the process go.
    pub fn release(&mut self) -> Released {
        let Some(mut held) = self.held.take() else {
            return Released::default();
        };
        held.release();
        Released {
            pause: self.held_for(),
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.release();
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Capture of process {}", self.snapshot.process.key)
    }
}
