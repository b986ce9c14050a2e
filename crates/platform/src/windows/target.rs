//! One attached process.

use super::{
    clone::Clone, debugger::Debugged, events::Events, facts, handles, just_in_time::Fault,
    memory::LiveMemory, peb::Peb, process::Process, regions, rights, state_change::StateChange,
    threads, unloaded,
};
use crate::{
    Arming, Capture, CaptureOptions, Error, ErrorKind, Facts, Method, Result, Stop, Target,
    capture::Held, failpoint,
};
use snapshot::{
    Architecture, Memory, ProcessKey, Registers, Snapshot, TargetEvent, Thread, ThreadState,
    WallTime, Warning,
};
use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
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

/// A Windows process, held by its handle: its pid cannot be another's meanwhile.
pub(crate) struct WindowsTarget {
    process: Arc<Process>,
    facts: Option<Facts>,
    events: Option<Rc<RefCell<Events>>>,
    /// It has crashed, and somebody waits for us.
    fault: Option<Fault>,
    /// An event that was met and not yet told.
    first: Option<TargetEvent>,
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
            events: None,
            fault: None,
            first: None,
        })
    }

    /// One that has crashed, with what is known of that; it is told as the first event.
    pub(crate) fn crashed(key: ProcessKey, fault: Fault) -> Result<Self> {
        let mut target = Self::attach(key)?;
        target.first = Some(TargetEvent::Exception(fault.exception.clone()));
        target.fault = Some(fault);
        Ok(target)
    }

    /// One that is about to meet its last exception, as soon as `go` was said: it stands at it then,
    /// and it is told as the first event.
    pub(crate) fn crashing(key: ProcessKey, go: impl FnOnce(), limit: Duration) -> Result<Self> {
        let mut target = Self::attach(key)?;
        let exceptions = Arming {
            exceptions: true,
            ..Arming::default()
        };
        target.arm(&exceptions)?;
        go();
        let deadline = Instant::now() + limit;
        while !target.is_deadly() {
            match target.wait(deadline.saturating_duration_since(Instant::now()))? {
                TargetEvent::Timeout | TargetEvent::Exited { .. } => return Err(no_crash(key)),
                event => target.first = Some(event),
            }
        }
        Ok(target)
    }
}

fn no_crash(key: ProcessKey) -> Error {
    let what = format!("process {key} has met no exception that nobody handles");
    Error::new(ErrorKind::TargetDied, what)
}

impl Target for WindowsTarget {
    fn key(&self) -> ProcessKey {
        self.process.key
    }

    fn facts(&mut self) -> Result<Facts> {
        let memory = self.live_memory();
        let mut facts = facts::gather(&self.process, &memory);
        if let Some(events) = &self.events {
            let size = |base| size_of_image(&*memory, base);
            events.borrow().add_modules(&mut facts.modules, size);
        }
        self.facts = Some(facts.clone());
        Ok(facts)
    }

    fn arm(&mut self, what: &Arming) -> Result<Vec<String>> {
        if what.is_empty() {
            self.events = None;
            return Ok(Vec::new());
        }
        let events = match &self.events {
            Some(events) => events.clone(),
            None => self.follow()?,
        };
        let lacking = events.borrow_mut().arm(what);
        Ok(lacking)
    }

    fn memory(&self) -> Arc<dyn Memory> {
        self.live_memory()
    }

    fn registers(&self) -> Option<Registers> {
        self.events.as_ref()?.borrow().registers()
    }

    fn process_of(&self, handle: u64) -> Option<u32> {
        handles::process_of(&self.process, handle)
    }

    fn is_deadly(&self) -> bool {
        let events = self.events.as_ref();
        self.fault.is_some() || events.is_some_and(|events| events.borrow().is_deadly())
    }

    fn go_on(&mut self) {
        if let Some(events) = &self.events {
            events.borrow_mut().go_on();
        }
    }

    fn go_on_with_capture(&mut self, with: bool) {
        if let Some(events) = &self.events {
            events.borrow_mut().go_on_with_capture = with;
        }
    }

    fn wait(&mut self, limit: Duration) -> Result<TargetEvent> {
        if let Some(event) = self.first.take() {
            return Ok(event);
        }
        let event = match &self.events {
            Some(events) => events.borrow_mut().wait(limit),
            None => {
                std::thread::sleep(limit);
                None
            }
        };
        Ok(match event {
            Some(event) => event,
            None if self.process.has_ended() => TargetEvent::Exited {
                status: self.process.exit_code(),
                at: wall_now(),
            },
            None => TargetEvent::Timeout,
        })
    }

    fn capture(&mut self, options: &CaptureOptions) -> Result<Capture> {
        let facts = match self.facts.take() {
            Some(facts) => facts,
            None => self.facts()?,
        };
        let _ = failpoint("before-stop");
        match options.stop {
            Stop::Threads => self.stopped(facts),
            Stop::Nothing => self.running(facts),
        }
    }
}

impl WindowsTarget {
    /// By a state change where the system has them, else as its debugger.
    fn hold(&self) -> Result<Hold> {
        if let Some(change) = StateChange::suspend(&self.process) {
            return Ok(Hold::Suspended(change));
        }
        if let Some(events) = &self.events {
            events.borrow_mut().stop_running()?;
            return Ok(Hold::Followed(events.clone()));
        }
        let stopped = Debugged::stop(&self.process);
        let stopped = stopped.map_err(|e| rights::explain_attach(&self.process, &e))?;
        Ok(Hold::Debugged(stopped))
    }

    fn follow(&mut self) -> Result<Rc<RefCell<Events>>> {
        let memory = self.live_memory();
        let peb = facts::peb(&self.process, &memory);
        let modules = peb.map_or(Vec::new(), |peb| peb.modules());
        let events = Events::follow(self.process.clone(), &modules)?;
        Ok(self.events.insert(Rc::new(RefCell::new(events))).clone())
    }

    /// What it stands for already is held further; it goes on with the capture where that was said.
    fn standing(&self) -> Option<Hold> {
        let events = self.events.as_ref()?;
        let standing = events.borrow();
        (!standing.is_running()).then(|| match standing.go_on_with_capture {
            true => Hold::Followed(events.clone()),
            false => Hold::Standing,
        })
    }

    fn live_memory(&self) -> Arc<dyn Memory> {
        Arc::new(LiveMemory::new(self.process.clone()))
    }

    fn stopped(&mut self, facts: Facts) -> Result<Capture> {
        let standing = self.standing();
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
            None => self.hold()?,
        };
        let _ = failpoint("all-stopped");
        let mut warnings = Vec::new();
        let threads = self.threads(true, &mut warnings);
        let _ = failpoint("registers");
        let snapshot = self.snapshot(facts, threads, &self.live_memory(), self.process.raw());
        let held = Box::new(Standing {
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
struct Standing {
    process: Arc<Process>,
    hold: Option<Hold>,
}

impl Held for Standing {
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

fn wall_now() -> WallTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    WallTime(since.as_nanos() as i64)
}
