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
use probe_program::{Maps, Wait, control};
use ring::Ring;
use std::{
    collections::HashMap,
    ffi::{CStr, CString},
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// How much room the probes of one process have.
struct Room {
    /// How many threads can be held at once; a power of two.
    slots: u32,
    /// How many types of exceptions can be told apart.
    kinds: u32,
    /// The size of the ring of reports in bytes.
    ring: u32,
}

/// Up to how many threads a process has few of them: few reports come at once. A server may have hundreds of processes, and
/// each takes this memory.
const FEW_THREADS: usize = 16;
const FOR_FEW: Room = Room {
    slots: 512,
    kinds: 2048,
    ring: ring::SMALL,
};
const FOR_MANY: Room = Room {
    slots: 4096,
    kinds: 2048,
    ring: ring::LARGE,
};

/// The uprobes of one process. They are removed when this is dropped, or when we end.
pub(crate) struct ThreadHolds {
    pid: u32,
    room: &'static Room,
    maps: Maps,
    ring: Ring,
    slots: SharedWords,
    control: SharedWords,
    /// Two words for each known type: whether it is held, and how many were not.
    verdicts: SharedWords,
    known: HashMap<u64, usize>,
    /// By the number that they report.
    probes: HashMap<u32, OwnedFd>,
    /// The number of lost reports that [`ThreadHolds::missed`] has returned so far.
    told: u64,
}

impl ThreadHolds {
    /// Prepares the probes of a process that has so many threads.
    ///
    /// # Errors
    /// If the kernel gives us no BPF maps, as without root.
    pub(crate) fn new(pid: u32, threads: usize) -> io::Result<Self> {
        Self::with(pid, Self::room_for(threads))
    }

    fn with(pid: u32, room: &'static Room) -> io::Result<Self> {
        let maps = Maps {
            slots: bpf::create_map(bpf::ARRAY, 4, 8, room.slots, bpf::MAPPABLE)?,
            slot_count: room.slots,
            control: bpf::create_map(bpf::ARRAY, 4, control::BYTES, 1, bpf::MAPPABLE)?,
            known: bpf::create_map(bpf::HASH, 8, 8, room.kinds, 0)?,
            verdicts: bpf::create_map(bpf::ARRAY, 4, 16, room.kinds, bpf::MAPPABLE)?,
        };
        let page = rustix::param::page_size();
        Ok(Self {
            pid,
            room,
            ring: Ring::new(room.ring)?,
            slots: SharedWords::new(&maps.slots, room.slots as usize * 8)?,
            control: SharedWords::new(&maps.control, page)?,
            verdicts: SharedWords::new(&maps.verdicts, room.kinds as usize * 16)?,
            known: HashMap::new(),
            maps,
            probes: HashMap::new(),
            told: 0,
        })
    }

    /// Returns whether this has enough room for a process that has so many threads by now, and for the types that it has
    /// thrown.
    pub(crate) fn has_room_for(&self, threads: usize) -> bool {
        let is_full = self.known.len() >= self.room.kinds as usize;
        let is_enough = !is_full && self.room.slots >= Self::room_for(threads).slots;
        is_enough || self.room.slots == FOR_MANY.slots
    }

    fn room_for(threads: usize) -> &'static Room {
        match threads <= FEW_THREADS {
            true => &FOR_FEW,
            false => &FOR_MANY,
        }
    }

    /// Removes the probes, and returns one without probes that has more room, and knows what this knows.
    ///
    /// # Errors
    /// As [`ThreadHolds::new`].
    pub(crate) fn enlarged(&mut self) -> io::Result<Self> {
        let mut larger = Self::with(self.pid, &FOR_MANY)?;
        self.probes.clear();
        let mut known: Vec<_> = self.known.iter().collect();
        known.sort_by_key(|(_, at)| **at);
        for (kind, at) in known {
            let word = |at: usize| self.verdicts.words()[at].load(Ordering::Acquire);
            larger.pass(*kind, word(at * 2) == 0)?;
            larger.verdicts.words()[at * 2 + 1].store(word(at * 2 + 1), Ordering::Release);
        }
        // With the numbers of holds: none of before is to be taken for one of those to come.
        let words = larger.control.words().iter().zip(self.control.words());
        words.for_each(|(new, old)| new.store(old.load(Ordering::Acquire), Ordering::Release));
        larger.told = self.told;
        Ok(larger)
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
        let path = CString::new(file.as_os_str().as_encoded_bytes())?;
        let probe = self
            .attach(number, &path, offset, kind)
            .or_else(|_| self.attach_by_perf(number, &path, offset, kind))?;
        self.probes.insert(number, probe);
        Ok(())
    }

    /// Takes the probe that reports this number out. It is removed when it is dropped, which may take a tenth of a second.
    pub(crate) fn take(&mut self, number: u32) -> Option<OwnedFd> {
        self.probes.remove(&number)
    }

    fn attach(
        &self,
        number: u32,
        path: &CStr,
        offset: u64,
        kind: Option<KindAt>,
    ) -> io::Result<OwnedFd> {
        failpoint("old-kernel")?;
        let program = self.load(number, kind, Wait::Yielding, Attach::Uprobe)?;
        bpf::attach_uprobe(&program, path, offset, self.pid)
    }

    fn attach_by_perf(
        &self,
        number: u32,
        path: &CStr,
        offset: u64,
        kind: Option<KindAt>,
    ) -> io::Result<OwnedFd> {
        let program = self.load_for_perf(number, kind)?;
        let probe = perf::uprobe(uprobe_kind()?, path, offset, self.pid)?;
        bpf::run_at(&probe, &program)?;
        Ok(probe)
    }

    /// Checks that the kernel takes our program, and has uprobes.
    pub(crate) fn try_program(&self) -> io::Result<()> {
        self.load_for_perf(0, Some(KindAt::default()))?;
        uprobe_kind().map(|_| ())
    }

    /// Loads the program of a place. Where the kernel takes none that may sleep, held threads keep
    /// their processor.
    fn load_for_perf(&self, number: u32, kind: Option<KindAt>) -> io::Result<OwnedFd> {
        let load = |wait| self.load(number, kind, wait, Attach::PerfEvent);
        load(Wait::Yielding).or_else(|_| load(Wait::Spinning))
    }

    fn load(
        &self,
        number: u32,
        kind: Option<KindAt>,
        wait: Wait,
        attach: Attach,
    ) -> io::Result<OwnedFd> {
        let program = probe_program::place(&self.maps, &self.ring.map, number, kind, wait);
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
        if at >= self.room.kinds as usize {
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
        probe_report::decode(&self.ring.next()?)
    }

    /// Returns whether the thread is still held.
    pub(crate) fn is_held(&self, hold: HoldId) -> bool {
        self.slot(hold).load(Ordering::Acquire) == hold.0
    }

    /// Returns the word that the program of this held thread watches.
    fn slot(&self, hold: HoldId) -> &AtomicU64 {
        &self.slots.words()[(hold.0 % u64::from(self.room.slots)) as usize]
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
        holds.control.words()[control::HELD as usize / 8].store(9, Ordering::Release);
        let larger = holds.enlarged().expect("maps");
        assert!(larger.has_room_for(100));
        assert_eq!((larger.passed(0x10), larger.passed(0x20)), (7, 0));
        let verdicts = [0, 2].map(|at| larger.verdicts.words()[at].load(Ordering::Acquire));
        assert_eq!(verdicts, [0, 1]);
        let held = larger.control.words()[control::HELD as usize / 8].load(Ordering::Acquire);
        assert_eq!(held, 9);
    }
}
