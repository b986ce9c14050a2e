//! One process, held by its handle: its pid cannot be another's meanwhile.

use super::{
    clone::Clone, debugger::Debugged, events::Events, facts, fault::Fault, memory::LiveMemory,
    peb::Peb, process::Process, regions, rights, state_change::StateChange, threads, unloaded,
};
use crate::{
    Capture, CaptureOptions, Error, ErrorKind, Facts, Method, Result, Stop, Target, capture::Held,
    failpoint,
};
use snapshot::{
    Architecture, Memory, ProcessKey, Snapshot, Thread, ThreadState, WallTime, Warning,
};
use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Instant, SystemTime},
};
use windows_sys::Win32::{
    Foundation::HANDLE,
    System::Threading::{
        PROCESS_CREATE_THREAD, PROCESS_DUP_HANDLE, PROCESS_QUERY_INFORMATION,
        PROCESS_SET_INFORMATION, PROCESS_SUSPEND_RESUME, PROCESS_VM_OPERATION, PROCESS_VM_READ,
        PROCESS_VM_WRITE,
    },
};

/// What reading its memory takes.
const READ: u32 = PROCESS_QUERY_INFORMATION | PROCESS_VM_READ;
/// What a state change and a debugger need.
const DEBUG: u32 = READ
    | PROCESS_SET_INFORMATION
    | PROCESS_SUSPEND_RESUME
    | PROCESS_VM_OPERATION
    | PROCESS_VM_WRITE
    | PROCESS_CREATE_THREAD
    | PROCESS_DUP_HANDLE;

/// The debug loop of a process that is followed.
pub(super) type DebugLoop = Rc<RefCell<Events>>;

/// A Windows process.
pub(crate) struct WindowsTarget {
    pub(super) process: Arc<Process>,
    facts: Option<Facts>,
    /// It has crashed, and somebody waits for us.
    fault: Option<Fault>,
}

impl WindowsTarget {
    pub(crate) fn attach(key: ProcessKey) -> Result<Self> {
        if key.pid == std::process::id() {
            let what = "firstchance cannot dump itself";
            return Err(Error::new(ErrorKind::NotPermitted, what));
        }
        // Whoever may only read may still take a dump with --no-stop.
        let process = Process::open(key, DEBUG).or_else(|_| Process::open(key, READ))?;
        Ok(Self {
            process: Arc::new(process),
            facts: None,
            fault: None,
        })
    }

    /// One that has crashed, with what is known of that.
    pub(crate) fn crashed(key: ProcessKey, fault: Fault) -> Result<Self> {
        let mut target = Self::attach(key)?;
        target.fault = Some(fault);
        Ok(target)
    }
}

impl Target for WindowsTarget {
    fn key(&self) -> ProcessKey {
        self.process.key
    }

    fn facts(&mut self) -> Result<Facts> {
        Ok(self.facts_by(None))
    }

    fn memory(&self) -> Arc<dyn Memory> {
        self.live_memory()
    }

    fn capture(&mut self, options: &CaptureOptions) -> Result<Capture> {
        self.capture_by(options, None)
    }
}

impl WindowsTarget {
    /// Its facts; a debug loop knows of images that the loader has not noted yet.
    pub(super) fn facts_by(&mut self, events: Option<&DebugLoop>) -> Facts {
        let memory = self.live_memory();
        let mut facts = facts::gather(&self.process, &memory);
        if let Some(events) = events {
            let size = |base| size_of_image(&*memory, base);
            events.borrow().add_modules(&mut facts.modules, size);
        }
        self.facts = Some(facts.clone());
        facts
    }

    /// Captures it; where it is followed, by the debug loop that it is followed by.
    pub(super) fn capture_by(
        &mut self,
        options: &CaptureOptions,
        events: Option<&DebugLoop>,
    ) -> Result<Capture> {
        let facts = match self.facts.take() {
            Some(facts) => facts,
            None => self.facts_by(events),
        };
        let _ = failpoint("before-stop");
        match options.stop {
            Stop::Threads => self.stopped(facts, events, options.lets_go),
            Stop::Nothing => self.running(facts),
        }
    }

    /// By a state change where the system has them, else as its debugger.
    fn hold(&self, events: Option<&DebugLoop>) -> Result<Hold> {
        if let Some(change) = StateChange::suspend(&self.process) {
            return Ok(Hold::Suspended(change));
        }
        if let Some(events) = events {
            events.borrow_mut().stop_running()?;
            return Ok(Hold::Followed(events.clone()));
        }
        let stopped = Debugged::stop(&self.process);
        let stopped = stopped.map_err(|e| rights::explain_attach(&self.process, &e))?;
        Ok(Hold::Debugged(stopped))
    }

    pub(super) fn live_memory(&self) -> Arc<dyn Memory> {
        Arc::new(LiveMemory::new(self.process.clone()))
    }

    fn stopped(
        &mut self,
        facts: Facts,
        events: Option<&DebugLoop>,
        lets_go: bool,
    ) -> Result<Capture> {
        let standing = events.and_then(|events| standing(events, lets_go));
        let clone = if standing.is_none() {
            Clone::of(&self.process)
        } else {
            None
        };
        if let Some(clone) = clone {
            return Ok(self.cloned(facts, clone));
        }
        let since = Instant::now();
        let hold = match standing {
            Some(standing) => standing,
            None => self.hold(events)?,
        };
        let _ = failpoint("all-stopped");
        let mut warnings = Vec::new();
        let threads = self.threads(true, &mut warnings);
        let _ = failpoint("registers");
        let snapshot = self.snapshot(facts, threads, &self.live_memory(), self.process.raw());
        let held = Box::new(Stopped {
            process: self.process.clone(),
            hold: Some(hold),
        });
        let memory = self.live_memory();
        Ok(Capture::new(
            snapshot,
            memory,
            Some(held),
            Some(since),
            warnings,
        ))
    }

