//! Making a capture: from a process whose threads are stopped to a snapshot of it.
//!
//! What can be read while the process runs is read before the stop, to keep the stop short. While
//! the threads stand, only their registers, the memory map and the list of existing pages are read.

use super::{
    before_stop::Before,
    bpf_programs::Death,
    cloned::Seen,
    death_watch, facts,
    file_pages::FilePages,
    handles,
    memory::LiveMemory,
    narrow, pages,
    pages_on_demand::PagesOnDemand,
    probe_patches,
    proc::{ProcDir, bounds, map_text, status},
    shared_objects::{self, WithObjects},
    sockets,
    stop::{Threads, executed},
    stopped_threads::StoppedThreads,
    sys::priority,
    target::LinuxTarget,
    threads::{self, architecture_of, registers_of_running},
    time_of_day::wall_now,
};
use crate::{
    Capture, CaptureOptions, Error, ErrorKind, Facts, Method, Result, Stop, capture::Held,
    failpoint,
};
use snapshot::{
    Guarded, Memory, Process, ProcessKey, Region, RegionKind, Snapshot, Thread, ThreadState,
    WallTime, Warning,
};
use std::sync::Arc;

/// How long a line of the memory map is at most, in bytes: a path may be 4 KiB long, and a newline in it takes four.
const LONGEST_LINE: u64 = 20 << 10;

impl LinuxTarget {
    /// Captures the process. `is_held` says whether a thread of it stands at an event. `stop` stops its threads, and is not
    /// called if they are not to be stopped.
    pub(super) fn capture_by(
        &mut self,
        options: &CaptureOptions,
        is_held: bool,
        stop: impl FnOnce(&ProcDir) -> Result<StoppedThreads>,
    ) -> Result<Capture> {
        let mut facts = self.gathered()?;
        sockets::tell(&self.proc, &mut facts.handles, is_held);
        let before = Before::gather(&self.proc);
        match options.stop {
            Stop::Nothing => self.running(facts, before),
            _ => self.stopped(facts, before, options, is_held, stop),
        }
    }

    /// Captures the process with its threads stopped by `stop`.
    pub(super) fn stopped(
        &mut self,
        facts: Facts,
        mut before: Before,
        options: &CaptureOptions,
        is_held: bool,
        stop: impl FnOnce(&ProcDir) -> Result<StoppedThreads>,
    ) -> Result<Capture> {
        self.expect_no_core()?;
        let mut plan = self.plan_clone(&facts, &before, options);
        expect_clone(&plan, self.proc.key, options)?;
        self.expect_pause(&facts, &plan, options)?;
        if !options.large {
            before.list_pages(&self.proc, plan.is_err());
        }
        let _ = failpoint("before-stop");
        let _ = plan.as_mut().map(|plan| plan.set_up(options, is_held));
        // Those that are let go first would take the processor from the thread that lets the others go.
        let first = plan.is_ok().then(First::become_it);
        let mut threads = stop(&self.proc)?;
        let _ = failpoint("all-stopped");
        self.expect_same_program(&facts.process)?;
        let taken = wall_now();
        let mut warnings = Vec::new();
        let (since, list) = threads.with(|threads| {
            (
                threads.since,
                threads::list(&self.proc, threads, &mut before.threads, &mut warnings),
            )
        });
        let _ = failpoint("registers");
        let list = narrow::as_its_own(&facts, list);
        let made = plan.and_then(|plan| self.make_clone(plan, &before, &mut threads));
        expect_clone(&made, self.proc.key, options)?;
        let reason = match made {
            Ok(made) => {
                let seen = Seen {
                    facts,
                    threads: list,
                    taken,
                    warnings,
                };
                return self.cloned(made, threads, &before, seen);
            }
            Err(reason) => reason,
        };
        // It may stand for long only if that was said before.
        self.expect_pause(&facts, &Err(reason.clone()), options)?;
        drop(first);
        if options.stop == Stop::Clone {
            warnings.push(format!(
                "no clone could be made, because {reason}: the target was stopped"
            ));
        }
        let mut snapshot = self.snapshot(facts, &before, list, taken, &mut warnings)?;
        let held = Box::new(Standing(threads));
        let memory = LiveMemory::new(self.proc.living_tid(), self.proc.open_living("mem").ok());
        let memory = self.memory_of(memory, &mut snapshot.regions, &mut warnings);
        let mut capture = Capture::new(snapshot, memory, Some(held), Some(since), warnings);
        capture.in_place = Some(reason).filter(|_| options.large && options.stop != Stop::Hold);
        Ok(capture)
    }

