//! A capture: a process that is held still, with a snapshot of it, until it is released.

use crate::Cancel;
use snapshot::{Memory, Range, Snapshot, Warning};
use std::{
    marker::PhantomData,
    sync::Arc,
    time::{Duration, Instant},
};

/// How to capture a process.
#[derive(Clone, Debug)]
pub struct CaptureOptions {
    /// Whether to stop its threads.
    pub stop: Stop,
    /// How long to wait for a thread that does not stop, as in an uninterruptible sleep.
    pub thread_deadline: Duration,
    /// When to give the whole capture up.
    pub deadline: Option<Instant>,
    /// Whether the thread that stands for an event (see [`Follow`](crate::Follow)) is released with
    /// the other threads at the end of the capture. Otherwise it stays where it is until
    /// [`Follow::go_on`](crate::Follow::go_on).
    pub lets_go: bool,
    /// Whether the process itself is stopped, also where a clone could be made: a clone has no kernel stacks.
    pub in_place: bool,
    /// Whether much of its memory is wanted. On Linux there are clones for such dumps alone: for others the process stands
    /// no longer without one.
    pub large: bool,
    /// For how long a small dump is expected to read the memory besides. If that is long, a clone is made for it, too, where the
    /// process stands for less than that then.
    pub reading: Duration,
    /// Whether memory is wanted that the process shares with others and has not touched, also if that takes some time. (Of a
    /// living process it is found at once.)
    pub objects: bool,
    /// How long the process may be expected to stand; where that is longer, the capture fails before it is stopped.
    pub max_pause: Option<Duration>,
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
            in_place: false,
            large: false,
            reading: Duration::ZERO,
            objects: false,
            max_pause: None,
            cancel: Cancel::default(),
        }
    }
}

/// Whether the threads of a process are stopped for a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All threads are stopped, or a clone is made if the system can do that: on Linux of what would stand for long without
    /// one, and only where it is no danger for the process.
    Threads,
    /// The same, but a clone was asked for: if there is none, a warning says why.
    Clone,
    /// A clone is made, or the capture fails.
    OnlyClone,
    /// All threads stand until everything is copied: no clone is made.
    Hold,
    /// No thread is stopped: memory and facts are read while the process runs.
    Nothing,
}

/// How the captured process was kept from changing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Its threads were stopped.
    Stopped,
    /// A copy-on-write clone was made, and the process ran on.
    Clone,
    /// It had crashed, and did not run any more.
    Crash,
    /// It ran on, and may have changed while it was read.
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

/// A process that is held still. Dropping the capture releases the process, also when a panic
/// unwinds.
///
/// It is bound to the thread that made it, because ptrace and the Windows debugger are bound to
/// theirs.
pub struct Capture {
    /// What is known of the process; its memory is read by [`Capture::memory`].
    pub snapshot: Snapshot,
    /// What went wrong without ending the capture, in sentences.
    pub warnings: Vec<Warning>,
    /// When the first thread was stopped; `None` if nothing was stopped.
    pub stopped_at: Option<Instant>,
    /// How the process is kept from changing.
    pub method: Method,
    /// Why no clone was made of a process of which much is wanted, as what follows "because".
    pub in_place: Option<String>,
    memory: Arc<dyn Memory>,
    /// How long the process stood, if it goes on already.
    pause: Option<Duration>,
    held: Option<Box<dyn Held>>,
    _one_thread: PhantomData<*const ()>,
}

/// What [`Capture::release`] tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Released {
    /// The time from the first stop of a thread to the last release; `None` if nothing was stopped.
    pub pause: Option<Duration>,
}

/// Something that is held still and must be released. Dropping it releases it too.
pub(crate) trait Held {
    /// Checks that the process is still held.
    ///
    /// # Errors
    /// If it died, or became another program.
    fn check(&mut self) -> crate::Result<()>;
    /// Lets every thread run on.
    fn release(&mut self);
    /// Gives back memory that has been copied.
    fn give_back(&mut self, _ranges: &[Range]) {}
    /// Ends what this thread alone can hold, and returns what any thread can; `None`, and nothing is ended, if that would not
    /// do.
    fn unbind(&mut self) -> Option<Box<dyn Held + Send>> {
        None
    }
}

/// A capture that is bound to no thread: its process runs on, and what is held is a copy of it.
pub struct Unbound {
    snapshot: Snapshot,
    warnings: Vec<Warning>,
    stopped_at: Option<Instant>,
    method: Method,
    memory: Arc<dyn Memory>,
    pause: Option<Duration>,
    held: Box<dyn Held + Send>,
}

impl Unbound {
    /// Goes on with the capture, on this thread.
    pub fn go_on(self) -> Capture {
        let (held, stopped_at) = (Some(self.held as Box<dyn Held>), self.stopped_at);
        let mut capture = Capture::new(self.snapshot, self.memory, held, stopped_at, self.warnings);
        capture.method = self.method;
        capture.pause = self.pause;
        capture
    }
}

impl Capture {
    /// Makes a capture. `held` is released with it; `stopped_at` is `None` if nothing was stopped.
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
            in_place: None,
            memory,
            pause: None,
            held,
            _one_thread: PhantomData,
        }
    }

    /// Tells that the process goes on, after it stood for so long: what is held is a clone of it.
    #[cfg(unix)]
    pub(crate) fn let_go_after(&mut self, pause: Duration) {
        self.pause = Some(pause);
    }

    /// Returns the memory of the process. It can be read from any thread until the release.
    pub fn memory(&self) -> Arc<dyn Memory> {
        self.memory.clone()
    }

    /// Checks that the process is still held; to be called now and then while memory is copied.
    ///
    /// # Errors
    /// If the process died, or became another program.
    pub fn check(&mut self) -> crate::Result<()> {
        self.held.as_mut().map_or(Ok(()), |held| held.check())
    }

    /// Returns how long the process has been stopped so far; `None` if nothing was stopped.
    pub fn held_for(&self) -> Option<Duration> {
        self.pause
            .or_else(|| self.stopped_at.map(|at| at.elapsed()))
    }

    /// Gives back memory of a clone that has been copied; does nothing where there is none.
    pub fn give_back(&mut self, ranges: &[Range]) {
        if let Some(held) = &mut self.held {
            held.give_back(ranges);
        }
    }

    /// Returns the capture as one that another thread can go on with.
    ///
    /// # Errors
    /// The capture, if it is bound to this thread.
    pub fn unbind(mut self: Box<Self>) -> Result<Unbound, Box<Self>> {
        let Some(held) = self.held.as_mut().and_then(|held| held.unbind()) else {
            return Err(self);
        };
        self.held = None;
        Ok(Unbound {
            snapshot: std::mem::take(&mut self.snapshot),
            warnings: std::mem::take(&mut self.warnings),
            stopped_at: self.stopped_at,
            method: self.method,
            memory: self.memory.clone(),
            pause: self.pause,
            held,
        })
    }

    /// Releases the process. A second call does nothing.
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