    fn running(&self, facts: Facts) -> Result<Capture> {
        let mut warnings = vec![
            "the target was not stopped: memory changed while it was copied, and threads have no registers".to_owned(),
        ];
        let threads = self.threads(false, &mut warnings);
        let snapshot = self.snapshot(facts, threads, &self.live_memory(), self.process.raw());
        Ok(Capture::new(
            snapshot,
            self.live_memory(),
            None,
            None,
            warnings,
        ))
    }

    /// From a clone: the process itself runs on.
    fn cloned(&self, facts: Facts, clone: Clone) -> Capture {
        let threads = in_order(clone.threads());
        let clone = Arc::new(clone);
        let memory: Arc<dyn Memory> = Arc::new(LiveMemory::of_clone(clone.clone()));
        let snapshot = self.snapshot(facts, threads, &memory, clone.raw());
        let mut capture = Capture::new(snapshot, memory, None, None, vec![]);
        capture.method = Method::Clone;
        capture
    }

    fn threads(&self, stand: bool, warnings: &mut Vec<Warning>) -> Vec<Thread> {
        let ids = threads::ids(self.process.key.pid).unwrap_or_default();
        let narrow = self.process.is_narrow();
        let described = ids
            .into_iter()
            .map(|id| threads::describe(id, narrow, stand));
        let list = in_order(described.collect());
        let unknown = |thread: &&Thread| matches!(thread.state, ThreadState::Unstopped(_));
        let unknown = list.iter().filter(unknown).count();
        if stand && unknown > 0 {
            warnings.push(format!(
                "the registers of {unknown} threads could not be had"
            ));
        }
        list
    }

    /// `memory` and `space` are those of the process, or of its clone.
    fn snapshot(
        &self,
        facts: Facts,
        mut threads: Vec<Thread>,
        memory: &Arc<dyn Memory>,
        space: HANDLE,
    ) -> Snapshot {
        if let Some(fault) = &self.fault {
            fault.put_to(&mut threads);
        }
        let narrow = self.process.is_narrow();
        let peb = facts::peb(&self.process, memory);
        let modules = peb.as_ref().map_or(Vec::new(), Peb::modules);
        let heaps = peb.as_ref().map_or(Vec::new(), Peb::heaps);
        let stacks: Vec<(u64, u32)> = threads
            .iter()
            .filter_map(|thread| Some((stack_of(&**memory, thread.teb, narrow)?, thread.id)))
            .collect();
        let mut regions = regions::regions(space);
        regions::name(space, &mut regions, &modules, &stacks, &heaps);
        let mut system = super::system();
        if narrow {
            system.architecture = Architecture::X86;
        }
        Snapshot {
            taken: wall_now(),
            process: facts.process,
            system,
            threads,
            unloaded: unloaded::modules(&**memory, &modules, narrow),
            modules: facts::sorted(modules, &regions),
            regions,
            handles: facts.handles,
            exception: None,
        }
    }
}

/// What stands for an event already is held further; it goes on with the capture if it is let go.
fn standing(events: &DebugLoop, lets_go: bool) -> Option<Hold> {
    let stands = !events.borrow().is_running();
    stands.then(|| match lets_go {
        true => Hold::Followed(events.clone()),
        false => Hold::Standing,
    })
}

/// The threads by age: the one that began first is the leader.
fn in_order(mut list: Vec<(u64, Thread)>) -> Vec<Thread> {
    list.sort_by_key(|(begun, thread)| (*begun, thread.id));
    list.into_iter().map(|(_, thread)| thread).collect()
}

/// Where the stack of a thread was allocated: `DeallocationStack` of its TEB. The 32-bit TEB of a
/// 32-bit thread lies 8 KiB above its 64-bit one.
fn stack_of(memory: &dyn Memory, teb: u64, narrow: bool) -> Option<u64> {
    if teb == 0 {
        return None;
    }
    if narrow {
        return memory.read_u32(teb + 0x2000 + 0xe0c).map(u64::from);
    }
    memory.read_u64(teb + 0x1478)
}

/// By what a process is held; dropping it lets the process go, and so does our death.
enum Hold {
    Suspended(#[expect(dead_code, reason = "it is kept for what its end does")] StateChange),
    Debugged(#[expect(dead_code, reason = "it is kept for what its end does")] Debugged),
    /// By those that follow it; it goes on with the capture.
    Followed(Rc<RefCell<Events>>),
    /// The same, and stays where it is.
    Standing,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Hold::Followed(events) = self {
            events.borrow_mut().go_on();
        }
    }
}

/// `SizeOfImage` of the image at this base (PE format: `e_lfanew` at 0x3c, and 0x50 behind it).
fn size_of_image(memory: &dyn Memory, base: u64) -> Option<u32> {
    let header = u64::from(memory.read_u32(base + 0x3c)?);
    memory.read_u32(base + header + 0x50)
}

/// The process that stands, as [`Capture`] holds it.
struct Stopped {
    process: Arc<Process>,
    hold: Option<Hold>,
}

impl Held for Stopped {
    fn check(&mut self) -> Result<()> {
        if self.process.has_ended() {
            let what = format!(
                "process {} ended while it was being dumped",
                self.process.key
            );
            return Err(Error::new(ErrorKind::TargetDied, what));
        }
        Ok(())
    }

    fn release(&mut self) {
        self.hold = None;
    }
}

pub(super) fn wall_now() -> WallTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    WallTime(since.as_nanos() as i64)
}
