//! The files that a process has mapped as modules, for build-ids and symbols.

use super::{
    facts, files, open_mapped,
    proc::{ProcDir, mounts::QuickDevices},
};
use crate::{FileBytes, FileIdentity};
use snapshot::{Module, ProcessKey, Region};
use std::{collections::HashSet, path::PathBuf};

/// The files behind the modules of a process.
///
/// They are opened through `/proc/PID/map_files` if we may, which gives the mapped file itself even
/// if it was deleted or is in another mount namespace; else by their path, if that still is the
/// same file. A device, a FIFO, or a file on a file system that may hang is never opened.
#[derive(Debug)]
pub(crate) struct ImageFiles {
    /// `None` if the process is gone, and its files have to be found by their names.
    pid: Option<u32>,
    /// The first mapping of each module, ascending.
    regions: Vec<Region>,
    quick: QuickDevices,
}

impl ImageFiles {
    /// Reads the mappings of a process; `None` if it has ended, or has lost them because it is ending.
    pub(crate) fn of(process: ProcessKey) -> Option<Self> {
        let proc = ProcDir::open(process).ok()?;
        Self::by(&proc, Some(process.pid))
    }

    /// Of a process that is gone, and whose mappings were kept.
    pub(crate) fn of_gone(proc: &ProcDir) -> Option<Self> {
        Self::by(proc, None)
    }

    fn by(proc: &ProcDir, pid: Option<u32>) -> Option<Self> {
        let regions = first_of_modules(&proc.regions().ok()?);
        if regions.is_empty() {
            return None;
        }
        let quick = QuickDevices::of(&proc.read("mountinfo").unwrap_or_default());
        Some(Self {
            pid,
            regions,
            quick,
        })
    }

    /// Opens the file of a module.
    pub(crate) fn open(&self, module: &Module) -> Option<FileBytes> {
        let region = self.region(module)?;
        match self.pid {
            Some(pid) => files::open_mapped(pid, region),
            None => open_last_mapped(region),
        }
    }

    /// Returns a path by which the file of a module can be opened. `None` if the process is gone.
    pub(crate) fn path(&self, module: &Module) -> Option<PathBuf> {
        files::mapped_path(self.pid?, self.region(module)?)
    }

    /// Returns whether a module is mapped, at its place.
    pub(crate) fn has(&self, module: &Module) -> bool {
        self.mapped_at(module)
            .is_some_and(|region| region.name == module.path)
    }

    /// See [`crate::ImageFiles::identity`].
    pub(crate) fn identity(&self, module: &Module) -> Option<FileIdentity> {
        let found = std::fs::metadata(self.path(module)?).ok()?;
        Some(files::state_of(&found))
    }

    /// Returns the first mapping of a module, unless reading its file could hang.
    fn region(&self, module: &Module) -> Option<&Region> {
        let region = self.mapped_at(module)?;
        (region.inode != 0 && self.quick.may_open(region.device)).then_some(region)
    }

    fn mapped_at(&self, module: &Module) -> Option<&Region> {
        let start = module.range.start;
        let regions = &self.regions;
        let at = regions.binary_search_by_key(&start, |region| region.range.start);
        Some(&regions[at.ok()?])
    }
}

/// Returns the first region of each module.
fn first_of_modules(regions: &[Region]) -> Vec<Region> {
    let modules = facts::modules(regions);
    let starts: HashSet<u64> = modules.iter().map(|module| module.range.start).collect();
    let is_first = |region: &&Region| starts.contains(&region.range.start);
    regions.iter().filter(is_first).cloned().collect()
}

/// Opens the file that is behind a mapping of a process that is gone.
fn open_last_mapped(region: &Region) -> Option<FileBytes> {
    let found = open_mapped::by_name(region).ok()?;
    files::open_file(&open_mapped::path_of(&found), None).ok()
}
