//! The CPU time of a process, without a file.

use std::{io, time::Duration};

/// The kernel's clock of a process: CPU time of all its threads, also of those that have ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuClock(libc::clockid_t);

impl CpuClock {
    /// That of the process that has this pid now.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let mut id = 0;
        // SAFETY: the place is a live local.
        match unsafe { libc::clock_getcpuclockid(pid as i32, &raw mut id) } {
            0 => Ok(Self(id)),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// CPU time used so far.
    pub(crate) fn read(self) -> io::Result<Duration> {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the place is a live local.
        match unsafe { libc::clock_gettime(self.0, &raw mut time) } {
            0 => Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