    /// Fails if the kernel is writing the core of the process: a thread that is asked to stop breaks that off where it goes
    /// through a pipe (`pipe_write` in fs/pipe.c), and does not stop.
    fn expect_no_core(&self) -> Result<()> {
        let status = self.proc.read("status").unwrap_or_default();
        if status::field(&status, "CoreDumping") != Some("1") {
            return Ok(());
        }
        let what = format!(
            "process {} is dying of a signal, and the system is writing its core just now",
            self.proc.key
        );
        Err(Error::new(ErrorKind::TargetDied, what).advise(
            "See what takes the cores of this system: /proc/sys/kernel/core_pattern says it.",
        ))
    }

    /// Captures a process that has died and whose address space we keep (see [`death_watch`]), with what it has not touched of
    /// shared `objects` if that is wanted.
    pub(super) fn dead(
        &self,
        facts: Facts,
        deaths: &[Death],
        mut warnings: Vec<String>,
        objects: bool,
    ) -> Result<Capture> {
        let _ = failpoint("before-stop");
        let threads = deaths.iter().enumerate();
        let threads = threads.map(|(at, death)| death_watch::dead_thread(death, at == 0));
        let before = Before::gather(&self.proc);
        let threads = narrow::as_its_own(&facts, threads.collect());
        let mut snapshot = self.snapshot(facts, &before, threads, wall_now(), &mut warnings)?;
        let pages = match objects {
            true => shared_objects::find(&self.proc, &mut snapshot.regions, &mut warnings),
            false => FilePages::default(),
        };
        warnings.extend(shared_since(&snapshot.regions));
        let memory = Arc::new(WithObjects {
            memory: self.kept_memory()?,
            pages,
        });
        let memory = Arc::new(Guarded::new(memory, &snapshot.regions));
        let mut capture = Capture::new(snapshot, memory, None, None, warnings);
        capture.method = Method::Crash;
        Ok(capture)
    }

    /// Returns the memory of a process that has died, by the descriptor that was opened while it
    /// lived.
    pub(super) fn kept_memory(&self) -> Result<LiveMemory> {
        let mem = self.proc.open_living("mem");
        let mem = mem.map_err(|e| Error::of_process("opening the memory", self.proc.key, &e))?;
        Ok(LiveMemory::of_file(mem))
    }

    /// Checks that the process has not executed another program since its facts were read. No two
    /// programs have the same auxiliary vector, which contains random addresses.
    fn expect_same_program(&self, facts: &Process) -> Result<()> {
        let before = facts.file("auxv").unwrap_or_default();
        let now = self.proc.auxv();
        // One that is ending has none any more.
        match before.is_empty() || now.is_empty() || before == now {
            true => Ok(()),
            false => Err(executed(self.proc.key)),
        }
    }

    /// Captures the process while it runs: memory changes while it is copied.
    pub(super) fn running(&self, facts: Facts, mut before: Before) -> Result<Capture> {
        let mut warnings = vec![
            "the target was not stopped: memory changed while it was copied, and threads have only the registers that the kernel tells".to_owned(),
        ];
        let mut list: Vec<Thread> = std::mem::take(&mut before.threads);
        list.sort_by_key(|thread| thread.id);
        for thread in &mut list {
            thread.state = ThreadState::Unstopped("not asked to stop".to_owned());
            thread.registers = registers_of_running(&self.proc, thread.id);
        }
        let list = narrow::as_its_own(&facts, list);
        let mut snapshot = self.snapshot(facts, &before, list, wall_now(), &mut warnings)?;
        let memory = self.memory_of(self.running_memory(), &mut snapshot.regions, &mut warnings);
        self.expect_same_program(&snapshot.process)?;
        if !can_read(&snapshot, &memory) {
            let refused = std::io::Error::from_raw_os_error(libc::EPERM);
            return Err(super::rights::explain_refusal(&self.proc, None, &refused));
        }
        Ok(Capture::new(snapshot, memory, None, None, warnings))
    }

