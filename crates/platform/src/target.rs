//! One process: a [`Target`], of which dumps are taken, and a [`Follow`], whose events are waited
//! for.

use crate::{Arming, Capture, CaptureOptions, Error, ErrorKind, Finding, ImageFiles, Result};
use snapshot::{
    Handle, Memory, Module, NoMemory, Process, ProcessKey, Region, Registers, Snapshot,
    TargetEvent, Warning,
};
use std::{sync::Arc, time::Instant};

/// A process of which dumps can be taken.
pub trait Target {
    /// Returns the identity of the process.
    fn key(&self) -> ProcessKey;

    /// Sets whether facts and captures from now on show the 64-bit side of a 32-bit process, on which its system runs it,
    /// and not the 32-bit side of its program. Without a meaning for all other processes.
    fn show_wide(&mut self, _wide: bool) {}

    /// Reads what can be read without stopping the process.
    ///
    /// # Errors
    /// If it has ended.
    fn facts(&mut self) -> Result<Facts>;

    /// Reads which modules it has, which takes a tenth of the time of all facts.
    ///
    /// # Errors
    /// If it has ended.
    fn modules(&mut self) -> Result<Vec<Module>> {
        Ok(self.facts()?.modules)
    }

    /// Returns the memory of the running process. It can be read from any thread.
    fn memory(&self) -> Arc<dyn Memory>;

    /// Looks at it while it runs, as quickly as may be, to know beforehand what a capture will meet: its modules, its mappings, and its
    /// threads with those registers that the system tells of threads that wait. `None` if it does not run, a thread of it
    /// stands at an event, or the system tells none.
    fn glance(&mut self) -> Option<(Snapshot, Arc<dyn Memory>)> {
        None
    }

    /// Holds the process still until the capture is released or dropped.
    ///
    /// # Errors
    /// If it may not be stopped, has ended, or executed another program meanwhile.
    fn capture(&mut self, options: &CaptureOptions) -> Result<Capture>;

    /// Says how a large dump of it would be taken.
    ///
    /// # Errors
    /// If it has ended, or the system says nothing of it.
    fn outlook(&mut self) -> Result<Finding> {
        let what = "on this system it is not known beforehand how a dump is taken";
        Err(Error::new(ErrorKind::Unsupported, what))
    }

    /// Opens the files of its modules; `None` if they cannot be had because it has ended.
    fn image_files(&self) -> Option<ImageFiles> {
        ImageFiles::of(self.key())
    }

    /// Opens the files behind `regions` and sets [`Region::file`] of each that could be opened. There are none on
    /// Windows, where the pages of files count as memory of the process.
    fn mapped_files(&self, regions: &mut [Region]) -> MappedFiles {
        let _ = regions;
        MappedFiles::default()
    }
}

/// The files that a process has mapped.
pub struct MappedFiles {
    /// Their content, at the addresses where they are mapped. It can be read also when the process has gone on or
    /// ended.
    pub content: Arc<dyn Memory>,
    /// What could not be opened, in sentences.
    pub warnings: Vec<Warning>,
}

impl Default for MappedFiles {
    fn default() -> Self {
        Self {
            content: Arc::new(NoMemory),
            warnings: Vec::new(),
        }
    }
}

/// A process whose events are waited for, by the thread that began to follow it.
///
/// For every event but the end of the process, the thread that caused it stands until
/// [`Follow::go_on`]; at a place that is held by a probe it stands for some milliseconds only,
/// unless it is told to [`stay`](Follow::stay). A capture that is taken meanwhile shows the thread
/// there.
pub trait Follow: Target {
    /// Sets which events are reported from now on. Returns in sentences what cannot be reported, or
    /// what it costs the process.
    ///
    /// # Errors
    /// If the process cannot be followed: we may not attach to it, or it has ended.
    fn arm(&mut self, what: &Arming) -> Result<Vec<String>>;

    /// Waits until an event happens, somebody uses the [`Follow::waker`], or `until` has come.
    ///
    /// # Errors
    /// If the process can no longer be followed.
    fn wait(&mut self, until: Option<Instant>) -> Result<Happened>;

    /// Returns a handle that ends a wait from another thread.
    fn waker(&self) -> Waker;

    /// Returns whether each program that the process executes from now on is told of: nobody else has to say so.
    fn hears_of_executions(&self) -> bool {
        false
    }

    /// Returns whether the thread of the last event still stands there. A probe holds it for a
    /// limited time only.
    fn is_standing(&self) -> bool;

