//! One attached process.

use super::{
    arch, corpse,
    events::{Events, Stopped},
    facts,
    memory::LiveMemory,
    pages, probes,
    proc::{
        ProcDir, machine,
        smaps::{SmapsReader, SpecialFlags},
        stat, status,
    },
    stop::{Hold, Threads, executed},
    sys::ptrace,
};
use crate::{
    ARCHITECTURE, Arming, Capture, CaptureOptions, Error, ErrorKind, Facts, Method, Result, Stop,
    Target, capture::Held, failpoint,
};
use snapshot::{
    Architecture, Memory, ProcessKey, Region, RegionKind, Registers, Snapshot, System, TargetEvent,
    Thread, ThreadState, WallTime, Warning,
};
use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// A Linux process, held by its directory in `/proc`.
pub(crate) struct LinuxTarget {
    pub(super) proc: ProcDir,
    facts: Option<Facts>,
    events: Events,
    /// What was known of it when its death began to be waited for.
    kept: Option<Facts>,
}

impl LinuxTarget {
    pub(crate) fn attach(key: ProcessKey) -> Result<Self> {
        let target = Self {
            proc: ProcDir::open(key)?,
            facts: None,
            events: Events::default(),
            kept: None,
        };
        target.refuse_early()?;
        Ok(target)
    }
}

impl Target for LinuxTarget {
    fn key(&self) -> ProcessKey {
        self.proc.key
    }

    fn facts(&mut self) -> Result<Facts> {
        if let Some(kept) = self.kept.as_ref().filter(|_| self.events.dead().is_some()) {
            return Ok(kept.clone());
        }
        let gathered = facts::gather(&self.proc);
        let facts = gathered.map_err(|e| Error::of_process("looking", self.proc.key, &e))?;
        self.facts = Some(facts.clone());
        Ok(facts)
    }

    fn arm(&mut self, what: &Arming) -> Result<Vec<String>> {
        if what.deaths {
            // One that is dying while it is armed anew has lost them.
            let facts = self.facts().ok().filter(|facts| !facts.modules.is_empty());
            self.kept = facts.or(self.kept.take());
        }
        self.events.arm(&mut self.proc, what)
    }

    fn wait(&mut self, limit: Duration) -> Result<TargetEvent> {
        Ok(self.events.wait(&mut self.proc, limit))
    }

    fn kind(&self) -> Option<u64> {
        self.events.kind()
    }

    fn registers(&self) -> Option<Registers> {
        self.events.registers()
    }

    fn is_deadly(&self) -> bool {
        self.events.is_deadly()
    }

    fn memory(&self) -> Arc<dyn Memory> {
        if self.events.dead().is_some()
            && let Ok(mem) = self.proc.open_living("mem")
        {
            return Arc::new(LiveMemory::of_file(mem));
        }
        let mem = self.proc.open_living("mem").ok();
        Arc::new(LiveMemory::new(self.proc.living_tid, mem))
    }

    fn is_standing(&self) -> bool {
        self.events.is_standing()
    }

    fn stay(&mut self) -> Result<bool> {
        self.events.stay(&self.proc)
    }

    fn go_on(&mut self) {
        self.events.go_on();
    }

    fn go_on_with_capture(&mut self, with: bool) {
        self.events.go_on_with_capture = with;
    }

    fn pass(&mut self, kind: u64, pass: bool) {
        self.events.pass(kind, pass);
    }

    fn passed(&self, kind: u64) -> u64 {
        self.events.passed(kind)
    }

    fn missed(&mut self) -> u64 {
        self.events.missed()
    }

    fn capture(&mut self, options: &CaptureOptions) -> Result<Capture> {
        let facts = match self.facts.take() {
            Some(facts) => facts,
            None => self.facts()?,
        };
        let before = Before::gather(&self.proc);
        let _ = failpoint("before-stop");
        if self.events.dead().is_some() {
            return self.dead(facts, before);
        }
        match options.stop {
            Stop::Threads => self.stopped(facts, before, options),
            Stop::Nothing => self.running(facts, before),
        }
    }
}

