//! Capturing a process: what keeps it still meanwhile, and the snapshot of it.
//!
//! The gentlest way that the system has is taken: a copy-on-write clone, while the process itself runs
//! on; else a state change, which suspends it for as long as our handle is open; else we become its
//! debugger, or use the debug loop that follows it already. Each way is undone by the system if we
//! die, so that no process is left suspended.

use super::{
    clone::Clone,
    debug_loop::SharedDebugLoop,
    debugger::DebuggedProcess,
    facts, function_tables,
    memory::LiveMemory,
    peb::Peb,
    process::Process,
    regions, rights,
    state_change::StateChange,
    target::{WindowsTarget, wall_now},
    threads, unloaded,
};
use crate::{
    Capture, CaptureOptions, Error, ErrorKind, Facts, Method, Result, Stop, capture::Held,
    failpoint,
};
use snapshot::{
    Architecture, Memory, Snapshot, Thread, ThreadState, WallTime, Warning, narrow_teb,
};
use std::{sync::Arc, time::Instant};
use windows_sys::Win32::Foundation::HANDLE;

impl WindowsTarget {
    /// Captures the process. If it is followed, `events` is the debug loop that follows it.
    pub(super) fn capture_by(
        &mut self,
        options: &CaptureOptions,
        events: Option<&SharedDebugLoop>,
    ) -> Result<Capture> {
        let facts = match self.facts.take() {
            Some(facts) => facts,
            None => self.facts_by(events),
        };
        let _ = failpoint("before-stop");
        match options.stop {
            Stop::Nothing => self.running(facts),
            _ => self.stopped(facts, events, options),
        }
    }

    /// Stops the process: by a state change if the system has those, else by the debug loop that
    /// follows it, else as its debugger.
    fn hold(&self, events: Option<&SharedDebugLoop>) -> Result<StoppedBy> {
        if let Some(change) = StateChange::suspend(&self.process) {
            return Ok(StoppedBy::StateChange(change));
        }
        if let Some(events) = events {
            events.borrow_mut().stop_running()?;
            return Ok(StoppedBy::DebugLoop(events.clone()));
        }
        let stopped = DebuggedProcess::stop(&self.process);
        let stopped = stopped.map_err(|e| rights::explain_attach(&self.process, &e))?;
        Ok(StoppedBy::Debugger(stopped))
    }

    fn stopped(
        &mut self,
        facts: Facts,
        events: Option<&SharedDebugLoop>,
        options: &CaptureOptions,
    ) -> Result<Capture> {
        let standing = events.and_then(|events| standing(events, options.lets_go));
        let clone = match standing {
            // It would stand until the clone is copied.
            Some(_) => Err("it stands at the event that is dumped".to_owned()),
            None if options.in_place => Err("it has no kernel stacks".to_owned()),
            None if options.stop == Stop::Hold => Err("it was asked for so".to_owned()),
            None => Clone::of(&self.process),
        };
        let lacking = match clone {
            Ok(clone) => return Ok(self.cloned(facts, clone)),
            Err(why) => format!("no clone could be made ({why}): the target was stopped"),
        };
        let since = Instant::now();
        let hold = match standing {
            Some(standing) => standing,
            None => self.hold(events)?,
        };
        let _ = failpoint("all-stopped");
        let mut warnings = match options.stop {
            Stop::Clone => vec![lacking],
            _ => Vec::new(),
        };
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

    /// Makes the capture of a clone, while the process itself runs on.
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
        let narrow = self.is_narrow();
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

    /// Makes the snapshot. `memory` and `space` are the memory and the handle of the process, or of
    /// its clone.
    fn snapshot(
        &self,
        facts: Facts,
        mut threads: Vec<Thread>,
        memory: &Arc<dyn Memory>,
        space: HANDLE,
    ) -> Snapshot {
        let narrow = self.is_narrow();
        // The system told the registers of the program, which are not those of its 64-bit side.
        let shown = narrow == self.process.is_narrow();
        if let Some(fault) = self.fault.as_ref().filter(|_| shown) {
            fault.put_to(&mut threads);
        }
        if narrow {
            // Debuggers of 32-bit processes expect the 32-bit TEBs.
            let tebs = threads.iter_mut().map(|thread| &mut thread.teb);
            tebs.for_each(|teb| *teb = narrow_teb(&**memory, *teb).unwrap_or(*teb));
        }
        let peb = facts::peb(&self.process, memory, narrow);
        let modules = facts::modules(&self.process, memory, narrow);
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
            function_tables: function_tables::tables(&**memory, &modules, narrow),
            modules: facts::sorted(modules, &regions),
            regions,
            handles: facts.handles,
            exception: None,
        }
    }
}

/// If the process stands for an event already, it is kept there. With `lets_go` it continues when
/// the capture is released; but not from a breakpoint, as it steps over that as late as possible.
fn standing(events: &SharedDebugLoop, lets_go: bool) -> Option<StoppedBy> {
    let (stands, at_breakpoint) = {
        let events = events.borrow();
        (!events.is_running(), events.is_at_breakpoint())
    };
    stands.then(|| match lets_go && !at_breakpoint {
        true => StoppedBy::DebugLoop(events.clone()),
        false => StoppedBy::Event,
    })
}

/// Orders threads by the time at which they began, as far as that is known. The first one is the
/// leader.
fn in_order(mut list: Vec<Thread>) -> Vec<Thread> {
    let is_unknown = |thread: &Thread| thread.began == WallTime::default();
    list.sort_by_key(|thread| (is_unknown(thread), thread.began, thread.id));
    list
}

/// Returns the address at which the stack of a thread was allocated: `DeallocationStack` of its
/// TEB.
fn stack_of(memory: &dyn Memory, teb: u64, narrow: bool) -> Option<u64> {
    if teb == 0 {
        return None;
    }
    if narrow {
        return memory.read_u32(teb + 0xe0c).map(u64::from);
    }
    memory.read_u64(teb + 0x1478)
}

/// What keeps a process stopped. Dropping it lets the process run on, and so does our death.
enum StoppedBy {
    StateChange(#[expect(dead_code, reason = "it is kept for what its end does")] StateChange),
    Debugger(#[expect(dead_code, reason = "it is kept for what its end does")] DebuggedProcess),
    /// The debug loop that follows it. The process continues when this is dropped.
    DebugLoop(SharedDebugLoop),
    /// The event for which it stood before. It stays there when this is dropped.
    Event,
}

impl Drop for StoppedBy {
    fn drop(&mut self) {
        if let StoppedBy::DebugLoop(events) = self {
            events.borrow_mut().go_on();
        }
    }
}

/// The stopped process, which [`Capture`] holds and releases.
struct Stopped {
    process: Arc<Process>,
    hold: Option<StoppedBy>,
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