    /// Keeps the thread of the last event where it is, for any length of time. Returns whether it
    /// stands there: it does not if the probe's time was over, or if it has ended.
    ///
    /// # Errors
    /// If we may not stop it.
    fn stay(&mut self) -> Result<bool>;

    /// Returns until when the thread of the last event may be kept for something else than its own dump, as for others that
    /// are being written: [`HoldOptions::longest`](crate::HoldOptions::longest) after it came. `None` if it is not to be
    /// kept at all: where the process is traced all the time, each other thread that has an event stands meanwhile.
    fn may_wait_until(&self) -> Option<Instant> {
        None
    }

    /// Lets threads go on whose events have still to be told, and that have stood for too long (as above).
    fn let_overdue_go(&mut self) {}

    /// Lets the thread of the last event run on, as if nothing had happened to it.
    fn go_on(&mut self);

    /// Sets whether exceptions of this type pass without being reported. Only places on Linux know
    /// of types; `kind` is the number that [`Standing::kind`] told.
    fn pass(&mut self, kind: u64, pass: bool);

    /// Returns how many exceptions of this type have passed without being reported.
    fn passed(&self, kind: u64) -> u64;

    /// Forgets all types: exceptions of each are reported again, and are counted from zero.
    fn forget_kinds(&mut self) {}

    /// Returns how many events were lost since the last call because they came too fast.
    fn missed(&mut self) -> u64;

    /// Returns whether the process has been caught at its death ([`HostEvent::Dying`]): that is the one event that is
    /// told, and nothing can be armed any more.
    ///
    /// [`HostEvent::Dying`]: crate::HostEvent::Dying
    fn is_dying(&mut self) -> bool {
        false
    }

    /// Returns what counts of a process that has died and whose memory is kept, or that is about to die and is large: nobody
    /// waits for its dump then.
    fn has_died(&self) -> Option<Died> {
        None
    }

    /// Sets whether processes that this one forks may be reported a moment later
    /// ([`Host::follow_starts`](crate::Host::follow_starts)): what most of them are there for is over by then.
    fn let_children_wait(&mut self, _may_wait: bool) {}

    /// Returns the pid of the process that a handle of the target refers to; `None` on Linux, which
    /// has no handles of processes.
    fn process_of(&self, handle: u64) -> Option<u32>;
}

/// A process that has died, or is about to.
#[derive(Clone, Copy, Debug)]
pub struct Died {
    /// Its user.
    pub user: u32,
    /// Whether it has so many mappings, descriptors or texts that its dump takes megabytes of our memory.
    pub is_large: bool,
}

/// Why [`Follow::wait`] returned.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and taken apart at once: an allocation for each event costs more"
)]
pub enum Happened {
    /// An event of the process, and the thread that stands for it.
    Event(TargetEvent, Standing),
    /// The process has executed another program, and goes on: what was armed is to be armed anew. Where a thread stands for
    /// that, it is an event.
    Executed,
    /// Somebody used the waker.
    Woken,
    /// The time was over, and nothing happened before.
    TimedOut,
}

/// What is told of the thread that stands for an event.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// The registers of the thread; `None` if no thread stands, or if they could not be read.
    pub registers: Option<Registers>,
    /// At a place where an exception is thrown: the number of its type, as it was when the thread
    /// came.
    pub kind: Option<u64>,
    /// When it came to a place in the code, if it did.
    pub since: Option<Instant>,
    /// Whether the process dies when the thread goes on.
    pub is_deadly: bool,
}

/// Ends the wait of a [`Follow`] from any thread. If it is not waiting now, its next wait ends at
/// once.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    pub(crate) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Ends the present wait, or the next one.
    pub fn wake(&self) {
        (self.0)();
    }
}

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waker")
    }
}

/// What can be read of a process without stopping it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The process itself: identity, names, user, times.
    pub process: Process,
    /// Its open descriptors or handles.
    pub handles: Vec<Handle>,
    /// Its modules with their ranges and paths.
    pub modules: Vec<Module>,
    /// The size of its resident and swapped memory in bytes, what is mapped several times once as far as the mappings tell; on
    /// Windows of its committed memory. That is what a full dump takes.
    pub resident: u64,
    /// How many bytes of mapped files a full dump takes beside `resident`. 0 on Windows.
    pub mapped: u64,
    /// The size of its private memory in bytes.
    pub private: u64,
}
