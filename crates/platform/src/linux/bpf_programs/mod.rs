//! BPF programs that report what a process does, without attaching to it.
//!
//! [`ThreadHolds`] are uprobes that hold a thread at a place in the code. The probe runs a small
//! program in the kernel, in the thread that came there. The program checks whether this hit is
//! wanted, reports it, and keeps the thread there until we have asked it to stop by ptrace, or for
//! at most 100 ms (20 before Linux 6.0): it ends by itself, whatever happens to us. Between hits nothing is attached, and
//! nothing of the target is changed but one byte of code, which the kernel restores when the
//! probe's descriptor is closed. An unwanted hit costs half a microsecond.
//!
//! [`Deaths`], [`Executions`], [`ExecutedNames`], [`SignalSenders`] and [`StderrWrites`] are programs at tracepoints of the
//! kernel, which hold no thread; with [`Catching`], those that die while nobody waits for it are held.

mod death_holds;
mod death_program;
mod deaths;
mod executed_names;
mod executions;
mod held_deaths;
mod instructions;
mod pids;
mod probe_program;
mod probe_report;
mod ring;
mod signal_senders;
mod stderr_writes;

pub(crate) use death_program::Death;
pub(crate) use deaths::{Catching, Caught, Deaths, HeldThread, Others};
pub(crate) use executed_names::ExecutedNames;
pub(crate) use executions::{Executed, Executions};
pub(crate) use held_deaths::{Held, HeldDeaths};
pub(crate) use probe_report::Report;
pub(crate) use signal_senders::SignalSenders;
pub(crate) use stderr_writes::StderrWrites;

pub(crate) use probe_report::HoldId;

