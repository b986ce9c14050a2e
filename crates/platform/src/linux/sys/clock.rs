//! Clocks: the CPU time of a process, read without a file (clock_getcpuclockid(3)), and the time that BPF programs
//! tell.

use std::{
    io,
    time::{Duration, Instant},
};

/// The CPU clock of a process: the CPU time of all its threads, including those that have ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuClock(libc::clockid_t);

impl CpuClock {
    /// Returns the clock of the process that has this pid now.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let mut id = 0;
        // SAFETY: the function writes to a live local.
        match unsafe { libc::clock_getcpuclockid(pid as i32, &raw mut id) } {
            0 => Ok(Self(id)),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// Reads the CPU time that the process has used.
    ///
    /// # Errors
    /// If the process has ended.
    pub(crate) fn read(self) -> io::Result<Duration> {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the function writes to a live local.
        match unsafe { libc::clock_gettime(self.0, &raw mut time) } {
            0 => Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Returns the instant of a time in nanoseconds of CLOCK_MONOTONIC, as BPF programs tell it.
pub(crate) fn instant(nanoseconds: u64) -> Instant {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = Duration::new(now.tv_sec as u64, now.tv_nsec as u32);
    let age = now.saturating_sub(Duration::from_nanos(nanoseconds));
    let instant = Instant::now();
    instant.checked_sub(age).unwrap_or(instant)
}
