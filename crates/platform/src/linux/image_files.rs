//! The files that are mapped as images of a process.

use super::proc::{ProcDir, machine};
use crate::FileBytes;
use snapshot::{Module, ProcessKey, Region};
use std::path::PathBuf;

/// The files behind a process's images.
///
/// Through `/proc/PID/map_files` where we may, which is the mapped file itself, also when it was
/// deleted or lies in another mount namespace; else by its path, if that still is the same file.
/// Never a device, a FIFO, or one on a file system that may hang.
#[derive(Debug)]
pub(crate) struct ImageFiles {
    pid: u32,
    regions: Vec<Region>,
    remote: Vec<u64>,
}

impl ImageFiles {
    pub(crate) fn of(process: ProcessKey) -> Option<Self> {
        let proc = ProcDir::open(process).ok()?;
        let (regions, _) = snapshot::maps::parse(&proc.read_living("maps").ok()?);
        let remote = machine::remote_devices(&proc.read("mountinfo").unwrap_or_default());
        Some(Self {
            pid: process.pid,
            regions,
            remote,
        })
    }

    pub(crate) fn open(&self, module: &Module) -> Option<FileBytes> {
        super::files::open_mapped(self.pid, self.region(module)?)
    }

    pub(crate) fn path(&self, module: &Module) -> Option<PathBuf> {
        super::files::mapped_path(self.pid, self.region(module)?)
    }

    /// Its first mapping, unless reading it could hang.
    fn region(&self, module: &Module) -> Option<&Region> {
        let start = module.range.start;
        let regions = &self.regions;
        let at = regions.binary_search_by_key(&start, |region| region.range.start);
        let region = &regions[at.ok()?];
        (region.inode != 0 && !self.remote.contains(&region.device)).then_some(region)
    }
}
