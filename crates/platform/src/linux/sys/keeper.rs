//! A process that [keeps](super::pin) the address space of another one.
//!
//! Why not a thread: the page fault in which the reader sleeps is one in the kernel, which takes the lock of the reader's own
//! address space (`do_user_addr_fault` in arch/x86/mm/fault.c). Where several threads run, any other one may have that lock,
//! because it maps memory or begins a thread. This process has one thread, and nothing else to do.
//!
//! It sends the guard of its page to who has started it, and is sent what to read. When the guard is closed by all who have
//! it, it sends another one. When who has started it is gone, so is it.

use super::{
    channel::{self, Helper},
    priority, signals,
    userfault::EmptyPage,
    wake,
};
use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

/// The word for this program to become such a process.
const WORD: &str = "keep-memory";

/// Such a process, seen by who has started it. It is ended when this is dropped.
pub(super) struct Keeper(Helper);

impl Keeper {
    /// Starts one.
    ///
    /// # Errors
    /// If this program cannot be started again.
    pub(super) fn start() -> io::Result<Self> {
        Helper::start(WORD).map(Self)
    }

    /// Its pid.
    pub(super) fn id(&self) -> i32 {
        self.0.id()
    }

    /// Can be read when it has sent a guard, or has ended.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.channel()
    }

    /// Returns the guard that it has sent, `None` if it has sent none yet.
    ///
    /// # Errors
    /// If it has ended.
    pub(super) fn guard(&self) -> io::Result<Option<OwnedFd>> {
        if !wake::wait_for(self.descriptor(), Duration::ZERO)? {
            return Ok(None);
        }
        let (mut guards, _) = channel::receive(self.descriptor())?;
        Ok(guards.pop())
    }

    /// Has it read, where the caller runs.
    ///
    /// # Errors
    /// If it has ended.
    pub(super) fn keep(&self, mem: &File, address: u64) -> io::Result<()> {
        priority::run_where_we_run(self.id());
        channel::send(self.descriptor(), &[mem.as_fd()], &address.to_ne_bytes())
    }
}

/// If this process was started as one of these, it serves until the one that started it is gone. Returns whether it was.
pub(crate) fn serve_if_started_so() -> bool {
    let is_one = channel::is_helper(WORD);
    if is_one {
        serve(io::stdin().as_fd());
    }
    is_one
}

fn serve(socket: BorrowedFd<'_>) {
    signals::block_all();
    if let Ok(page) = EmptyPage::new() {
        while serve_once(socket, &page).is_ok() {}
    }
}

fn serve_once(socket: BorrowedFd<'_>, page: &EmptyPage) -> io::Result<()> {
    priority::raise_priority();
    page.empty();
    let guard = page.guard()?;
    channel::send(socket, &[guard.as_fd()], &[0])?;
    drop(guard);
    let (mut mem, address) = channel::receive(socket)?;
    let address = address.first_chunk().copied().map(u64::from_ne_bytes);
    let (Some(mem), Some(address)) = (mem.pop(), address) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    page.read(&mem.into(), address);
    Ok(())
}
