//! The memory of a clone that is kept when the clone ends. So a dump is whole although its target ends while it is copied,
//! which takes the clone along: nobody is to wait for a clone, and in a container it is killed with the first process.

use super::{kept_space::readable_address, proc::ProcDir, sys::pin::Pin};
use std::{fs::File, io, os::unix::fs::FileExt as _};

/// Files of a clone that can be read when it has ended.
const KEPT: [&str; 2] = ["mem", "pagemap"];
/// Those of which the text is kept.
const TEXTS: [&str; 3] = ["maps", "auxv", "statm"];

/// How often it is tried before a process is copied in place: where processors are busy it may take longer than one is waited for.
const TRIES: u32 = 3;

/// Such memory, until this is dropped.
pub(super) struct Frozen {
    mem: File,
    /// Where it can be read.
    address: u64,
    _pin: Pin,
}

impl Frozen {
    /// Whether that can be done at all here.
    pub(super) fn is_possible() -> bool {
        Pin::is_possible()
    }

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

    /// Keeps the memory of a clone that is ended next, and the files by which it is read then.
    ///
    /// # Errors
    /// If it is not to be had.
    pub(super) fn of_ending(clone: &mut ProcDir) -> io::Result<Self> {
        for name in TEXTS {
            let text = clone.read_living(name)?;
            clone.keep_text(name, &text)?;
        }
        clone.keep(&KEPT)?;
        let frozen = (0..TRIES).find_map(|_| Self::of(clone));
        let frozen = frozen.ok_or(io::ErrorKind::TimedOut)?;
        clone.is_gone = true;
        Ok(frozen)
    }

    /// Whether it is there. Where memory was short, and the kernel ended the clone for that, it took the pages as well
    /// (`__oom_reap_task_mm` in mm/oom_kill.c), and whoever reads is told so.
    pub(super) fn is_there(&self) -> bool {
        matches!(self.mem.read_at(&mut [0], self.address), Ok(1))
    }
}
