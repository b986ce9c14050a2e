//! Waking a thread that waits in poll(2), by an eventfd(2): its counter remembers wakes that came
//! while nobody waited.

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::Errno,
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

/// A descriptor that can be read as soon as somebody has called [`Wake::wake`].
#[derive(Debug)]
pub(crate) struct Wake(OwnedFd);

impl Wake {
    /// Makes an eventfd.
    ///
    /// # Errors
    /// If there is no room for a descriptor.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(eventfd(0, flags)?))
    }

    /// Wakes whoever waits, or waits next. It is one write(2), so it is safe in a signal handler
    /// (signal-safety(7)).
    pub(crate) fn wake(&self) {
        // EAGAIN means that the counter is full: the waiter is being woken already.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Returns whether there was a wake since the last call, and clears it.
    pub(crate) fn take(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; 8]).is_ok()
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until the descriptor can be read or has ended; returns false if that did not happen within `limit`.
///
/// # Errors
/// If it cannot be waited for.
pub(crate) fn wait_for(descriptor: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or_default();
        let mut one = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
        match poll(&mut one, Some(&left)) {
            Err(Errno::INTR) => {}
            found => return Ok(found? > 0),
        }
    }
}

/// Sleeps until one of these descriptors can be read, or `until` has come. A signal may end the
/// sleep early.
pub(crate) fn sleep(descriptors: &[BorrowedFd<'_>], until: Option<Instant>) {
    let mut ready: Vec<PollFd<'_>> = descriptors
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let left = left.map(|left| Timespec {
        tv_sec: left.as_secs().min(i64::MAX as u64) as i64,
        tv_nsec: left.subsec_nanos().into(),
    });
    let _ = poll(&mut ready, left.as_ref());
}
