//! Stopping threads at places in the code by the debug registers of the processor, for a user who
//! has no right to uprobes: the kernel sends a SIGTRAP to each thread that comes to such a place
//! (perf_event_open(2), `PERF_TYPE_BREAKPOINT` with `sigtrap`), and we, as its tracer, take the
//! signal off.
//!
//! If we are killed between the signal and taking it off, the process dies of it. That is why it
//! must be asked for (`--unsafe-breakpoints`). x86-64 has four such breakpoints.

use super::{
    arch,
    bpf_programs::{HoldId, Report},
    memory::LiveMemory,
    sys::{perf, ptrace},
};
use crate::{ArmedPlace, KindAt};
use snapshot::Region;
use std::{collections::HashMap, io, os::fd::OwnedFd, time::Instant};

/// The hardware breakpoints of a followed process.
#[derive(Default)]
pub(crate) struct HardwareBreakpoints {
    places: Vec<Breakpoint>,
    events: HashMap<i32, Vec<OwnedFd>>,
    /// For types of exceptions: whether they pass unreported, and how many did.
    passes: HashMap<u64, (bool, u64)>,
}

/// One breakpoint, which is set for every thread.
struct Breakpoint {
    number: u32,
    address: u64,
    kind: Option<KindAt>,
}

impl HardwareBreakpoints {
    /// Sets a breakpoint for these threads, at a place that is mapped at `address`.
    ///
    /// # Errors
    /// If the processor has no breakpoint left, or the kernel refuses.
    pub(crate) fn arm(&mut self, tids: &[i32], place: &ArmedPlace, address: u64) -> io::Result<()> {
        let trap = Breakpoint {
            number: place.number,
            address,
            kind: place.kind,
        };
        for tid in tids {
            let event = trap.open(*tid)?;
            self.events.entry(*tid).or_default().extend(event);
        }
        self.places.push(trap);
        Ok(())
    }

    /// Sets all breakpoints for a thread that was made since. Nothing happens if it has ended
    /// already.
    pub(crate) fn arm_thread(&mut self, tid: i32) {
        let places = &self.places;
        self.events.entry(tid).or_insert_with(|| {
            let events = places.iter().map(|place| place.open(tid));
            events.filter_map(|event| event.ok().flatten()).collect()
        });
    }

    /// Returns the report of a thread that has come to a place; `None` if it may go on at once.
    pub(crate) fn report(&mut self, tid: i32, place: u32) -> Option<Report> {
        let words = arch::probed(tid).ok()?;
        let trap = self.places.iter().find(|trap| trap.number == place)?;
        let kind = trap.kind.and_then(|kind| value(tid, kind, &words));
        if let Some((true, count)) = kind.and_then(|kind| self.passes.get_mut(&kind)) {
            *count += 1;
            return None;
        }
        Some(Report {
            came: Instant::now(),
            thread: tid,
            place,
            kind,
            hold: HoldId::NONE,
            registers: arch::from_probe(&words)?,
        })
    }

    /// Sets whether exceptions of this type pass unreported.
    pub(crate) fn pass(&mut self, kind: u64, pass: bool) {
        self.passes.entry(kind).or_default().0 = pass;
    }

    /// Forgets all types, and how many have passed.
    pub(crate) fn forget_kinds(&mut self) {
        self.passes.clear();
    }

    /// Returns how many exceptions of this type have passed unreported.
    pub(crate) fn passed(&self, kind: u64) -> u64 {
        self.passes.get(&kind).map_or(0, |(_, count)| *count)
    }
}

impl Breakpoint {
    /// Opens the breakpoint for a thread; `None` if the thread has ended.
    fn open(&self, tid: i32) -> io::Result<Option<OwnedFd>> {
        let cookie = ptrace::COOKIE | u64::from(self.number);
        match perf::breakpoint(tid, self.address, cookie) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
            other => other.map(Some),
        }
    }
}

/// Returns the number of the exception's type, read from the thread's registers and memory.
fn value(tid: i32, kind: KindAt, words: &[u8]) -> Option<u64> {
    let start = words.get(usize::from(kind.register) * 8..)?.first_chunk()?;
    let memory = LiveMemory::new(tid, None);
    kind.trail.follow(u64::from_ne_bytes(*start), &memory)
}

/// Returns the address of a place in a process with these regions; `None` if it is not mapped.
pub(crate) fn address(regions: &[Region], place: &ArmedPlace) -> Option<u64> {
    let path = place.module.path.as_bytes();
    regions.iter().find_map(|region| {
        let skip = place.offset.checked_sub(region.offset)?;
        let is_it = region.protection.execute && region.name.as_bytes() == path;
        (is_it && skip < region.range.len()).then(|| region.range.start + skip)
    })
}