/// What is read before the stop, to keep the stop short.
pub(super) struct Before {
    /// Regions with special flags: smaps walks the page tables, 3 ms a GiB.
    special: SpecialFlags,
    /// Devices of file systems that may hang.
    remote: Vec<u64>,
    /// Names and times by thread.
    threads: HashMap<i32, Thread>,
    /// The machine.
    system: System,
}

impl Before {
    fn gather(proc: &ProcDir) -> Self {
        let tasks = proc.tasks().unwrap_or_default().into_iter();
        Self {
            threads: tasks.map(|tid| (tid, describe(proc, tid))).collect(),
            ..Self::without_threads(proc)
        }
    }

    /// Where the threads are known already: there may be ten thousand of them.
    pub(super) fn without_threads(proc: &ProcDir) -> Self {
        let mountinfo = proc.read("mountinfo").unwrap_or_default();
        Self {
            special: special_regions(proc),
            remote: machine::remote_devices(&mountinfo),
            threads: HashMap::new(),
            system: machine::system(),
        }
    }
}

impl LinuxTarget {
    /// What can be told without touching the process.
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

    fn stopped(
        &mut self,
        facts: Facts,
        mut before: Before,
        options: &CaptureOptions,
    ) -> Result<Capture> {
        let deadline = Instant::now() + options.thread_deadline;
        let mut threads = self.events.stop_all(&self.proc, deadline)?;
        let _ = failpoint("all-stopped");
        self.expect_same_program(&facts)?;
        let taken = wall_now();
        let mut warnings = Vec::new();
        let (since, list) = threads.with(|threads| {
            (
                threads.since,
                self.threads(threads, &mut before, &mut warnings),
            )
        });
        let _ = failpoint("registers");
        let snapshot = self.snapshot(facts, &before, list, taken, &mut warnings)?;
        let held = Box::new(Standing { threads });
        let memory = self.memory_of(&snapshot.regions);
        Ok(Capture::new(
            snapshot,
            memory,
            Some(held),
            Some(since),
            warnings,
        ))
    }

    /// A process that has died, and whose address space is kept.
    fn dead(&self, facts: Facts, before: Before) -> Result<Capture> {
        let deaths = self.events.dead().unwrap_or_default();
        let threads = deaths.iter().enumerate();
        let threads = threads.map(|(at, death)| corpse::thread(death, at == 0));
        let mut warnings = vec![
            "the process had died: threads have their general registers, descriptors and times are \
             those of the beginning"
                .to_owned(),
        ];
        let threads = threads.collect();
        let snapshot = self.snapshot(facts, &before, threads, wall_now(), &mut warnings)?;
        let memory = self.memory();
        let mut capture = Capture::new(snapshot, memory, None, None, warnings);
        capture.method = Method::Crash;
        Ok(capture)
    }

    /// Refuses a process that executed another program after its facts were gathered: no two have
    /// the same auxiliary vector, which holds random addresses.
    fn expect_same_program(&self, facts: &Facts) -> Result<()> {
        let mut files = facts.process.files.iter();
        let before = files.find_map(|(name, bytes)| (name == "auxv").then_some(bytes));
        let now = self.proc.read_living("auxv");
        match (before, now) {
            (Some(before), Ok(now)) if !before.is_empty() && *before != now => {
                Err(executed(self.proc.key))
            }
            _ => Ok(()),
        }
    }

    fn running(&self, facts: Facts, mut before: Before) -> Result<Capture> {
        let mut warnings = vec![
            "the target was not stopped: memory changed while it was copied, and threads have only the registers that the kernel tells".to_owned(),
        ];
        let mut list: Vec<Thread> = before.threads.drain().map(|(_, thread)| thread).collect();
        list.sort_by_key(|thread| thread.id);
        for thread in &mut list {
            thread.state = ThreadState::Unstopped("not asked to stop".to_owned());
            thread.registers = registers_of_running(&self.proc, thread.id);
        }
        let snapshot = self.snapshot(facts, &before, list, wall_now(), &mut warnings)?;
        let memory = self.memory_of(&snapshot.regions);
        if !can_read(&snapshot, &memory) {
            let refused = std::io::Error::from_raw_os_error(libc::EPERM);
            return Err(super::rights::explain_refusal(&self.proc, None, &refused));
        }
        Ok(Capture::new(snapshot, memory, None, None, warnings))
    }

