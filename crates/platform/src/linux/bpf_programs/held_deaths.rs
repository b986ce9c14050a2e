//! The deaths at which a thread is held, as the process that [catches](super::Catching) them sees them.

use super::{
    death_holds::DeathHolds,
    death_program,
    pids::Pids,
    ring::{LARGE, Ring},
};
use crate::{linux::sys::wake, lock};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Mutex,
    time::Instant,
};

/// Where such deaths are reported.
pub(crate) struct HeldDeaths {
    ring: Mutex<Ring>,
    /// The ring's map.
    reports: OwnedFd,
    holds: DeathHolds,
    pids: Pids,
    _link: OwnedFd,
}

/// A thread that stands where it dies, for as long as [`death_holds`](super::death_holds) has it.
pub(crate) struct Held<'d> {
    /// The process, and the thread.
    pub(crate) pid: u32,
    pub(crate) thread: i32,
    /// The number by which it is held.
    pub(crate) number: u64,
    deaths: &'d HeldDeaths,
}

impl HeldDeaths {
    /// Begins to hold threads by the [files](super::Catching::files) of another process of ours. Fewer are held at once than
    /// so many threads of different processors that [wait](HeldDeaths::wait).
    ///
    /// # Errors
    /// If these are other files, or the kernel does not take the program.
    pub(crate) fn begin(files: Vec<OwnedFd>, threads: u32) -> io::Result<Self> {
        let files: Result<[_; 3], _> = files.try_into();
        let [ring, holds, pids] = files.map_err(|_| io::ErrorKind::InvalidInput)?;
        let holds = DeathHolds::of(holds);
        Ok(Self {
            reports: ring.try_clone()?,
            ring: Mutex::new(Ring::of(ring, LARGE)?),
            _link: holds.begin(threads - 1)?,
            holds,
            pids: Pids::of(pids),
        })
    }

    /// Sleeps until there is a report, or `until` has come. Returns a report, if there is one.
    pub(crate) fn wait(&self, until: Option<Instant>) -> Option<Held<'_>> {
        self.next().or_else(|| {
            wake::sleep(&[self.reports.as_fd()], until);
            self.next()
        })
    }

    /// Catches no process of a user until [`HeldDeaths::allow`].
    pub(crate) fn refuse(&self, user: u32) {
        self.pids.refuse(user);
    }

    /// Catches processes of a user again.
    pub(crate) fn allow(&self, user: u32) {
        self.pids.allow(user);
    }

    fn next(&self) -> Option<Held<'_>> {
        let ring = lock(&self.ring);
        let report = death_program::decode(&ring.next()?)?;
        Some(Held {
            pid: report.pid,
            thread: report.death.thread,
            number: report.held?,
            deaths: self,
        })
    }
}

impl Held<'_> {
    /// Somebody looks at it from now on.
    pub(crate) fn look_at(&self) {
        self.deaths.holds.look_at(self.number);
    }

    /// Lets it go on.
    pub(crate) fn let_go(&self) {
        self.deaths.holds.let_go(self.number);
    }
}
