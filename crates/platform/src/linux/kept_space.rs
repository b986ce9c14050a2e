//! The address space of a process, kept so that it outlives the process, and the files by which it is read then.

use super::{
    facts, last_maps, pages,
    proc::{
        FromStart, ProcDir,
        smaps::{self, SpecialFlags},
    },
    sharers,
    sys::pin::Pin,
};
use rustix::param::page_size;
use snapshot::{Warning, auxv};
use std::{
    fs::File,
    io::{self, BufReader},
};

/// Files that are opened while the process lives, and can be read when it is gone.
const KEPT: [&str; 3] = ["mem", "pagemap", "mountinfo"];

/// An address space that is kept as long as `pin` is.
pub(crate) struct KeptSpace<P = Pin> {
    /// The auxiliary vector, by which we see that the process has executed another program.
    pub(crate) program: Vec<u8>,
    /// The mappings, and with their flags, as long as the address space is kept.
    pub(crate) maps: File,
    pub(crate) smaps: File,
    /// A warning of those who ran in the same address space when it was kept.
    pub(crate) sharers: Option<Warning>,
    pub(crate) pin: P,
}

impl<P> KeptSpace<P> {
    /// Keeps the address space of a living process. `pin` is given its memory, and an address that can be read.
    ///
    /// # Errors
    /// If the process has ended, or its address space cannot be kept.
    pub(crate) fn keep(
        proc: &mut ProcDir,
        pin: impl FnOnce(File, u64) -> io::Result<P>,
    ) -> io::Result<Self> {
        let program = proc.read_living("auxv")?;
        proc.keep(&KEPT)?;
        Ok(Self {
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

    /// Copies the mappings of a process that was kept at its death, and may be gone by now.
    ///
    /// # Errors
    /// If its parent has waited for it already, and the kernel cannot be asked for single mappings.
    pub(crate) fn copy_at_death(&self, proc: &mut ProcDir) -> io::Result<()> {
        // First, as it cannot be had when the parent has waited.
        self.keep_flags(proc)?;
        self.keep_maps(proc)
    }

    /// Keeps the text of the mappings.
    ///
    /// # Errors
    /// If they cannot be read any more.
    pub(crate) fn keep_maps(&self, proc: &mut ProcDir) -> io::Result<()> {
        proc.keep_text("maps", &last_maps::read(&self.maps)?)
    }

    /// Keeps the flags of the mappings, all of them.
    ///
    /// # Errors
    /// If they cannot be read any more.
    pub(crate) fn keep_flags(&self, proc: &mut ProcDir) -> io::Result<()> {
        let (flags, read) = self.flags();
        read?;
        proc.keep_text("smaps", &smaps::to_text(&flags))
    }

    /// Keeps the flags of the mappings as far as they can be read, and those of before for the rest. Returns whether all
    /// could be read.
    pub(crate) fn renew_flags(&self, proc: &mut ProcDir) -> bool {
        let (mut flags, read) = self.flags();
        if read.is_err()
            && let Ok(kept) = proc.open_kept("smaps")
        {
            flags.add_older(smaps::read(BufReader::new(kept)).0);
        }
        // Without room for a copy, that of before stays.
        let _ = proc.keep_text("smaps", &smaps::to_text(&flags));
        read.is_ok()
    }

    /// Reads the flags of the mappings, as far as that can be done.
    fn flags(&self) -> (SpecialFlags, io::Result<()>) {
        smaps::read(BufReader::new(FromStart::of(&self.smaps)))
    }
}

/// Returns an address of the process that can be read without waiting for anybody: one in a page of its own that exists.
/// A page of a file could be one of a FUSE mount, whose owner need not answer. The random bytes on the first stack will
/// do, which the auxiliary vector tells, unless the process has set another address (`PR_SET_MM_MAP` in prctl(2)).
fn readable_address(proc: &ProcDir, program: &[u8]) -> io::Result<u64> {
    let entries = auxv::entries(program, facts::word_size(program));
    let pagemap = proc.open_living("pagemap")?;
    let is_there = |at: &u64| pages::is_own(&pagemap, *at, page_size() as u64);
    if let Some(random) = auxv::value(&entries, auxv::AT_RANDOM).filter(is_there) {
        return Ok(random);
    }
    let (mut regions, _) = snapshot::maps::parse(&proc.read_living("maps")?);
    regions.retain(|region| region.protection.read);
    pages::fill(&pagemap, &mut regions, page_size() as u64)?;
    let own = regions
        .iter()
        .find_map(|region| region.private_pages.first());
    own.map(|range| range.start)
        .ok_or_else(|| io::Error::other("it has no memory of its own"))
}
