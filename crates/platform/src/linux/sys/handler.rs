//! What the kernel's core handler needs for its own process: a descriptor that it was started with, and no core of itself.

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd},
};

/// Duplicates a descriptor that we were started with; `None` if it is not open.
pub(crate) fn take_descriptor(number: i32) -> Option<OwnedFd> {
    // SAFETY: fcntl takes plain numbers, and says EBADF where no descriptor has this one.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    // SAFETY: a descriptor that was just made and belongs to nobody else.
    (copy >= 0).then(|| unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Sees to it that this process leaves no core if it crashes, and that nobody can read its memory,
/// which contains another process's data.
pub(crate) fn leave_no_core() -> io::Result<()> {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a live local of the kernel's layout; only a limit of our own process changes.
    let limited = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    // SAFETY: takes plain numbers and changes a property of our own process.
    let hidden = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
    match (limited, hidden) {
        (0, 0) => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
