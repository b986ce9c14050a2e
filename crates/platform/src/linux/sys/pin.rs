//! Keeping the address space of another process alive after its death.
//!
//! Somebody of ours reads one byte of the other's memory into a page that nobody ever fills
//! ([`userfault`](super::userfault)). The read sleeps in the page fault of that page, while the kernel holds a reference to
//! the other address space. That address space therefore outlives its process for as long as we like, and is freed when we
//! end, for whatever reason.
//!
//! For a process that lives this is a thread. Whoever is caught at its death is kept by a [process](super::keeper) that was
//! started before, by a thread if all of those keep something.

use super::{
    keepers,
    places::Place,
    priority,
    userfault::{EmptyPage, has_sleeper},
    wake::{self, Wake},
};
use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long it may take until whoever reads sleeps.
const LIMIT: Duration = Duration::from_millis(100);

/// An address space that is kept until this is dropped.
pub(crate) enum Pin {
    /// By a thread of ours.
    Thread(Reader),
    /// By somebody else, who sleeps until the guard is closed.
    Guard(OwnedFd),
}

impl Pin {
    /// Whether we may use userfaultfd, without which nothing can be kept.
    pub(crate) fn is_possible() -> bool {
        EmptyPage::new().is_ok_and(|page| page.guard().is_ok())
    }

    /// Keeps the address space behind an open `/proc/PID/mem`, of which the byte at `address` can be read.
    ///
    /// # Errors
    /// If we may not use userfaultfd, or whoever reads does not come to sleep in time.
    pub(crate) fn new(mem: File, address: u64) -> io::Result<Self> {
        Reader::start(mem, address, || {})?
            .once_it_sleeps(LIMIT)
            .map(Self::Thread)
    }

    /// As [`Pin::new`], of a process that stands at its death for some milliseconds. The address space is kept until the
    /// guard has been closed by all who have it, and `place` until then.
    ///
    /// # Errors
    /// As [`Pin::new`].
    pub(crate) fn at_once(mem: File, address: u64, place: Place) -> io::Result<Self> {
        keep_at_once(mem, address, place).map(Self::Guard)
    }

    /// Returns the guard.
    pub(crate) fn guard(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Thread(reader) => reader.guard.as_ref().map(AsFd::as_fd),
            Self::Guard(guard) => Some(guard.as_fd()),
        }
    }
}

fn keep_at_once(mem: File, address: u64, place: Place) -> io::Result<OwnedFd> {
    let Some((keeper, guard)) = keepers::take() else {
        let reader = Reader::start(mem, address, move || drop(place))?;
        return reader.once_it_sleeps(LIMIT)?.left_to_itself();
    };
    let asked = keeper.keep(&mem, address);
    let until = Some(Instant::now() + LIMIT);
    if asked.is_ok() {
        wake::sleep(&[guard.as_fd(), keeper.descriptor()], until);
    }
    let keeps = has_sleeper(&guard);
    // It may be the last to leave the address space, which takes long if that is large.
    priority::lower(keeper.id());
    keepers::lend(keeper, place);
    if keeps { Ok(guard) } else { Err(not_kept()) }
}

/// A thread that reads.
pub(crate) struct Reader {
    guard: Option<OwnedFd>,
    /// `None` once the thread is left to itself.
    thread: Option<JoinHandle<()>>,
    ended: Arc<Wake>,
}

impl Reader {
    /// `end` is called at the end of the thread.
    fn start(mem: File, address: u64, end: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let page = EmptyPage::new()?;
        let guard = page.guard()?;
        let ended = Arc::new(Wake::new()?);
        let tells = ended.clone();
        let thread = std::thread::Builder::new().name("keeps".to_owned());
        let thread = thread.spawn(move || {
            page.read(&mem, address);
            tells.wake();
            end();
        })?;
        Ok(Self {
            guard: Some(guard),
            thread: Some(thread),
            ended,
        })
    }

    /// Returns the guard. The thread ends when that has been closed.
    fn left_to_itself(mut self) -> io::Result<OwnedFd> {
        self.thread = None;
        self.guard.take().ok_or_else(not_kept)
    }

    /// Returns it when the thread sleeps. It ends at once if there was nothing to read.
    fn once_it_sleeps(mut self, limit: Duration) -> io::Result<Self> {
        let until = Some(Instant::now() + limit);
        if let Some(guard) = &self.guard {
            wake::sleep(&[guard.as_fd(), self.ended.as_fd()], until);
            if has_sleeper(guard) {
                return Ok(self);
            }
        }
        if !self.ended.take() {
            // It waits in the other's memory instead, as for a page of a FUSE mount.
            self.thread = None;
        }
        Err(not_kept())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // It goes on when this is closed.
        self.guard = None;
        self.thread.take().map(JoinHandle::join);
    }
}

fn not_kept() -> io::Error {
    io::Error::other("its address space cannot be kept")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever reads the page behind this waits until the guard is closed.
    #[test]
    fn n40_a_reader_that_hangs_in_the_other_memory_is_not_waited_for() {
        let page = EmptyPage::new().expect("a page");
        let guard = page.guard().expect("root");
        let mem = File::open("/proc/self/mem").expect("our own memory");
        let start = Instant::now();
        assert!(Pin::new(mem, page.address()).is_err());
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:?}",
            start.elapsed()
        );
        drop(guard);
    }
}