    /// Returns the memory to read from, and adds the pages that exist only in shared objects to the regions.
    pub(super) fn memory_of(
        &self,
        memory: LiveMemory,
        regions: &mut [Region],
        warnings: &mut Vec<Warning>,
    ) -> Arc<dyn Memory> {
        let on_demand = self.on_demand(regions);
        self.memory_with(on_demand, memory, regions, warnings)
    }

    /// The same, where what is looked at `on_demand` is known.
    pub(super) fn memory_with(
        &self,
        on_demand: Option<PagesOnDemand>,
        memory: LiveMemory,
        regions: &mut [Region],
        warnings: &mut Vec<Warning>,
    ) -> Arc<dyn Memory> {
        let patches = probe_patches::find(self.proc.key.pid, regions, &memory);
        let memory: Arc<dyn Memory> = Arc::new(WithObjects {
            memory: memory.patched(patches),
            pages: shared_objects::find(&self.proc, regions, warnings),
        });
        match on_demand {
            Some(pages) => Arc::new(Guarded::new(Arc::new(pages.of(memory)), regions)),
            None => Arc::new(Guarded::new(memory, regions)),
        }
    }

    /// What is to be looked at on demand; `None` if all pages are listed.
    pub(super) fn on_demand(&self, regions: &[Region]) -> Option<PagesOnDemand> {
        let is_unseen = regions.iter().any(|region| region.unseen);
        let pagemap = is_unseen.then(|| self.proc.open_living("pagemap"))?;
        Some(PagesOnDemand::new(pagemap.ok()?, regions))
    }

    /// Makes the snapshot: reads the memory map and finds out which pages exist.
    pub(super) fn snapshot(
        &self,
        facts: Facts,
        before: &Before,
        threads: Vec<Thread>,
        taken: WallTime,
        warnings: &mut Vec<Warning>,
    ) -> Result<Snapshot> {
        let failed =
            |e: std::io::Error| Error::of_process("reading the memory map", self.proc.key, &e);
        let text = self.proc.read_living("maps").map_err(failed)?;
        let (mut regions, bad) = snapshot::maps::parse(&text);
        warnings.extend(cut_off(text.len() as u64, &regions));
        drop(text);
        if bad > 0 {
            warnings.push(format!(
                "{bad} lines of the memory map could not be understood"
            ));
        }
        warnings.extend(too_many(&regions));
        warnings.extend(without_arguments(&facts.process));
        warnings.extend(handles::cut_names(&facts.handles));
        warnings.extend(before.sharers.clone());
        warnings.extend(before.unflagged.clone());
        self.complete(&mut regions, before, &threads)
            .map_err(failed)?;
        let mut system = before.system.clone();
        system.architecture = architecture_of(&threads);
        Ok(Snapshot {
            taken,
            process: facts.process,
            system,
            threads,
            modules: facts::modules(&regions),
            unloaded: Vec::new(),
            function_tables: Vec::new(),
            regions,
            handles: facts.handles,
            exception: None,
        })
    }

    /// Completes the regions of the memory map: flags, stacks, and which pages exist.
    fn complete(
        &self,
        regions: &mut [Region],
        before: &Before,
        threads: &[Thread],
    ) -> std::io::Result<()> {
        before.mark(regions);
        mark_stacks(regions, threads);
        before.listed.take_over(regions);
        let page_size = rustix::param::page_size() as u64;
        let pagemap = self.proc.open_living("pagemap")?;
        pages::fill(&pagemap, regions, page_size)?;
        whole_vdso(regions);
        Ok(())
    }
}

/// A thread that runs before ordinary ones until this is dropped, or goes on doing so.
struct First {
    was_one: bool,
}

impl First {
    fn become_it() -> Self {
        let was_one = priority::is_first();
        priority::raise_priority();
        Self { was_one }
    }
}

