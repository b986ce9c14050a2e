//! Mappings, for the modes that need unusual ones.

use std::io;
use std::os::fd::RawFd;
use std::ptr::null_mut;

/// The size of a page, on the machines that tests run on.
pub(super) const PAGE: usize = 4096;

/// A mapping that stays until the process ends.
#[derive(Clone, Copy)]
pub(super) struct Mapping {
    pub(super) start: *mut u8,
    pub(super) bytes: usize,
}

impl Mapping {
    /// Private memory to read and write.
    pub(super) fn anonymous(bytes: usize) -> io::Result<Mapping> {
        Mapping::new(
            bytes,
            READ_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
        )
    }

    /// Whatever `mmap` can do.
    pub(super) fn new(bytes: usize, protection: i32, flags: i32, fd: RawFd) -> io::Result<Mapping> {
        // SAFETY: a new mapping at a place the kernel chooses.
        let start = unsafe { libc::mmap(null_mut(), bytes, protection, flags, fd, 0) };
        match start {
            libc::MAP_FAILED => Err(io::Error::last_os_error()),
            start => Ok(Mapping {
                start: start.cast(),
                bytes,
            }),
        }
    }

    /// A part of it.
    pub(super) fn part(self, offset: usize, bytes: usize) -> Mapping {
        assert!(offset + bytes <= self.bytes, "a part lies inside the whole");
        Mapping {
            start: self.start.wrapping_add(offset),
            bytes,
        }
    }

    /// Its page number `index`.
    pub(super) fn page(self, index: usize) -> Mapping {
        self.part(index * PAGE, PAGE)
    }

    /// Fills it with `word` again and again.
    pub(super) fn fill(self, word: u64) {
        for at in 0..self.bytes / size_of::<u64>() {
            // SAFETY: inside the mapping, which is writable and nobody else's.
            unsafe { self.start.cast::<u64>().add(at).write_volatile(word) };
        }
    }

    /// `mprotect`.
    pub(super) fn protect(self, protection: i32) -> io::Result<()> {
        // SAFETY: our own mapping, into which no references exist.
        check(unsafe { libc::mprotect(self.start.cast(), self.bytes, protection) }).map(drop)
    }

    /// `madvise`.
    pub(super) fn advise(self, advice: i32) -> io::Result<()> {
        // SAFETY: our own mapping, into which no references exist.
        check(unsafe { libc::madvise(self.start.cast(), self.bytes, advice) }).map(drop)
    }

    /// `munmap`.
    pub(super) fn unmap(self) {
        // SAFETY: our own mapping, into which no references exist, and which nobody uses again.
        unsafe { libc::munmap(self.start.cast(), self.bytes) };
    }

    /// Its first address.
    pub(super) fn address(self) -> u64 {
        self.start as u64
    }
}

/// To read and write.
pub(super) const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;

/// The kernel's -1 as an error.
pub(super) fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// The same of a raw system call.
pub(super) fn check_long(result: libc::c_long) -> io::Result<i32> {
    check(i32::try_from(result).unwrap_or(0))
}