use super::pid_namespace::expect_pids_of_the_machine;
use super::sys::{
    bpf::{self, Attach, ProgramType, SharedWords},
    perf,
};
use crate::{KindAt, failpoint};
use probe_program::{Maps, ReportsTo, SLOTS, Wait, control};
use ring::Ring;
use std::{
    collections::HashMap,
    ffi::{CStr, CString},
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// How many types of exceptions can be told apart in one process.
const KINDS: u32 = 2048;

/// Up to how many threads a process has few of them: few reports come at once. A server may have hundreds of processes, and
/// each takes this memory.
const FEW_THREADS: usize = 16;

/// The uprobes of one process. They are removed when this is dropped, or when we end.
pub(crate) struct ThreadHolds {
    pid: u32,
    /// Whether the process had few threads.
    has_few: bool,
    maps: Maps,
    ring: Ring,
    slots: SharedWords,
    control: SharedWords,
    /// Two words for each known type: whether it is held, and how many were not.
    verdicts: SharedWords,
    known: HashMap<u64, usize>,
    /// By the number that they report.
    probes: HashMap<u32, OwnedFd>,
    /// The generation of these probes.
    generation: u32,
    /// The next generation, which does not report yet.
    next: Option<Larger>,
    /// The ring of the generation before, into which a thread may have been about to report.
    before: Option<Ring>,
    /// The number of lost reports that [`ThreadHolds::missed`] has returned so far.
    told: u64,
}

/// Probes that report into a larger ring, beside those that report now. Only when each place has both is it changed which of
/// them report: to remove the old ones first took the kernel half a second, in which nothing that was thrown was seen.
struct Larger {
    since: Instant,
    ring: Ring,
    probes: HashMap<u32, OwnedFd>,
}

/// How long a moment is waited for in which no thread is held, which would be reported by both generations.
const LONGEST_GROWTH: Duration = Duration::from_secs(1);

impl ThreadHolds {
    /// Prepares the probes of a process that has so many threads.
    ///
    /// # Errors
    /// If the kernel gives us no BPF maps, as without root.
    pub(crate) fn new(pid: u32, threads: usize) -> io::Result<Self> {
        let maps = Maps {
            slots: bpf::create_map(bpf::ARRAY, 4, 8, SLOTS, bpf::MAPPABLE)?,
            control: bpf::create_map(bpf::ARRAY, 4, control::BYTES, 1, bpf::MAPPABLE)?,
            known: bpf::create_map(bpf::HASH, 8, 8, KINDS, 0)?,
            verdicts: bpf::create_map(bpf::ARRAY, 4, 16, KINDS, bpf::MAPPABLE)?,
        };
        let page = rustix::param::page_size();
        let has_few = Self::has_few(threads);
        Ok(Self {
            pid,
            has_few,
            ring: Ring::new(if has_few { ring::SMALL } else { ring::LARGE })?,
            slots: SharedWords::new(&maps.slots, SLOTS as usize * 8)?,
            control: SharedWords::new(&maps.control, page)?,
            verdicts: SharedWords::new(&maps.verdicts, KINDS as usize * 16)?,
            known: HashMap::new(),
            maps,
            probes: HashMap::new(),
            generation: 0,
            next: None,
            before: None,
            told: 0,
        })
    }

    /// Returns whether this has enough room for a process that has so many threads by now.
    pub(crate) fn has_room_for(&self, threads: usize) -> bool {
        !self.has_few || self.next.is_some() || Self::has_few(threads)
    }

    fn has_few(threads: usize) -> bool {
        threads <= FEW_THREADS
    }

    /// Begins a generation of probes with more room. Each place has to be [named](ThreadHolds::at_larger_place) for it.
    ///
    /// # Errors
    /// As [`ThreadHolds::new`].
    pub(crate) fn begin_to_grow(&mut self) -> io::Result<()> {
        self.next = Some(Larger {
            since: Instant::now(),
            ring: Ring::new(ring::LARGE)?,
            probes: HashMap::new(),
        });
        Ok(())
    }

    /// Has the new generation report if there is one, and no thread is held. Returns the probes of the old one, which report
    /// no more: to remove them takes time.
    pub(crate) fn grow(&mut self) -> Vec<OwnedFd> {
        let since = self.next.as_ref().map(|next| next.since.elapsed());
        let is_time = since.is_some_and(|since| since > LONGEST_GROWTH || self.is_quiet());
        let Some(larger) = self.next.take_if(|_| is_time) else {
            return Vec::new();
        };
        self.generation += 1;
        let reporting = &self.control.words()[control::GENERATION as usize / 8];
        reporting.store(self.generation.into(), Ordering::Release);
        self.has_few = false;
        self.before = Some(std::mem::replace(&mut self.ring, larger.ring));
        let old = std::mem::replace(&mut self.probes, larger.probes);
        old.into_values().collect()
    }

    /// Whether no thread is held, and none has been reported.
    fn is_quiet(&self) -> bool {
        let mut slots = self.slots.words().iter();
        self.ring.is_empty() && slots.all(|slot| slot.load(Ordering::Acquire) == 0)
    }

    /// Whether a place has a probe that reports.
    pub(crate) fn has(&self, number: u32) -> bool {
        self.probes.contains_key(&number)
    }

    /// Holds threads at `offset` bytes of a file, and reports them under `number`. If `kind` tells
    /// where the type of the thrown exception is, threads that throw a type that is known and not
    /// wanted are not held.
    ///
    /// # Errors
    /// If the kernel does not take the program or the probe.
    pub(crate) fn at_place(
        &mut self,
        number: u32,
        file: &Path,
        offset: u64,
        kind: Option<KindAt>,
    ) -> io::Result<()> {
        let probe = self.attach_any(&self.reports_now(), number, file, offset, kind)?;
        self.probes.insert(number, probe);
        self.at_larger_place(number, file, offset, kind)
    }

    /// Also has the new generation of probes hold threads at a place, if there is one.
    ///
    /// # Errors
    /// As [`ThreadHolds::at_place`].
    pub(crate) fn at_larger_place(
        &mut self,
        number: u32,
        file: &Path,
        offset: u64,
        kind: Option<KindAt>,
    ) -> io::Result<()> {
        let Some(mut next) = self.next.take() else {
            return Ok(());
        };
        let to = ReportsTo {
            ring: &next.ring.map,
            generation: self.generation + 1,
        };
        let attached = self.attach_any(&to, number, file, offset, kind);
        let attached = attached.map(|probe| drop(next.probes.insert(number, probe)));
        // Without one of its places it never reports.
        self.next = attached.is_ok().then_some(next);
        attached
    }

    /// Takes the probes that report this number out. They are removed when they are dropped, which may take a tenth of a
    /// second.
    pub(crate) fn take(&mut self, number: u32) -> Vec<OwnedFd> {
        let next = self.next.as_mut();
        let larger = next.and_then(|next| next.probes.remove(&number));
        self.probes
            .remove(&number)
            .into_iter()
            .chain(larger)
            .collect()
    }

    fn reports_now(&self) -> ReportsTo<'_> {
        ReportsTo {
            ring: &self.ring.map,
            generation: self.generation,
        }
    }

    fn attach_any(
        &self,
        to: &ReportsTo<'_>,
        number: u32,
        file: &Path,
        offset: u64,
        kind: Option<KindAt>,
    ) -> io::Result<OwnedFd> {
        let path = CString::new(file.as_os_str().as_encoded_bytes())?;
        self.attach(to, number, &path, offset, kind)
            .or_else(|_| self.attach_by_perf(to, number, &path, offset, kind))
    }

    fn attach(
        &self,
        to: &ReportsTo<'_>,
        number: u32,
        path: &CStr,
        offset: u64,
        kind: Option<KindAt>,
    ) -> io::Result<OwnedFd> {
        failpoint("old-kernel")?;
        let program = self.load(to, number, kind, Wait::Yielding, Attach::Uprobe)?;
        bpf::attach_uprobe(&program, path, offset, self.pid)
    }

    fn attach_by_perf(
        &self,
        to: &ReportsTo<'_>,
        number: u32,
        path: &CStr,
        offset: u64,
        kind: Option<KindAt>,
    ) -> io::Result<OwnedFd> {
        let program = self.load_for_perf(to, number, kind)?;
        let probe = perf::uprobe(uprobe_kind()?, path, offset, self.pid)?;
        bpf::run_at(&probe, &program)?;
        Ok(probe)
    }

    /// Checks that the kernel takes our program, and has uprobes.
    pub(crate) fn try_program(&self) -> io::Result<()> {
        self.load_for_perf(&self.reports_now(), 0, Some(KindAt::default()))?;
        uprobe_kind().map(|_| ())
    }

    /// Loads the program of a place. Where the kernel takes none that may sleep, held threads keep
    /// their processor.
    fn load_for_perf(
        &self,
        to: &ReportsTo<'_>,
        number: u32,
        kind: Option<KindAt>,
    ) -> io::Result<OwnedFd> {
        let load = |wait| self.load(to, number, kind, wait, Attach::PerfEvent);
        load(Wait::Yielding).or_else(|_| load(Wait::Spinning))
    }

    fn load(
        &self,
        to: &ReportsTo<'_>,
        number: u32,
        kind: Option<KindAt>,
        wait: Wait,
        attach: Attach,
    ) -> io::Result<OwnedFd> {
        let program = probe_program::place(&self.maps, to, number, kind, wait);
        let flags = match wait {
            Wait::Yielding => bpf::SLEEPABLE,
            Wait::Spinning => 0,
        };
        let (words, functions) = (program.words(), program.functions());
        bpf::load_with(ProgramType::Probe, words, functions, flags, attach)
    }

    /// Sets whether threads that throw exceptions of this type go on at once, and are counted. If
    /// there is no room for another type, its threads are always held.
    pub(crate) fn pass(&mut self, kind: u64, pass: bool) -> io::Result<()> {
        let next = self.known.len();
        let at = self.known.get(&kind).copied().unwrap_or(next);
        if at >= KINDS as usize {
            return Ok(());
        }
        self.verdicts.words()[at * 2].store(u64::from(!pass), Ordering::Release);
        if at == next {
            bpf::set(&self.maps.known, kind, at as u64)?;
            self.known.insert(kind, at);
        }
        Ok(())
    }

    /// Forgets all types, so that there is room for others: another program has its own.
    pub(crate) fn forget_kinds(&mut self) {
        for (kind, at) in self.known.drain() {
            let _ = bpf::remove(&self.maps.known, kind);
            self.verdicts.words()[at * 2 + 1].store(0, Ordering::Release);
        }
    }

    /// Returns how many exceptions of this type were not held.
    pub(crate) fn passed(&self, kind: u64) -> u64 {
        let at = self.known.get(&kind);
        at.map_or(0, |at| {
            self.verdicts.words()[at * 2 + 1].load(Ordering::Acquire)
        })
    }

    /// Returns a descriptor that can be read as soon as there is a report.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.ring.map.as_fd()
    }

    /// Returns the next report, if there is one.
    pub(crate) fn next(&self) -> Option<Report> {
        let old = self.before.as_ref().and_then(Ring::next);
        probe_report::decode(&old.or_else(|| self.ring.next())?)
    }

    /// Returns whether the thread is still held.
    pub(crate) fn is_held(&self, hold: HoldId) -> bool {
        self.slot(hold).load(Ordering::Acquire) == hold.0
    }

    /// Returns the word that the program of this held thread watches.
    fn slot(&self, hold: HoldId) -> &AtomicU64 {
        &self.slots.words()[(hold.0 % u64::from(SLOTS)) as usize]
    }

    /// Lets a held thread go on.
    pub(crate) fn let_go(&self, hold: HoldId) {
        let slot = self.slot(hold);
        let _ = slot.compare_exchange(hold.0, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Returns how many hits were not reported since the last call, for lack of room in the ring.
    pub(crate) fn missed(&mut self) -> u64 {
        let lost = &self.control.words()[control::LOST as usize / 8];
        let all = lost.load(Ordering::Acquire);
        let new = all - self.told;
        self.told = all;
        new
    }
}

impl Drop for ThreadHolds {
    /// Removes the probes, and lets all held threads go on.
    fn drop(&mut self) {
        self.probes.clear();
        self.next = None;
        self.slots
            .words()
            .iter()
            .for_each(|slot| slot.store(0, Ordering::Release));
    }
}

/// Returns the type of uprobe events, which the kernel assigns when it starts (perf_event_open(2),
/// "dynamic PMU").
fn uprobe_kind() -> io::Result<u32> {
    let text = fs::read_to_string("/sys/bus/event_source/devices/uprobe/type")?;
    let kind = text.trim().parse();
    kind.map_err(|_| io::Error::other("the kernel tells no event type for uprobes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs root, as the maps themselves.
    #[test]
    fn n56_who_has_more_threads_gets_more_room_and_what_is_known_stays() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let mut holds = ThreadHolds::new(std::process::id(), 1).expect("maps");
        assert!(holds.has_room_for(FEW_THREADS) && !holds.has_room_for(FEW_THREADS + 1));
        holds.pass(0x10, true).expect("room");
        holds.pass(0x20, false).expect("room");
        holds.verdicts.words()[1].store(7, Ordering::Release);
        holds.begin_to_grow().expect("maps");
        assert!(holds.has_room_for(100));
        let reports = |holds: &ThreadHolds| {
            holds.control.words()[control::GENERATION as usize / 8].load(Ordering::Acquire)
        };
        // A thread is held, of which both generations would tell.
        holds.slots.words()[3].store(3, Ordering::Release);
        holds.grow();
        assert_eq!(reports(&holds), 0);
        holds.let_go(HoldId(3));
        holds.grow();
        assert_eq!(reports(&holds), 1);
        assert!(holds.has_room_for(100) && holds.next.is_none());
        assert_eq!((holds.passed(0x10), holds.passed(0x20)), (7, 0));
        let verdicts = [0, 2].map(|at| holds.verdicts.words()[at].load(Ordering::Acquire));
        assert_eq!(verdicts, [0, 1]);
    }
}
