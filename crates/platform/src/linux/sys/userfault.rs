//! Keeping the address space of another process alive after its death, by userfaultfd(2).
//!
//! A thread of ours reads one byte of the other's memory into a page of ours that nobody ever
//! fills. The read sleeps in the page fault of that page, while the kernel holds a reference to the
//! other address space. That address space therefore outlives its process for as long as we like,
//! and is freed when we end, for whatever reason.

use super::{
    priority,
    wake::{self, Wake},
};
use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Requests of ioctl_userfaultfd(2): `UFFDIO_API`, `UFFDIO_REGISTER`, `UFFDIO_ZEROPAGE`.
const API: libc::c_ulong = 0xc018_aa3f;
const REGISTER: libc::c_ulong = 0xc020_aa00;
const ZERO_PAGE: libc::c_ulong = 0xc020_aa04;
/// The version of the interface (`UFFD_API`), and the mode for faults on missing pages.
const VERSION: u64 = 0xaa;
const MISSING: u64 = 1;
const PAGE: usize = 4096;

/// How long the reading thread may take to come to sleep.
const LIMIT: Duration = Duration::from_millis(100);

/// An address space that is kept until this is dropped.
pub(crate) struct Pin {
    faults: OwnedFd,
    page: usize,
    reader: Option<JoinHandle<()>>,
    /// Whether the reader sleeps in the page fault, or has ended.
    sleeps: bool,
}

impl Pin {
    /// Keeps the address space behind an open `/proc/PID/mem`, of which the byte at `address` can
    /// be read.
    ///
    /// # Errors
    /// If we may not use userfaultfd, or the reading thread does not come to sleep within a second.
    pub(crate) fn new(mem: File, address: u64) -> io::Result<Self> {
        let faults = open()?;
        control(&faults, API, &mut [VERSION, 0, 0])?;
        let page = new_page()?;
        let range = [page as u64, PAGE as u64, MISSING, 0];
        control(&faults, REGISTER, &mut range.clone())?;
        let ended = Arc::new(Wake::new()?);
        let (tells, id) = (ended.clone(), Arc::new(AtomicI32::new(0)));
        let own_id = id.clone();
        let reader = std::thread::spawn(move || {
            own_id.store(priority::this_thread(), Ordering::Release);
            read_into(page, &mem, address);
            tells.wake();
        });
        let mut pin = Self {
            faults,
            page,
            reader: Some(reader),
            sleeps: false,
        };
        pin.wait_until_it_sleeps(&ended)?;
        // It may be the last to leave the address space, which takes long if that is large.
        priority::lower(id.load(Ordering::Acquire));
        Ok(pin)
    }

    /// Waits for the message of the page fault, which says that the reader sleeps now. It ends at once if there was
    /// nothing to read.
    fn wait_until_it_sleeps(&mut self, ended: &Wake) -> io::Result<()> {
        let limit = Some(Instant::now() + LIMIT);
        wake::sleep(&[self.faults.as_fd(), ended.as_fd()], limit);
        let sleeps = has_message(&self.faults);
        self.sleeps = sleeps || ended.take();
        match sleeps {
            true => Ok(()),
            false => Err(io::Error::other("its address space cannot be kept")),
        }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let _ = control(
            &self.faults,
            ZERO_PAGE,
            &mut [self.page as u64, PAGE as u64, 0, 0],
        );
        // One that waits in the other's memory instead, as for a page of a FUSE mount, is left to itself, with our page.
        let reader = self.reader.take().filter(|_| self.sleeps);
        let read = reader.map(JoinHandle::join);
        if matches!(read, Some(Ok(()))) {
            // SAFETY: our own page. The reader has ended, so nobody uses it any more.
            unsafe { libc::munmap(std::ptr::without_provenance_mut(self.page), PAGE) };
        }
    }
}

/// Opens a userfaultfd.
///
/// # Errors
/// If we may not have one (sysctl vm.unprivileged_userfaultfd).
pub(crate) fn open() -> io::Result<OwnedFd> {
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: userfaultfd(2) takes plain flags.
    let raw = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as i32) })
}

fn control<const N: usize>(
    faults: &OwnedFd,
    request: libc::c_ulong,
    words: &mut [u64; N],
) -> io::Result<()> {
    // SAFETY: each of the three requests takes a structure of as many words as its callers pass,
    // and the words are borrowed mutably during the call.
    let done = unsafe { libc::ioctl(faults.as_raw_fd(), request as _, words.as_mut_ptr()) };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Returns whether a page fault waits for its answer.
fn has_message(faults: &OwnedFd) -> bool {
    let mut ready = [rustix::event::PollFd::new(
        faults,
        rustix::event::PollFlags::IN,
    )];
    rustix::event::poll(&mut ready, Some(&Default::default())).is_ok_and(|count| count > 0)
}

fn new_page() -> io::Result<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses; no existing memory is touched.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, access, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        Err(io::Error::last_os_error())
    } else {
        Ok(page as usize)
    }
}

fn read_into(page: usize, mem: &File, address: u64) {
    // SAFETY: the page is our own mapping, used by this thread alone, and unmapped only after this
    // thread has ended. Memory that is missing yet counts as zeros, which are valid bytes.
    let page = unsafe { std::slice::from_raw_parts_mut(std::ptr::without_provenance_mut(page), 1) };
    let _ = mem.read_at(page, address);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever reads the page behind this waits until it is filled.
    #[test]
    fn n40_a_reader_that_hangs_in_the_other_memory_is_not_waited_for() {
        let faults = open().expect("root");
        control(&faults, API, &mut [VERSION, 0, 0]).expect("userfaultfd");
        let page = new_page().expect("a page");
        control(
            &faults,
            REGISTER,
            &mut [page as u64, PAGE as u64, MISSING, 0],
        )
        .expect("a page of ours");
        let mem = File::open("/proc/self/mem").expect("our own memory");
        let start = Instant::now();
        assert!(Pin::new(mem, page as u64).is_err());
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:?}",
            start.elapsed()
        );
        control(&faults, ZERO_PAGE, &mut [page as u64, PAGE as u64, 0, 0]).expect("it waits");
    }
}
