//! What is read of a process before it is stopped for a capture.

use super::{
    pages_on_demand::Listed,
    proc::{
        ProcDir, machine,
        mounts::{self, QuickDevices},
        smaps::{self, SpecialFlags},
    },
    sharers,
    threads::describe,
};
use snapshot::{Region, RegionKind, System, Thread, Warning};
use std::io::BufReader;

/// What is read before the stop, to keep the stop short.
pub(super) struct Before {
    /// Regions with special flags. Reading `smaps` walks the page tables, which takes 3 ms for each
    /// GiB.
    special: SpecialFlags,
    /// Devices of file systems whose server may never answer.
    remote: Vec<u64>,
    /// Devices whose files can be read at once.
    quick: QuickDevices,
    /// Names and times of the threads, by ascending id.
    pub(super) threads: Vec<Thread>,
    /// Facts about the machine.
    pub(super) system: System,
    /// A warning of those who run in the same address space.
    pub(super) sharers: Option<Warning>,
    /// A warning that not all flags of regions are known.
    pub(super) unflagged: Option<Warning>,
    /// What is looked at on demand while the process stands; nothing, unless that was asked for.
    pub(super) listed: Listed,
}

impl Before {
    /// Reads everything, with the names and times of all threads.
    pub(super) fn gather(proc: &ProcDir) -> Self {
        let mut tasks = proc.tasks().unwrap_or_default();
        tasks.sort_unstable();
        Self {
            threads: tasks.iter().map(|tid| describe(proc, *tid)).collect(),
            ..Self::without_threads(proc)
        }
    }

    /// Reads everything but the threads, for a caller that knows them: there may be ten thousand.
    pub(super) fn without_threads(proc: &ProcDir) -> Self {
        let mountinfo = proc.read("mountinfo").unwrap_or_default();
        let (special, read) = special_regions(proc);
        Self {
            special,
            unflagged: read.err().map(|error| {
                format!("what the process does not want in a dump (MADV_DONTDUMP) could not be read: {error}")
            }),
            remote: mounts::remote_devices(&mountinfo),
            quick: QuickDevices::of(&mountinfo),
            threads: Vec::new(),
            system: machine::system(),
            sharers: sharers::warning(proc),
            listed: Listed::default(),
        }
    }

    /// Has the regions with many pages looked at on demand: for small dumps. What is shared has to be looked at in the process
    /// itself: the page tables of a clone do not have it.
    pub(super) fn list_pages(&mut self, proc: &ProcDir, with_shared: bool) {
        if let (Ok(pagemap), Ok(mut regions)) = (proc.open_living("pagemap"), proc.regions()) {
            self.mark(&mut regions);
            self.listed = Listed::of(&pagemap, &mut regions, with_shared);
        }
    }

    /// Marks regions by what is known of them.
    pub(super) fn mark(&self, regions: &mut [Region]) {
        for region in regions {
            let flags = self.special.of(region.range);
            region.dont_dump = flags.dont_dump && region.kind != RegionKind::Kernel;
            region.untouchable = flags.device && region.kind != RegionKind::Kernel;
            region.hugetlb = flags.hugetlb;
            region.guarded = flags.guarded;
            region.remote = region.inode != 0 && self.remote.contains(&region.device);
            let is_quick = region.inode == 0 || self.quick.may_read(region.device, false);
            region.guarded |= !is_quick;
        }
    }

    /// Whether a fork does not copy a region.
    pub(super) fn is_not_copied(&self, region: &Region) -> bool {
        self.special.of(region.range).not_copied
    }
}

fn special_regions(proc: &ProcDir) -> (SpecialFlags, std::io::Result<()>) {
    match proc.open_living("smaps") {
        Ok(file) => smaps::read(BufReader::new(file)),
        Err(error) => (SpecialFlags::default(), Err(error)),
    }
}
