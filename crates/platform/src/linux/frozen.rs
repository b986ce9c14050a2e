//! The memory of a clone that is kept when the clone ends. So a dump is whole although its target ends while it is copied,
//! which takes the clone along: nobody is to wait for a clone, and in a container it is killed with the first process.

use super::{kept_space::readable_address, proc::ProcDir, sys::pin::Pin};
use std::{fs::File, os::unix::fs::FileExt as _};

/// Such memory, until this is dropped.
pub(super) struct Frozen {
    mem: File,
    /// Where it can be read.
    address: u64,
    _pin: Pin,
}

impl Frozen {
    /// Keeps the memory of a clone. Returns `None` where that is not to be had: it takes root.
    pub(super) fn of(clone: &ProcDir) -> Option<Self> {
        let address = readable_address(clone, &clone.auxv()).ok()?;
        let open = || clone.open_living("mem").ok();
        Some(Self {
            _pin: Pin::new(open()?, address).ok()?,
            mem: open()?,
            address,
        })
    }

    /// Whether it is there. Where memory was short, and the kernel ended the clone for that, it took the pages as well
    /// (`__oom_reap_task_mm` in mm/oom_kill.c), and whoever reads is told so.
    pub(super) fn is_there(&self) -> bool {
        matches!(self.mem.read_at(&mut [0], self.address), Ok(1))
    }
}
