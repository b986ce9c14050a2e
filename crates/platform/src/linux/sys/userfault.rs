//! Keeping the address space of another process alive after its death, by userfaultfd(2).
//!
//! A thread of ours reads one byte of the other's memory into a page of ours that nobody ever
//! fills. The read sleeps in the page fault of that page, while the kernel holds a reference to the
//! other address space. That address space therefore outlives its process for as long as we like,
//! and is freed when we end, for whatever reason.

use super::{
    all_ahead::AllAhead,
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
        mpsc::{Receiver, SyncSender, sync_channel},
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

/// How long the reading thread usually takes to come to sleep, and how long it may take.
const SOON: Duration = Duration::from_micros(500);
const LIMIT: Duration = Duration::from_millis(100);

/// An address space that is kept until this is dropped.
pub(crate) struct Pin {
    _reader: Reader,
}

impl Pin {
    /// Keeps the address space behind an open `/proc/PID/mem`, of which the byte at `address` can
    /// be read.
    ///
    /// # Errors
    /// If we may not use userfaultfd, or the reading thread does not come to sleep in time.
    pub(crate) fn new(mem: File, address: u64) -> io::Result<Self> {
        let mut reader = Reader::new()?;
        reader.begin(mem, address)?;
        reader.rests_within(LIMIT);
        reader.kept()
    }

    /// As [`Pin::new`], by a reader that was made before, and with all that can be done for it to be quick.
    ///
    /// # Errors
    /// As [`Pin::new`].
    pub(super) fn at_once(mut reader: Reader, mem: File, address: u64) -> io::Result<Self> {
        priority::run_where_we_run(reader.id);
        reader.begin(mem, address)?;
        if !reader.rests_within(SOON) {
            // Another thread of ours may be in the way.
            let _ahead = AllAhead::begin();
            reader.rests_within(LIMIT);
        }
        reader.kept()
    }
}

/// A page of ours that nobody fills, and a thread that can be told to read into it. To make these changes our own address
/// space, which waits for any other thread of ours that is just doing so, even if that does not get a processor.
pub(super) struct Reader {
    faults: OwnedFd,
    page: u64,
    /// The id of the thread.
    id: i32,
    thread: Option<JoinHandle<()>>,
    /// Tells the thread what to read: once. It ends if this is dropped before.
    work: Option<SyncSender<(File, u64)>>,
    /// Told when the thread has read.
    ended: Arc<Wake>,
    /// Whether the thread waits for work, sleeps in the page fault, or has ended: it can be ended.
    sleeps: bool,
}

impl Reader {
    /// Makes a page and a thread, which waits.
    ///
    /// # Errors
    /// If we may not use userfaultfd, or there is no room for another thread.
    pub(super) fn new() -> io::Result<Self> {
        let faults = open()?;
        control(&faults, API, &mut [VERSION, 0, 0])?;
        let page = new_page()?;
        control(&faults, REGISTER, &mut [page, PAGE as u64, MISSING, 0])?;
        let ended = Arc::new(Wake::new()?);
        let (work, told) = sync_channel(1);
        let (id, thread) = start(page, told, ended.clone())?;
        Ok(Self {
            faults,
            page,
            id,
            thread: Some(thread),
            work: Some(work),
            ended,
            sleeps: true,
        })
    }

    /// Has the thread read.
    fn begin(&mut self, mem: File, address: u64) -> io::Result<()> {
        self.sleeps = false;
        let told = self.work.take().map(|work| work.send((mem, address)));
        match told {
            Some(Ok(())) => Ok(()),
            _ => Err(io::Error::other("its reader has ended")),
        }
    }

    /// Waits for the message of the page fault, which says that the reader sleeps now. It ends at once if there was
    /// nothing to read. Returns whether it does either.
    fn rests_within(&mut self, limit: Duration) -> bool {
        let until = Some(Instant::now() + limit);
        wake::sleep(&[self.faults.as_fd(), self.ended.as_fd()], until);
        self.sleeps |= self.ended.take() || has_message(&self.faults);
        self.sleeps
    }

    /// Returns what is kept if the thread sleeps in the page fault.
    fn kept(self) -> io::Result<Pin> {
        if !has_message(&self.faults) {
            return Err(io::Error::other("its address space cannot be kept"));
        }
        // It may be the last to leave the address space, which takes long if that is large.
        priority::lower(self.id);
        Ok(Pin { _reader: self })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.work = None;
        let _ = control(&self.faults, ZERO_PAGE, &mut [self.page, PAGE as u64, 0, 0]);
        // One that waits in the other's memory instead, as for a page of a FUSE mount, is left to itself, with our page.
        let thread = self.thread.take().filter(|_| self.sleeps);
        let read = thread.map(JoinHandle::join);
        if matches!(read, Some(Ok(()))) {
            // SAFETY: our own page. The reader has ended, so nobody uses it any more.
            unsafe { libc::munmap(std::ptr::without_provenance_mut(self.page as usize), PAGE) };
        }
    }
}

/// Starts a thread that reads into a page when it is told to. Returns its id, too.
fn start(
    page: u64,
    told: Receiver<(File, u64)>,
    ended: Arc<Wake>,
) -> io::Result<(i32, JoinHandle<()>)> {
    let (tells_id, id) = sync_channel(1);
    let thread = std::thread::Builder::new().name("keeps".to_owned());
    let thread = thread.spawn(move || {
        priority::raise_priority();
        let _ = tells_id.send(priority::this_thread());
        if let Ok((mem, address)) = told.recv() {
            read_into(page, &mem, address);
        }
        ended.wake();
    })?;
    let id = id.recv();
    Ok((id.map_err(|_| io::Error::other("a thread ended"))?, thread))
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
    wake::wait_for(faults.as_fd(), Duration::ZERO).unwrap_or(false)
}

fn new_page() -> io::Result<u64> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses; no existing memory is touched.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, access, flags, -1, 0) };
    match page {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        page => Ok(page as u64),
    }
}

fn read_into(page: u64, mem: &File, address: u64) {
    let page = std::ptr::without_provenance_mut(page as usize);
    // SAFETY: the page is our own mapping, used by this thread alone, and unmapped only after this
    // thread has ended. Memory that is missing yet counts as zeros, which are valid bytes.
    let page = unsafe { std::slice::from_raw_parts_mut(page, 1) };
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
        let range = [page, PAGE as u64, MISSING, 0];
        control(&faults, REGISTER, &mut range.clone()).expect("a page of ours");
        let mem = File::open("/proc/self/mem").expect("our own memory");
        let start = Instant::now();
        assert!(Pin::new(mem, page).is_err());
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:?}",
            start.elapsed()
        );
        control(&faults, ZERO_PAGE, &mut [page, PAGE as u64, 0, 0]).expect("it waits");
    }
}