impl Drop for First {
    fn drop(&mut self) {
        if !self.was_one {
            priority::let_others();
        }
    }
}

/// Fails where nothing but a clone is to be copied, and there is none.
fn expect_clone<T>(
    made: &std::result::Result<T, String>,
    key: ProcessKey,
    options: &CaptureOptions,
) -> Result<()> {
    match made {
        Err(reason) if options.stop == Stop::OnlyClone => {
            let what = format!("no clone of process {key} can be made, because {reason}");
            let error = Error::new(ErrorKind::Unsupported, what);
            Err(error.advise("Without --clone, the process itself is copied while it stands."))
        }
        _ => Ok(()),
    }
}

/// Returns a warning if others may have written to the memory of a process since it died.
fn shared_since(regions: &[Region]) -> Option<Warning> {
    let shared = regions.iter().filter(|region| region.shared);
    let bytes: u64 = shared.map(Region::resident_bytes).sum();
    (bytes > 0).then(|| {
        format!(
            "{bytes} bytes of shared memory are as they were when they were read, after the death"
        )
    })
}

/// Returns a warning if the arguments are not known: a process may put them where somebody else has to provide them, and
/// then they are not read.
fn without_arguments(process: &Process) -> Option<Warning> {
    let is_without = process.file("cmdline").unwrap_or_default().is_empty();
    is_without.then(|| "its arguments could not be read, or it has none".to_owned())
}

/// Returns a sentence about mappings that did not fit into the text of so many bytes that was read.
fn cut_off(read: u64, regions: &[Region]) -> Option<Warning> {
    let is_cut = read + LONGEST_LINE > bounds::most("maps");
    is_cut.then(|| {
        format!(
            "only the first {} mappings are in this dump: the rest is missing, as the memory map is too long",
            regions.len()
        )
    })
}

/// Returns in sentences what is left out because there is too much of it.
fn too_many(regions: &[Region]) -> Vec<Warning> {
    let cut = regions.iter().filter(|r| r.name.starts_with(map_text::CUT));
    let cut = match cut.count() {
        0 => None,
        count => Some(format!(
            "the names of {count} mappings are cut: all names together are too long"
        )),
    };
    let images = (facts::modules(regions).len() == bounds::IMAGES)
        .then(|| format!("only the first {} images are listed", bounds::IMAGES));
    cut.into_iter().chain(images).collect()
}

/// The stopped threads, which [`Capture`] holds and releases.
struct Standing(StoppedThreads);

impl Held for Standing {
    fn check(&mut self) -> Result<()> {
        self.0.with(Threads::check)
    }

    fn release(&mut self) {
        self.0.release();
    }
}

/// Marks the whole vDSO as existing. The page tables may not show it yet, but reading it is
/// harmless, and a debugger needs all of it: its section headers are at its end.
fn whole_vdso(regions: &mut [Region]) {
    for region in regions.iter_mut().filter(|region| region.name == "[vdso]") {
        region.resident = vec![region.range];
        region.private_pages.clear();
    }
}

/// Marks stacks: anonymous memory that contains a stack pointer and lies above a region that cannot
/// be read.
fn mark_stacks(regions: &mut [Region], threads: &[Thread]) {
    for thread in threads {
        let Some(sp) = thread.registers.map(|registers| registers.sp()) else {
            continue;
        };
        let after = regions.partition_point(|region| region.range.start <= sp);
        let Some(at) = after.checked_sub(1) else {
            continue;
        };
        let guarded = at > 0 && {
            let below = &regions[at - 1];
            below.range.end == regions[at].range.start && !below.protection.read
        };
        let region = &mut regions[at];
        if guarded && region.kind == RegionKind::Private && region.range.contains(sp) {
            region.kind = RegionKind::Stack;
        }
    }
}

/// Returns whether any of the existing memory can be read.
fn can_read(snapshot: &Snapshot, memory: &Arc<dyn Memory>) -> bool {
    let mut byte = [0];
    let mut resident = snapshot
        .regions
        .iter()
        .flat_map(|region| &region.resident)
        .take(64);
    resident.any(|range| memory.read(range.start, &mut byte) == 1)
}
