//! A process that the kernel holds while it dies: adopted, as ptrace cannot stop it and need not.
//!
//! Its registers come from the head of the kernel's core, its memory from `/proc/PID/mem`, which
//! stands as long as the kernel waits for us (`core_pipe_limit` above 0).

use super::{
    capture::Before,
    memory::LiveMemory,
    postmortem::RawCrashed,
    probe_patches,
    proc::status,
    target::{LinuxTarget, wall_now},
    threads::describe,
};
use crate::{
    Adopted, Capture, CaptureOptions, Crashed, Error, ErrorKind, Facts, Method, Result, Target,
    capture::Held,
};
use snapshot::{Exception, Memory, NoMemory, ProcessKey, Region, Thread};
use std::{collections::HashMap, sync::Arc};

/// Takes hold of a process that the kernel holds. `threads` are those of the kernel's core, the one
/// that crashed first, under the ids that the process itself knows.
pub(crate) fn adopt(
    crashed: &Crashed,
    threads: Vec<Thread>,
    fault: Option<Exception>,
) -> Result<Adopted> {
    let target = CrashTarget::adopt(crashed, threads, fault)?;
    Ok(Adopted {
        exception: target.fault.clone().unwrap_or_default(),
        registers: target.threads.first().and_then(|thread| thread.registers),
        target: Box::new(target),
    })
}

/// A crashed process.
struct CrashTarget {
    live: LinuxTarget,
    process: RawCrashed,
    /// With the kernel's ids as they are out here.
    threads: Vec<Thread>,
    fault: Option<Exception>,
}

impl CrashTarget {
    fn adopt(
        crashed: &Crashed,
        mut threads: Vec<Thread>,
        mut fault: Option<Exception>,
    ) -> Result<Self> {
        let live = LinuxTarget::attach(crashed.key)?;
        let outer = outer_ids(&live);
        let id = |inner: u32| outer.get(&inner).copied().unwrap_or(inner);
        threads
            .iter_mut()
            .for_each(|thread| complete(&live, id(thread.id), thread));
        fault
            .iter_mut()
            .for_each(|fault| fault.thread = id(fault.thread));
        let shared = crashed.inner.share();
        let process = shared.map_err(|e| Error::of_process("holding", crashed.key, &e))?;
        Ok(Self {
            live,
            process,
            threads,
            fault,
        })
    }
}

/// By the id in its own pid namespace, which is what stands in the core, the id of each thread out
/// here.
fn outer_ids(live: &LinuxTarget) -> HashMap<u32, u32> {
    let tasks = live.proc.tasks().unwrap_or_default();
    let ids = tasks.into_iter().filter_map(|tid| {
        let text = live.proc.read(&format!("task/{tid}/status")).ok()?;
        let inner = status::field(&text, "NSpid")?
            .split_ascii_whitespace()
            .last()?;
        Some((inner.parse().ok()?, tid as u32))
    });
    ids.collect()
}

impl Target for CrashTarget {
    fn key(&self) -> ProcessKey {
        self.live.key()
    }

    fn facts(&mut self) -> Result<Facts> {
        self.live.facts()
    }

    fn memory(&self) -> Arc<dyn Memory> {
        match self.live.proc.open_living("mem") {
            Ok(mem) => Arc::new(LiveMemory::of_file(mem)),
            Err(_) => Arc::new(NoMemory),
        }
    }

    fn capture(&mut self, _options: &CaptureOptions) -> Result<Capture> {
        let facts = self.facts()?;
        let before = Before::without_threads(&self.live.proc);
        let mut warnings = Vec::new();
        let threads = self.threads.clone();
        let mut snapshot =
            self.live
                .snapshot(facts, &before, threads, wall_now(), &mut warnings)?;
        snapshot.exception.clone_from(&self.fault);
        let process = self.process.share();
        let process = process.map_err(|e| Error::of_process("holding", self.key(), &e))?;
        let dying = Dying {
            key: self.key(),
            process,
        };
        let memory = self.memory_of(&snapshot.regions)?;
        let mut capture = Capture::new(snapshot, memory, Some(Box::new(dying)), None, warnings);
        capture.method = Method::Crash;
        Ok(capture)
    }
}

impl CrashTarget {
    /// Never by its pid: it can be killed, and its pid be given to another, while it is read.
    fn memory_of(&self, regions: &[Region]) -> Result<Arc<dyn Memory>> {
        let mem = self.live.proc.open_living("mem");
        let mem = mem.map_err(|e| Error::of_process("opening the memory", self.key(), &e))?;
        let memory = LiveMemory::of_file(mem);
        let patches = probe_patches::find(self.key().pid, regions, &memory);
        Ok(Arc::new(memory.patched(patches)))
    }
}

/// A thread of the core under its id out here, with what `/proc` tells besides.
fn complete(live: &LinuxTarget, id: u32, thread: &mut Thread) {
    let known = describe(&live.proc, id as i32);
    thread.id = id;
    thread.name = known.name;
    thread.letter = known.letter;
    thread.user_time = known.user_time;
    thread.kernel_time = known.kernel_time;
    thread.priority = known.priority;
}

/// The process, as [`Capture`] holds it: the kernel does, until we end.
struct Dying {
    key: ProcessKey,
    process: RawCrashed,
}

impl Held for Dying {
    fn check(&mut self) -> Result<()> {
        if self.process.is_there() {
            return Ok(());
        }
        let what = format!(
            "process {} was killed while its crash was recorded",
            self.key
        );
        Err(Error::new(ErrorKind::TargetDied, what))
    }

    fn release(&mut self) {}
}
