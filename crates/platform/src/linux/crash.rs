//! A process that the kernel holds while it dies: the kernel writes its core to our standard input
//! and waits for us (core(5), `core_pipe_limit` above 0). ptrace cannot stop such a process, and
//! need not.
//!
//! The registers come from the notes at the head of that core. Memory is read from `/proc/PID/mem`,
//! which exists as long as the kernel waits.

use super::{
    before_stop::Before, checked_memory::CheckedMemory, memory::LiveMemory, postmortem::RawCrashed,
    proc::status, sockets, target::LinuxTarget, threads::describe, time_of_day::wall_now,
};
use crate::{
    Adopted, Capture, CaptureOptions, Crashed, Error, ErrorKind, Facts, MappedFiles, Method,
    Result, Target, capture::Held,
};
use snapshot::{Exception, Memory, NoMemory, ProcessKey, Region, Thread, Warning};
use std::{collections::HashMap, sync::Arc};

/// Opens a process that the kernel holds. `threads` are those of the kernel's core, the one that
/// crashed first, under the ids of the process's own pid namespace.
///
/// # Errors
/// If the process is gone.
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

/// A process that has crashed.
struct CrashTarget {
    live: LinuxTarget,
    process: RawCrashed,
    /// The threads, under the ids of our own pid namespace.
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

/// Returns, for each thread id of the process's own pid namespace, which is what the core has, the
/// thread id in ours.
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
            Ok(mem) => CheckedMemory::of(&self.live.proc, LiveMemory::of_file(mem)),
            Err(_) => Arc::new(NoMemory),
        }
    }

    fn capture(&mut self, _options: &CaptureOptions) -> Result<Capture> {
        let mut facts = self.facts()?;
        sockets::tell(&self.live.proc, &mut facts.handles, false);
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
        let memory = self.memory_of(&mut snapshot.regions, &mut warnings)?;
        let mut capture = Capture::new(snapshot, memory, Some(Box::new(dying)), None, warnings);
        capture.method = Method::Crash;
        Ok(capture)
    }

    fn mapped_files(&self, regions: &mut [Region]) -> MappedFiles {
        self.live.mapped_files(regions)
    }
}

impl CrashTarget {
    /// Returns the memory, by a descriptor and never by the pid: the process can be killed and its
    /// pid be reused while we read.
    fn memory_of(
        &self,
        regions: &mut [Region],
        warnings: &mut Vec<Warning>,
    ) -> Result<Arc<dyn Memory>> {
        let mem = self.live.proc.open_living("mem");
        let mem = mem.map_err(|e| Error::of_process("opening the memory", self.key(), &e))?;
        Ok(self
            .live
            .memory_of(LiveMemory::of_file(mem), regions, warnings))
    }
}

/// Completes a thread of the core: its id in our pid namespace, and what `/proc` tells about it.
fn complete(live: &LinuxTarget, id: u32, thread: &mut Thread) {
    let known = describe(&live.proc, id as i32);
    thread.id = id;
    thread.name = known.name;
    thread.letter = known.letter;
    thread.user_time = known.user_time;
    thread.kernel_time = known.kernel_time;
    thread.priority = known.priority;
}

/// The process that [`Capture`] holds. There is nothing to release: the kernel holds it until we
/// end.
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
