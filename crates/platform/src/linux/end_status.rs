//! How a process has ended that is no child of ours.

use super::{proc, sys::pidfd_info};
use rustix::{fd::OwnedFd, fs::fstat};
use snapshot::{EndStatus, ProcessKey};

/// Returns how a process has ended, by its entry in `/proc` if its parent has not waited for it, else by its pidfd.
/// `None` if it cannot be known.
pub(crate) fn of(process: ProcessKey, pidfd: &OwnedFd) -> Option<EndStatus> {
    let status = of_zombie(process).or_else(|| pidfd_info::wait_status(pidfd));
    status.map(decode)
}

fn of_zombie(process: ProcessKey) -> Option<i32> {
    let dir = proc::open_dir(process.pid).ok()?;
    // To others, the kernel shows 0 (proc_pid_stat(5), `exit_code`).
    let us = rustix::process::geteuid().as_raw();
    let is_ours = us == 0 || fstat(&dir).is_ok_and(|found| found.st_uid == us);
    let stat = proc::read_stat(&dir).ok()?;
    let is_zombie = stat.state == 'Z' && stat.threads < 2;
    let is_it = stat.start == process.start && is_zombie && is_ours;
    stat.exit_code.filter(|_| is_it)
}

/// Decodes a wait status (wait(2)).
pub(crate) fn decode(status: i32) -> EndStatus {
    match status & 0x7f {
        0 => EndStatus::Code((status >> 8 & 0xff) as u32),
        signal => EndStatus::Signal(signal),
    }
}
