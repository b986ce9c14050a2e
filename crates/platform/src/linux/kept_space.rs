//! The address space of a process, kept so that it outlives the process, and the files by which it is read then.

use super::{
    end_status, facts, last_maps, pages,
    proc::{
        FromStart, ProcDir,
        smaps::{self, SpecialFlags},
        stat::KILLED,
    },
    sharers,
    sys::{pin::Pin, wake},
};
use rustix::{
    param::page_size,
    process::{Pid, PidfdFlags, pidfd_open},
};
use snapshot::{EndStatus, Warning, auxv};
use std::{
    fs::File,
    io::{self, BufReader},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

/// Files that are opened while the process lives, and can be read when it is gone.
const KEPT: [&str; 3] = ["mem", "pagemap", "mountinfo"];

/// How often it is looked whether the kernel has marked a thread.
const MARK_POLL: Duration = Duration::from_millis(1);

/// An address space that is kept as long as `pin` is.
pub(crate) struct KeptSpace {
    /// The auxiliary vector, by which we see that the process has executed another program.
    pub(crate) program: Vec<u8>,
    /// The mappings, and with their flags, as long as the address space is kept.
    pub(crate) maps: File,
    pub(crate) smaps: File,
    /// A warning of those who ran in the same address space when it was kept.
    pub(crate) sharers: Option<Warning>,
    /// The pidfd of the process.
    pub(crate) process: OwnedFd,
    pub(crate) pin: Pin,
}

impl KeptSpace {
    /// Keeps the address space of a living process. `pin` is given its memory, and an address that can be read.
    ///
    /// # Errors
    /// If the process has ended, or its address space cannot be kept.
    pub(crate) fn keep(
        proc: &mut ProcDir,
        pin: impl FnOnce(File, u64) -> io::Result<Pin>,
    ) -> io::Result<Self> {
        let program = proc.read_living("auxv")?;
        proc.keep(&KEPT)?;
        Ok(Self {
            process: pidfd_of(proc)?,
            maps: proc.open_living("maps")?,
            smaps: proc.open_living("smaps")?,
            sharers: sharers::warning(proc),
            pin: pin(proc.open_living("mem")?, readable_address(proc, &program)?)?,
            program,
        })
    }

    /// Returns whether this is the auxiliary vector of the program that is kept.
    pub(crate) fn is_of_program(&self, auxv: &[u8]) -> bool {
        self.program == auxv
    }

    /// Keeps the text of the mappings.
    ///
    /// # Errors
    /// If they cannot be read any more.
    pub(crate) fn keep_maps(&self, proc: &mut ProcDir) -> io::Result<()> {
        proc.keep_text("maps", &last_maps::read(&self.maps)?)
    }

    /// Keeps the flags of the mappings, all of them. If `until` comes before they are read, they are not kept.
    ///
    /// # Errors
    /// If they cannot be read any more, or not in time.
    pub(crate) fn keep_flags(&self, proc: &mut ProcDir, until: Option<Instant>) -> io::Result<()> {
        let (flags, read) = self.flags(until);
        read?;
        proc.keep_text("smaps", &smaps::to_text(&flags))
    }

    /// Keeps the flags of the mappings as far as they can be read, and those that were kept before for the rest. Returns
    /// whether all could be read.
    pub(crate) fn renew_flags(&self, proc: &mut ProcDir) -> bool {
        let (mut flags, read) = self.flags(None);
        if read.is_err()
            && let Ok(kept) = proc.open_kept("smaps")
        {
            flags.add_older(smaps::read(BufReader::new(kept)).0);
        }
        // Without room for a copy, that of before stays.
        let _ = proc.keep_text("smaps", &smaps::to_text(&flags));
        read.is_ok()
    }

    /// Returns whether the process dies with this thread. A report is about a pid: that may be another process's by now. And
    /// the first process of a pid namespace does not die of each signal that has no handler. `within` is how long the
    /// kernel's mark is waited for.
    pub(crate) fn dies_of(&self, proc: &ProcDir, thread: i32, within: Duration) -> bool {
        let end = Instant::now() + within;
        loop {
            if self.is_marked(proc, thread) {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            wake::sleep(&[], Some(Instant::now() + MARK_POLL));
        }
    }

    /// Returns whether the kernel has marked the thread as killed, or where it is gone, any other, or all have ended by a
    /// signal, as far as that is known.
    fn is_marked(&self, proc: &ProcDir, thread: i32) -> bool {
        if let Ok(stat) = proc.thread_stat(thread) {
            return stat.flags & KILLED != 0;
        }
        let stats = proc.thread_stats();
        let living: Vec<_> = stats.filter(|stat| !stat.has_ended()).collect();
        match living.is_empty() {
            true => !matches!(
                end_status::of(proc.key, &self.process),
                Some(EndStatus::Code(_))
            ),
            false => living.iter().any(|stat| stat.flags & KILLED != 0),
        }
    }

    /// Reads the flags of the mappings, as far as that can be done.
    fn flags(&self, until: Option<Instant>) -> (SpecialFlags, io::Result<()>) {
        smaps::read(BufReader::new(FromStart::of(&self.smaps).until(until)))
    }
}

fn pidfd_of(proc: &ProcDir) -> io::Result<OwnedFd> {
    let number = Pid::from_raw(proc.key.pid as i32).ok_or(io::ErrorKind::NotFound)?;
    let process = pidfd_open(number, PidfdFlags::empty())?;
    // Else the pid may be another process's by now.
    proc.stat().map(|_| process)
}

/// Returns an address of the process that can be read without waiting for anybody: one in a page of its own that exists.
/// A page of a file could be one of a FUSE mount, whose owner need not answer. The random bytes on the first stack will
/// do, which the auxiliary vector tells, unless the process has set another address (`PR_SET_MM_MAP` in prctl(2)).
pub(super) fn readable_address(proc: &ProcDir, program: &[u8]) -> io::Result<u64> {
    let entries = auxv::entries(program, facts::word_size(program));
    let pagemap = proc.open_living("pagemap")?;
    let is_there = |at: &u64| pages::is_own(&pagemap, *at, page_size() as u64);
    if let Some(random) = auxv::value(&entries, auxv::AT_RANDOM).filter(is_there) {
        return Ok(random);
    }
    let mut regions = proc.regions()?;
    regions.retain(|region| region.protection.read);
    pages::fill(&pagemap, &mut regions, page_size() as u64)?;
    let own = regions
        .iter()
        .find_map(|region| region.private_pages.first());
    own.map(|range| range.start)
        .ok_or_else(|| io::Error::other("it has no memory of its own"))
}
