//! Holding a thread at a place without being attached to its process.
//!
//! A probe runs a small program in the kernel, in the thread that came by. The program looks
//! whether this hit is wanted, tells us, and keeps the thread there until we have asked it to stop
//! by ptrace, or until 20 ms are over: it ends by itself whatever becomes of us. Between hits
//! nothing is attached, nothing of the target is changed but a byte of text that the kernel takes
//! back with the probe's descriptor, and an unwanted hit costs half a microsecond.

mod code;
mod programs;
mod report;
mod ring;

pub(crate) use report::Report;

use report::Hold;

use super::sys::bpf::{self, SharedWords};
use programs::{Maps, SLOTS, control};
use ring::Ring;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    ffi::CString,
    fs, io,
    os::fd::{BorrowedFd, OwnedFd},
    path::Path,
    sync::atomic::Ordering,
    time::Duration,
};

/// Kinds of thrown things that are told apart in one process.
const KINDS: u32 = 16_384;

/// The probes of one process. They go when this is dropped, or with us.
pub(crate) struct Holds {
    pid: u32,
    maps: Maps,
    ring: Ring,
    slots: SharedWords,
    control: SharedWords,
    probes: Vec<OwnedFd>,
    /// What [`Holds::missed`] has told already.
    told: u64,
}

impl Holds {
    /// Makes ready for a process; fails where the kernel has no BPF for us.
    pub(crate) fn new(pid: u32) -> io::Result<Self> {
        let maps = Maps {
            ring: bpf::create_map(bpf::RING, 0, 0, ring::SIZE, 0)?,
            slots: bpf::create_map(bpf::ARRAY, 4, 8, SLOTS, bpf::MAPPABLE)?,
            control: bpf::create_map(bpf::ARRAY, 4, control::BYTES, 1, bpf::MAPPABLE)?,
            known: bpf::create_map(bpf::HASH, 8, 16, KINDS, 0)?,
        };
        let page = rustix::param::page_size();
        Ok(Self {
            pid,
            ring: Ring::new(&maps.ring)?,
            slots: SharedWords::new(&maps.slots, SLOTS as usize * 8, 0, true)?,
            control: SharedWords::new(&maps.control, page, 0, true)?,
            maps,
            probes: Vec::new(),
            told: 0,
        })
    }

    /// Holds threads at `offset` of a file: each, or with the register that tells the kind of what
    /// is thrown there, those of a kind that is not known to be unwanted.
    pub(crate) fn at_place(
        &mut self,
        number: u32,
        file: &Path,
        offset: u64,
        kind: Option<u8>,
    ) -> io::Result<()> {
        let path = CString::new(file.as_os_str().as_encoded_bytes())?;
        let program = programs::place(&self.maps, number, kind);
        let program = bpf::load(program.words())?;
        let probe = bpf::uprobe(uprobe_kind()?, &path, offset, self.pid, &program)?;
        self.probes.push(probe);
        Ok(())
    }

    /// Lets threads that throw this kind go on at once, and counts them; or no longer.
    pub(crate) fn pass(&self, kind: u64, pass: bool) -> io::Result<()> {
        bpf::set(
            &self.maps.known,
            kind,
            [u64::from(!pass), self.passed(kind)],
        )
    }

    /// How many of a kind went on without being held.
    pub(crate) fn passed(&self, kind: u64) -> u64 {
        bpf::get(&self.maps.known, kind).map_or(0, |[_, passed]| passed)
    }

    /// Sleeps until there is a report, or the other descriptor can be read.
    pub(crate) fn sleep(&self, limit: Duration, other: Option<BorrowedFd<'_>>) {
        let limit = Timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: limit.subsec_nanos().into(),
        };
        let ring = PollFd::new(&self.maps.ring, PollFlags::IN);
        let mut ready: Vec<PollFd<'_>> = vec![ring];
        ready.extend(other.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let _ = poll(&mut ready, Some(&limit));
    }

    /// The next report, if there is one.
    pub(crate) fn next(&self) -> Option<Report> {
        report::decode(&self.ring.next()?)
    }

    /// Lets a held thread go on.
    pub(crate) fn let_go(&self, hold: Hold) {
        let slot = &self.slots.words()[(hold.0 % u64::from(SLOTS)) as usize];
        let _ = slot.compare_exchange(hold.0, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Hits that were not reported, or whose threads went on before we came, since the last time.
    pub(crate) fn missed(&mut self) -> u64 {
        let word = |at: i16| self.control.words()[at as usize / 8].load(Ordering::Acquire);
        let all = word(control::LOST) + word(control::LATE);
        let new = all - self.told;
        self.told = all;
        new
    }
}

impl Drop for Holds {
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
