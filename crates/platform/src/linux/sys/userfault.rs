//! A page of ours that nobody fills, by userfaultfd(2): whoever touches it sleeps.

use super::wake;
use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    os::unix::fs::FileExt,
    time::Duration,
};

/// Requests of ioctl_userfaultfd(2): `UFFDIO_API`, `UFFDIO_REGISTER`.
const API: libc::c_ulong = 0xc018_aa3f;
const REGISTER: libc::c_ulong = 0xc020_aa00;
/// The version of the interface (`UFFD_API`), and the mode for faults on missing pages.
const VERSION: u64 = 0xaa;
const MISSING: u64 = 1;
const PAGE: usize = 4096;

/// Such a page, which is unmapped when this is dropped.
pub(super) struct EmptyPage(usize);

impl EmptyPage {
    /// Maps a page.
    ///
    /// # Errors
    /// If there is no room for it.
    pub(super) fn new() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses; no existing memory is touched.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, access, flags, -1, 0) };
        match page {
            libc::MAP_FAILED => Err(io::Error::last_os_error()),
            page => Ok(Self(page as usize)),
        }
    }

    /// Has whoever touches the page sleep until the descriptor is closed. It can be read as soon as somebody sleeps.
    ///
    /// # Errors
    /// If we may not use userfaultfd.
    pub(super) fn guard(&self) -> io::Result<OwnedFd> {
        let faults = open()?;
        control(&faults, API, &mut [VERSION, 0, 0])?;
        let range = [self.0 as u64, PAGE as u64, MISSING, 0];
        control(&faults, REGISTER, &mut { range })?;
        Ok(faults)
    }

    /// Reads the byte at `address` of a file into the page. Only one thread does so at a time.
    pub(super) fn read(&self, mem: &File, address: u64) {
        let page = std::ptr::without_provenance_mut(self.0);
        // SAFETY: the page is our own mapping, used by this thread alone as long as it reads. Memory that is missing yet
        // counts as zeros, which are valid bytes.
        let page = unsafe { std::slice::from_raw_parts_mut(page, 1) };
        // Whether there is such a byte is seen by whether the page is touched.
        let _ = mem.read_at(page, address);
    }

    /// Takes the memory away that the page has by now: whoever touches it finds it empty again.
    pub(super) fn empty(&self) {
        let page = std::ptr::without_provenance_mut(self.0);
        // SAFETY: the page is our own mapping, and nobody has a reference to it.
        unsafe { libc::madvise(page, PAGE, libc::MADV_DONTNEED) };
    }

    #[cfg(test)]
    pub(super) fn address(&self) -> u64 {
        self.0 as u64
    }
}

impl Drop for EmptyPage {
    fn drop(&mut self) {
        // SAFETY: our own mapping, to which nobody has a reference.
        unsafe { libc::munmap(std::ptr::without_provenance_mut(self.0), PAGE) };
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

/// Returns whether somebody sleeps in a page with this [guard](EmptyPage::guard).
pub(super) fn has_sleeper(guard: &OwnedFd) -> bool {
    wake::wait_for(guard.as_fd(), Duration::ZERO).unwrap_or(false)
}

fn control<const N: usize>(
    faults: &OwnedFd,
    request: libc::c_ulong,
    words: &mut [u64; N],
) -> io::Result<()> {
    // SAFETY: both requests take a structure of as many words as their callers pass, and the words are borrowed mutably
    // during the call.
    let done = unsafe { libc::ioctl(faults.as_raw_fd(), request as _, words.as_mut_ptr()) };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
