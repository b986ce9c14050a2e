//! A Linux process as a [`Target`], by its open folder in `/proc`, which never becomes another
//! process's.

use super::{
    checked_memory::CheckedMemory,
    facts, glance, mapped_files,
    memory::LiveMemory,
    other_tracer::once_others_are_done,
    proc::{ProcDir, stat},
    rights::explain_refusal,
    stop::Threads,
    stopped_threads::StoppedThreads,
    sys::memory::read_process,
};
use crate::{
    Capture, CaptureOptions, Error, ErrorKind, Facts, Finding, MappedFiles, Result, Target,
};
use snapshot::{Memory, Module, ProcessKey, Region, Snapshot};
use std::{io, sync::Arc, time::Instant};

/// A Linux process of which dumps can be taken.
pub(crate) struct LinuxTarget {
    /// The folder of the process in `/proc`.
    pub(super) proc: ProcDir,
    /// The facts that were read last and not used.
    facts: Option<Facts>,
    /// Whether its threads are traced all the time.
    pub(super) is_traced: bool,
}

impl LinuxTarget {
    /// Opens the process. Nothing is stopped or traced yet.
    ///
    /// # Errors
    /// If it has ended, or can never be dumped.
    pub(crate) fn attach(key: ProcessKey) -> Result<Self> {
        let target = Self {
            proc: ProcDir::open(key)?,
            facts: None,
            is_traced: false,
        };
        target.refuse_early()?;
        Ok(target)
    }

    /// Fails if the kernel does not let us trace the process. It asks the same of whoever reads the memory, and that
    /// stops nothing (ptrace(2), "Ptrace access mode checking"; `process_vm_rw_core` in mm/process_vm_access.c).
    pub(crate) fn expect_right(&self) -> Result<()> {
        // Nothing is mapped at 0: who may read is told EFAULT.
        let read = read_process(self.proc.living_tid(), 0, &mut [0]);
        let refused = read.err().filter(is_refusal);
        // A filter of system calls may forbid the one way and allow the other.
        let is_sure = self.proc.open_living("mem").is_err_and(|e| is_refusal(&e));
        match refused.filter(|_| is_sure) {
            Some(error) => Err(explain_refusal(&self.proc, None, &error)),
            None => Ok(()),
        }
    }

    /// Takes a process that was opened while it lived, and has died.
    pub(super) fn of(proc: ProcDir) -> Self {
        Self {
            proc,
            facts: None,
            is_traced: false,
        }
    }
}

impl Target for LinuxTarget {
    fn key(&self) -> ProcessKey {
        self.proc.key
    }

    fn facts(&mut self) -> Result<Facts> {
        let gathered = facts::gather(&self.proc);
        let facts = gathered.map_err(|e| Error::of_process("looking", self.proc.key, &e))?;
        self.facts = Some(facts.clone());
        Ok(facts)
    }

    fn modules(&mut self) -> Result<Vec<Module>> {
        let regions = self.proc.regions();
        let regions = regions.map_err(|e| Error::of_process("looking", self.proc.key, &e))?;
        Ok(facts::modules(&regions))
    }

    fn memory(&self) -> Arc<dyn Memory> {
        CheckedMemory::of(&self.proc, self.running_memory())
    }

    fn glance(&mut self) -> Option<(Snapshot, Arc<dyn Memory>)> {
        glance::look(&self.proc, self.memory())
    }

    fn capture(&mut self, options: &CaptureOptions) -> Result<Capture> {
        self.capture_by(options, false, |proc| {
            once_others_are_done(proc, &options.cancel, |_| {
                let deadline = Instant::now() + options.thread_deadline;
                let threads = Threads::stop(proc, deadline, &[], &options.cancel, &mut |_| {})?;
                Ok(StoppedThreads::Once(threads))
            })
        })
    }

    fn outlook(&mut self) -> Result<Finding> {
        Self::outlook(self)
    }

    fn mapped_files(&self, regions: &mut [Region]) -> MappedFiles {
        mapped_files::find(&self.proc, regions)
    }
}

impl LinuxTarget {
    /// Returns the facts that were read last, or reads them.
    pub(super) fn gathered(&mut self) -> Result<Facts> {
        match self.facts.take() {
            Some(facts) => Ok(facts),
            None => self.facts(),
        }
    }

    /// Returns the memory of a process that nobody holds. It may end while it is read, and another process get its pid:
    /// it is read by a descriptor, where we may open it.
    pub(super) fn running_memory(&self) -> LiveMemory {
        match self.proc.open_living("mem") {
            Ok(mem) => LiveMemory::of_file(mem),
            Err(_) => LiveMemory::new(self.proc.living_tid(), None),
        }
    }

    /// Forgets the facts that were read last, which may be large.
    pub(super) fn forget_facts(&mut self) {
        self.facts = None;
    }

    /// Fails for processes that can never be dumped: ourselves, and threads of the kernel.
    fn refuse_early(&self) -> Result<()> {
        let key = self.proc.key;
        if key.pid == std::process::id() {
            return Err(Error::new(
                ErrorKind::NotPermitted,
                "firstchance cannot dump itself",
            ));
        }
        let kernel = self
            .proc
            .stat()
            .is_ok_and(|stat| stat.flags & stat::KERNEL_THREAD != 0);
        if kernel {
            let what = format!("process {key} is a thread of the kernel and has no memory to dump");
            return Err(Error::new(ErrorKind::NotPermitted, what));
        }
        Ok(())
    }
}

fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}
