use crate::{Arming, Capture, CaptureOptions, Result};
use snapshot::{Handle, Memory, Module, Process, ProcessKey, Registers, TargetEvent};
use std::{sync::Arc, time::Instant};

/// One process that dumps are taken of.
pub trait Target {
    /// Who it is.
    fn key(&self) -> ProcessKey;

    /// What is known of it without stopping it.
    ///
    /// # Errors
    /// Where it has ended.
    fn facts(&mut self) -> Result<Facts>;

    /// Its memory as it is now, readable from any thread.
    fn memory(&self) -> Arc<dyn Memory>;

    /// Holds it still, until the capture is released or dropped.
    ///
    /// # Errors
    /// Where it may not be stopped, has ended, or became another program meanwhile.
    fn capture(&mut self, options: &CaptureOptions) -> Result<Capture>;
}

/// A process that is attached and waited for, by the thread that began it.
///
/// Of every event but its being gone, the thread that it happened in stands until
/// [`Follow::go_on`]: at a place for some milliseconds only, unless it is told to
/// [`stay`](Follow::stay). A capture that is taken meanwhile shows it there.
pub trait Follow: Target {
    /// Reports this, and nothing else, from now on; returns what could not be had or what it
    /// costs, in sentences.
    ///
    /// # Errors
    /// Where nothing can be followed: the process may not be touched, or has ended.
    fn arm(&mut self, what: &Arming) -> Result<Vec<String>>;

    /// Waits for what the process does next: until something happens, somebody uses the
    /// [`Follow::waker`], or `until` has come.
    ///
    /// # Errors
    /// Where the process can no longer be followed.
    fn wait(&mut self, until: Option<Instant>) -> Result<Happened>;

    /// What ends a wait from another thread.
    fn waker(&self) -> Waker;

    /// Whether the thread of the last event still is where it was: the hold of a place may have
    /// run out.
    fn is_standing(&self) -> bool;

    /// Keeps the thread of the last event where it is, for however long. Returns whether it
    /// stands there; it does not when we came too late, or it has ended.
    ///
    /// # Errors
    /// Where it may not be stopped.
    fn stay(&mut self) -> Result<bool>;

    /// Lets the thread of the last event go on as if nobody had looked; nothing stands then.
    fn go_on(&mut self);

    /// From now on, things of this kind are thrown without being reported, or are again. Only
    /// places on Linux know of kinds.
    fn pass(&mut self, kind: u64, pass: bool);

    /// How many of this kind have gone by unreported.
    fn passed(&self, kind: u64) -> u64;

    /// How many events since the last call came too fast to be seen.
    fn missed(&mut self) -> u64;

    /// The pid of the process that this handle of the target means; `None` where there are no
    /// handles of processes (Linux).
    fn process_of(&self, handle: u64) -> Option<u32>;
}

/// Why a wait ended.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and taken apart at once: an allocation for each event costs more"
)]
pub enum Happened {
    /// The process did something.
    Event(TargetEvent, Standing),
    /// Somebody used the waker.
    Woken,
    /// The time has come, and nothing happened before.
    TimedOut,
}

/// The thread that stands for an event.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// Its registers; `None` where no thread stands, or they could not be read.
    pub registers: Option<Registers>,
    /// At a place where something is thrown: what tells its kind, as it was when the thread came.
    pub kind: Option<u64>,
    /// Whether the process dies of this when the thread goes on.
    pub is_deadly: bool,
}

/// Ends the wait of one [`Follow`], from any thread; if it does not wait now, the next one.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    pub(crate) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Ends the wait.
    pub fn wake(&self) {
        (self.0)();
    }
}

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waker")
    }
}

/// What is known of a process without stopping it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The process.
    pub process: Process,
    /// Its open descriptors or handles.
    pub handles: Vec<Handle>,
    /// Its images as far as the address space tells: range and path.
    pub modules: Vec<Module>,
    /// Memory that is resident or swapped, in bytes.
    pub resident: u64,
    /// Its private part.
    pub private: u64,
}
