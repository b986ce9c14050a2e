//! What the kernel's core handler needs of its own process.

use std::{
    fs, io,
    os::fd::{FromRawFd, OwnedFd},
};

/// The pid that a pidfd stands for; -1 when that process is gone, `None` when it is no pidfd.
pub(crate) fn described_pid(number: i32) -> Option<i64> {
    let text = fs::read(format!("/proc/self/fdinfo/{number}")).ok()?;
    super::super::proc::status::field(&text, "Pid")?
        .parse()
        .ok()
}

/// A descriptor of our own for the same file as the one that we were started with.
pub(crate) fn take_descriptor(number: i32) -> Option<OwnedFd> {
    // SAFETY: fcntl takes plain numbers, and says EBADF where no descriptor has this one.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    // SAFETY: a descriptor that was just made and belongs to nobody else.
    (copy >= 0).then(|| unsafe { OwnedFd::from_raw_fd(copy) })
}

/// A crash of this process leaves nothing, and nobody reads its memory, in which a stranger's is.
pub(crate) fn leave_no_core() -> io::Result<()> {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a live local with the kernel's layout; only limits of our own process change.
    let limited = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    // SAFETY: a property of our own process; no memory is involved.
    let hidden = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
    match (limited, hidden) {
        (0, 0) => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
