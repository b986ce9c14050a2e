//! Reading another process's memory, finding out which of its pages exist, and mapping files.

use super::bus_guard::BusGuard;
use std::{io, os::fd::AsRawFd};

/// Copies memory of another process by process_vm_readv(2), and returns how many bytes could be
/// read.
pub(crate) fn read_process(pid: i32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(address as usize),
        iov_len: buffer.len(),
    };
    // SAFETY: the local vector describes `buffer`, which is borrowed mutably during the call. The
    // remote one is only looked up in the other process.
    let got = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    if got < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(got as usize)
    }
}

/// Categories of pages (`PAGE_IS_…` of `linux/fs.h`).
pub(crate) mod page {
    /// The page has data of a file or of shared memory, not a copy of the process's own.
    pub(crate) const FILE: u64 = 1 << 2;
    /// The page is in memory.
    pub(crate) const PRESENT: u64 = 1 << 3;
    /// The page is swapped out (guard pages have this bit too).
    pub(crate) const SWAPPED: u64 = 1 << 4;
    /// The page is the shared page of zeros.
    pub(crate) const ZERO: u64 = 1 << 5;
    /// The page is a guard page (`MADV_GUARD_INSTALL`, Linux 6.15).
    pub(crate) const GUARD: u64 = 1 << 8;
}

/// A run of pages of the same categories (`struct page_region` of `linux/fs.h`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PageRun {
    /// The first address.
    pub(crate) start: u64,
    /// The address behind the last page.
    pub(crate) end: u64,
    /// The categories of [`page`] that all these pages have.
    pub(crate) categories: u64,
}

/// The argument of `PAGEMAP_SCAN` (`struct pm_scan_arg` of `linux/fs.h`).
#[repr(C)]
#[derive(Default)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vector: u64,
    vector_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_any_of: u64,
    return_mask: u64,
}

/// The request that finds pages by category: `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::c_ulong = 0xC060_6610;

/// Finds runs of existing pages from `start` on (Linux 6.7). Returns how many runs were found, and
/// the address at which the walk ended.
pub(crate) fn scan_pages(
    pagemap: &std::fs::File,
    start: u64,
    end: u64,
    return_mask: u64,
    runs: &mut [PageRun],
) -> io::Result<(usize, u64)> {
    let mut argument = ScanArgument {
        size: size_of::<ScanArgument>() as u64,
        start,
        end,
        vector: runs.as_mut_ptr() as u64,
        vector_len: runs.len() as u64,
        category_any_of: page::PRESENT | page::SWAPPED,
        return_mask,
        ..ScanArgument::default()
    };
    // SAFETY: the argument has the kernel's layout (linux/fs.h, twelve u64). Its vector is `runs`,
    // which is borrowed mutably during the call, with its true length.
    let count = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN as _, &raw mut argument) };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((count as usize, argument.walk_end))
}

/// A file that is mapped for reading.
pub(crate) struct Mapping {
    start: *mut libc::c_void,
    len: usize,
    /// Taken away before the mapping is.
    guard: Option<BusGuard>,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is never written to.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of `file`.
    pub(crate) fn new(file: &std::fs::File, len: usize) -> io::Result<Self> {
        if len == 0 {
            return Ok(Self {
                start: std::ptr::null_mut(),
                len,
                guard: None,
            });
        }
        // SAFETY: a new private read-only mapping, at an address that the kernel chooses; no
        // existing memory is touched.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mut mapping = Self {
            start,
            len,
            guard: None,
        };
        let guard = BusGuard::of(start as usize, len);
        mapping.guard = Some(guard.ok_or_else(|| io::Error::other("too many files are mapped"))?);
        Ok(mapping)
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: `start..start+len` is our own mapping until `drop`, and nobody writes through it.
        // What this cannot rule out is that somebody changes the file meanwhile: bytes are then
        // parsed as they come and never trusted. What a file that is cut does not have any more is read
        // as zeros (see `bus_guard`).
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.guard = None;
        if self.len > 0 {
            // SAFETY: exactly the mapping that was made in `new`, unmapped once; nobody has a
            // reference into it.
            unsafe { libc::munmap(self.start, self.len) };
        }
    }
}
