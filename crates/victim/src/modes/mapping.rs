//! Memory mappings for the modes that need unusual ones, and results of system calls as errors.

use std::io;
use std::os::fd::RawFd;
use std::ptr::null_mut;

/// The size of a page in bytes, on the machines that the tests run on.
pub(super) const PAGE: usize = 4096;

/// A mapping that stays until [`Mapping::unmap`] or the end of the process.
#[derive(Clone, Copy)]
pub(super) struct Mapping {
    pub(super) start: *mut u8,
    pub(super) bytes: usize,
}

impl Mapping {
    /// Makes a private anonymous mapping that can be read and written.
    pub(super) fn anonymous(bytes: usize) -> io::Result<Mapping> {
        Mapping::new(
            bytes,
            READ_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
        )
    }

    /// Makes a mapping by mmap(2), with offset 0.
    pub(super) fn new(bytes: usize, protection: i32, flags: i32, fd: RawFd) -> io::Result<Mapping> {
        // SAFETY: a new mapping at an address that the kernel chooses; no existing memory is
        // touched.
        let start = unsafe { libc::mmap(null_mut(), bytes, protection, flags, fd, 0) };
        match start {
            libc::MAP_FAILED => Err(io::Error::last_os_error()),
            start => Ok(Mapping {
                start: start.cast(),
                bytes,
            }),
        }
    }

    /// Returns the part of `bytes` bytes that begins at `offset`.
    pub(super) fn part(self, offset: usize, bytes: usize) -> Mapping {
        assert!(offset + bytes <= self.bytes, "a part lies inside the whole");
        Mapping {
            start: self.start.wrapping_add(offset),
            bytes,
        }
    }

    /// Returns the page with this index.
    pub(super) fn page(self, index: usize) -> Mapping {
        self.part(index * PAGE, PAGE)
    }

    /// Fills the mapping with copies of `word`.
    pub(super) fn fill(self, word: u64) {
        for at in 0..self.bytes / size_of::<u64>() {
            // SAFETY: the address lies inside the mapping, which is writable and which nobody has a
            // reference into.
            unsafe { self.start.cast::<u64>().add(at).write_volatile(word) };
        }
    }

    /// Changes the protection (mprotect(2)).
    pub(super) fn protect(self, protection: i32) -> io::Result<()> {
        // SAFETY: our own mapping, into which no references exist.
        check(unsafe { libc::mprotect(self.start.cast(), self.bytes, protection) }).map(drop)
    }

    /// Gives the kernel an advice (madvise(2)).
    pub(super) fn advise(self, advice: i32) -> io::Result<()> {
        // SAFETY: our own mapping, into which no references exist.
        check(unsafe { libc::madvise(self.start.cast(), self.bytes, advice) }).map(drop)
    }

    /// Unmaps the mapping (munmap(2)).
    pub(super) fn unmap(self) {
        // SAFETY: our own mapping, into which no references exist. The caller gives the mapping up.
        unsafe { libc::munmap(self.start.cast(), self.bytes) };
    }

    /// Returns the first address.
    pub(super) fn address(self) -> u64 {
        self.start as u64
    }
}

/// Protection of memory that can be read and written.
pub(super) const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;

/// Turns the -1 of a failed call into the error that errno tells.
pub(super) fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// The same for syscall(2), whose results are long.
pub(super) fn check_long(result: libc::c_long) -> io::Result<i32> {
    check(i32::try_from(result).unwrap_or(0))
}
