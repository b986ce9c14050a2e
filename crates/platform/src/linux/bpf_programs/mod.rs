//! Holding a thread at a place without being attached to its process.
//!
//! A probe runs a small program in the kernel, in the thread that came by. The program looks
//! whether this hit is wanted, tells us, and keeps the thread there until we have asked it to stop
//! by ptrace, or until 20 ms are over: it ends by itself whatever becomes of us. Between hits
//! nothing is attached, nothing of the target is changed but a byte of text that the kernel takes
//! back with the probe's descriptor, and an unwanted hit costs half a microsecond.

mod deaths;
mod instructions;
mod probe_program;
mod probe_report;
mod ring;
mod signal_senders;
mod stderr_writes;

pub(crate) use deaths::{Death, Deaths};
pub(crate) use probe_report::Report;
pub(crate) use signal_senders::SignalSenders;
pub(crate) use stderr_writes::StderrWrites;

pub(crate) use probe_report::HoldId;

use super::sys::{
    bpf::{self, ProgramType, SharedWords},
    perf,
};
use crate::KindAt;
use probe_program::{Maps, SLOTS, control};
use ring::Ring;
use std::{
    collections::HashMap,
    ffi::CString,
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// Kinds of thrown things that are told apart in one process.
const KINDS: u32 = 16_384;

/// The probes of one process. They go when this is dropped, or with us.
pub(crate) struct ThreadHolds {
    pid: u32,
    maps: Maps,
    ring: Ring,
    slots: SharedWords,
    control: SharedWords,
    /// Two words for each known kind: whether it is held, and how many were not.
    verdicts: SharedWords,
    known: HashMap<u64, usize>,
    probes: Vec<OwnedFd>,
    /// What [`ThreadHolds::missed`] has told already.
    told: u64,
}

impl ThreadHolds {
    /// Makes ready for a process; fails where the kernel has no BPF for us.
    pub(crate) fn new(pid: u32) -> io::Result<Self> {
        let maps = Maps {
            slots: bpf::create_map(bpf::ARRAY, 4, 8, SLOTS, bpf::MAPPABLE)?,
            control: bpf::create_map(bpf::ARRAY, 4, control::BYTES, 1, bpf::MAPPABLE)?,
            known: bpf::create_map(bpf::HASH, 8, 8, KINDS, 0)?,
            verdicts: bpf::create_map(bpf::ARRAY, 4, 16, KINDS, bpf::MAPPABLE)?,
        };
        let page = rustix::param::page_size();
        Ok(Self {
            pid,
            ring: Ring::new()?,
            slots: SharedWords::new(&maps.slots, SLOTS as usize * 8, 0, true)?,
            control: SharedWords::new(&maps.control, page, 0, true)?,
            verdicts: SharedWords::new(&maps.verdicts, KINDS as usize * 16, 0, true)?,
            known: HashMap::new(),
            maps,
            probes: Vec::new(),
            told: 0,
        })
    }

    /// Holds threads at `offset` of a file: each, or with what tells the kind of what is thrown
    /// there, those of a kind that is not known to be unwanted.
    pub(crate) fn at_place(
        &mut self,
        number: u32,
        file: &Path,
        offset: u64,
        kind: Option<KindAt>,
    ) -> io::Result<()> {
        let path = CString::new(file.as_os_str().as_encoded_bytes())?;
        let program = probe_program::place(&self.maps, &self.ring.map, number, kind);
        let program = bpf::load_with(ProgramType::Probe, program.words(), program.functions())?;
        let probe = perf::uprobe(uprobe_kind()?, &path, offset, self.pid)?;
        bpf::run_at(&probe, &program)?;
        self.probes.push(probe);
        Ok(())
    }

    /// Whether the kernel takes our program, and has uprobes.
    pub(crate) fn try_program(&self) -> io::Result<()> {
        let program = probe_program::place(&self.maps, &self.ring.map, 0, Some(KindAt::default()));
        bpf::load_with(ProgramType::Probe, program.words(), program.functions())?;
        uprobe_kind().map(|_| ())
    }

    /// Lets threads that throw this kind go on at once, and counts them; or no longer. More kinds
    /// than there is room for are always held.
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

    /// How many of a kind went on without being held.
    pub(crate) fn passed(&self, kind: u64) -> u64 {
        let at = self.known.get(&kind);
        at.map_or(0, |at| {
            self.verdicts.words()[at * 2 + 1].load(Ordering::Acquire)
        })
    }

    /// Can be read as soon as there is a report.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.ring.map.as_fd()
    }

    /// The next report, if there is one.
    pub(crate) fn next(&self) -> Option<Report> {
        probe_report::decode(&self.ring.next()?)
    }

    /// Whether the thread is still held.
    pub(crate) fn is_held(&self, hold: HoldId) -> bool {
        self.slot(hold).load(Ordering::Acquire) == hold.0
    }

    fn slot(&self, hold: HoldId) -> &AtomicU64 {
        &self.slots.words()[(hold.0 % u64::from(SLOTS)) as usize]
    }

    /// Lets a held thread go on.
    pub(crate) fn let_go(&self, hold: HoldId) {
        let slot = self.slot(hold);
        let _ = slot.compare_exchange(hold.0, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Hits that were not reported, for lack of room, since the last time.
    pub(crate) fn missed(&mut self) -> u64 {
        let lost = &self.control.words()[control::LOST as usize / 8];
        let all = lost.load(Ordering::Acquire);
        let new = all - self.told;
        self.told = all;
        new
    }
}

impl Drop for ThreadHolds {
    /// Nobody waits for us any more.
    fn drop(&mut self) {
        self.probes.clear();
        self.slots
            .words()
            .iter()
            .for_each(|slot| slot.store(0, Ordering::Release));
    }
}

fn uprobe_kind() -> io::Result<u32> {
    let text = fs::read_to_string("/sys/bus/event_source/devices/uprobe/type")?;
    let kind = text.trim().parse();
    kind.map_err(|_| io::Error::other("the kernel tells no number for uprobes"))
}