    fn memory_of(&self, regions: &[Region]) -> Arc<dyn Memory> {
        let mem = self.proc.open_living("mem").ok();
        let memory = LiveMemory::new(self.proc.living_tid, mem);
        let patches = probes::find(self.proc.key.pid, regions, &memory);
        Arc::new(memory.patched(patches))
    }

    /// What was read of a thread before is moved, not copied: there may be ten thousand.
    fn threads(
        &self,
        held: &Threads,
        before: &mut Before,
        warnings: &mut Vec<Warning>,
    ) -> Vec<Thread> {
        let mut list: Vec<Thread> = Vec::with_capacity(held.held.len());
        let mut unstopped = 0;
        let mut buffer = arch::extended_buffer();
        for (&tid, &hold) in &held.held {
            let known = before.threads.remove(&tid);
            let mut thread = known.unwrap_or_else(|| describe(&self.proc, tid));
            thread.blocked = ptrace::blocked_signals(tid).unwrap_or(thread.blocked);
            fill_registers(&self.proc, &mut thread, hold, &mut buffer);
            unstopped += usize::from(matches!(thread.state, ThreadState::Unstopped(_)));
            list.push(thread);
        }
        if unstopped > 0 {
            warnings.push(format!(
                "{unstopped} threads could not be stopped (in an uninterruptible system call); their registers are the few that the kernel tells"
            ));
        }
        before.threads = HashMap::new();
        list.sort_by_key(|thread| (thread.id != self.proc.key.pid, thread.id));
        list
    }

    pub(super) fn snapshot(
        &self,
        mut facts: Facts,
        before: &Before,
        threads: Vec<Thread>,
        taken: WallTime,
        warnings: &mut Vec<Warning>,
    ) -> Result<Snapshot> {
        let failed =
            |e: std::io::Error| Error::of_process("reading the memory map", self.proc.key, &e);
        let text = self.proc.read_living("maps").map_err(failed)?;
        let (mut regions, bad) = snapshot::maps::parse(&text);
        if bad > 0 {
            warnings.push(format!(
                "{bad} lines of the memory map could not be understood"
            ));
        }
        mark_special(&mut regions, before);
        mark_stacks(&mut regions, &threads);
        let page_size = rustix::param::page_size() as u64;
        let pagemap = self.proc.open_living("pagemap").map_err(failed)?;
        pages::fill(&pagemap, &mut regions, page_size).map_err(failed)?;
        whole_vdso(&mut regions);
        let narrow = matches!(
            threads.first().and_then(|t| t.registers),
            Some(Registers::X86(_))
        );
        let mut system = before.system.clone();
        system.architecture = if narrow {
            Architecture::X86
        } else {
            ARCHITECTURE
        };
        facts.process.files.push(("maps".to_owned(), text));
        Ok(Snapshot {
            taken,
            process: facts.process,
            system,
            threads,
            modules: facts::modules(&regions),
            unloaded: Vec::new(),
            regions,
            handles: facts.handles,
            exception: None,
        })
    }
}

/// The threads that stand, as [`Capture`] holds them.
struct Standing {
    threads: Stopped,
}

impl Held for Standing {
    fn check(&mut self) -> Result<()> {
        self.threads.with(Threads::check)
    }

    fn release(&mut self) {
        self.threads.release();
    }
}

pub(crate) fn wall_now() -> WallTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    WallTime(since.as_nanos() as i64)
}

/// What `/proc` says of a thread.
pub(super) fn describe(proc: &ProcDir, tid: i32) -> Thread {
    let text = proc.read(&format!("task/{tid}/stat")).unwrap_or_default();
    let stat = stat::parse(&text).unwrap_or_default();
    let status_text = proc.read(&format!("task/{tid}/status")).unwrap_or_default();
    Thread {
        id: tid as u32,
        name: stat.comm,
        letter: if stat.state == '\0' { ' ' } else { stat.state },
        pending: status::mask(&status_text, "SigPnd").unwrap_or(0),
        blocked: status::mask(&status_text, "SigBlk").unwrap_or(0),
        user_time: machine::ticks_to_duration(stat.user_ticks),
        kernel_time: machine::ticks_to_duration(stat.kernel_ticks),
        priority: stat.nice,
        ..Thread::default()
    }
}

fn fill_registers(proc: &ProcDir, thread: &mut Thread, hold: Hold, buffer: &mut [u8]) {
    let tid = thread.id as i32;
    match hold {
        Hold::Pending => {
            thread.state = ThreadState::Unstopped("uninterruptible".to_owned());
            thread.registers = registers_of_running(proc, thread.id);
        }
        Hold::Running => {}
        Hold::Stopped | Hold::GroupStop(_) | Hold::Signal(_) | Hold::Trapped(_) | Hold::Exiting => {
            thread.registers = arch::general(tid).ok();
            thread.extended = arch::extended(tid, buffer).unwrap_or_default();
            match hold {
                Hold::GroupStop(signal) => {
                    thread.state = ThreadState::AlreadyStopped;
                    thread.signal = signal;
                }
                Hold::Signal(signal) => {
                    thread.signal = signal;
                    thread.siginfo = ptrace::signal_info(tid).ok().map(Vec::from);
                }
                _ => {}
            }
        }
    }
}

/// Stack and instruction pointer of a thread in a system call (`/proc/TID/syscall`: number, six
/// arguments, sp, pc), nothing of one that runs.
fn registers_of_running(proc: &ProcDir, tid: u32) -> Option<Registers> {
    let text = proc.read(&format!("task/{tid}/syscall")).ok()?;
    let text = String::from_utf8(text).ok()?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let hex = |word: &&str| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok();
    match words.as_slice() {
        [.., sp, pc] if words.len() >= 3 => Some(arch::from_syscall_file(hex(sp)?, hex(pc)?)),
        _ => None,
    }
}

fn special_regions(proc: &ProcDir) -> SpecialFlags {
    let mut reader = SmapsReader::default();
    let Ok(file) = proc.open_living("smaps") else {
        return reader.special;
    };
    let mut lines = BufReader::with_capacity(64 << 10, file);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        reader.line(line.trim_ascii_end());
        line.clear();
    }
    reader.special
}

fn mark_special(regions: &mut [Region], before: &Before) {
    for region in regions {
        if let Some(flags) = before.special.get(&region.range) {
            region.dont_dump = flags.dont_dump && region.kind != RegionKind::Kernel;
            region.untouchable = flags.device && region.kind != RegionKind::Kernel;
            region.hugetlb = flags.hugetlb;
        }
        region.remote = region.inode != 0 && before.remote.contains(&region.device);
    }
}

/// The kernel's code in the process is there also where the page tables do not show it yet, and
/// reading it is harmless; a debugger wants all of it, its section headers stand at its end.
fn whole_vdso(regions: &mut [Region]) {
    for region in regions.iter_mut().filter(|region| region.name == "[vdso]") {
        region.resident = vec![region.range];
        region.private_pages.clear();
    }
}

/// Anonymous memory that a stack pointer lies in and a guard lies below is a stack.
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

/// Whether any memory can be read at all.
fn can_read(snapshot: &Snapshot, memory: &Arc<dyn Memory>) -> bool {
    let mut byte = [0];
    let mut resident = snapshot
        .regions
        .iter()
        .flat_map(|region| &region.resident)
        .take(64);
    resident.any(|range| memory.read(range.start, &mut byte) == 1)
}
