//! Reading another process's memory, and which of its pages exist.

use std::{io, os::fd::AsRawFd};

/// Copies from another process with `process_vm_readv(2)`; the bytes that came.
pub(crate) fn read_process(pid: i32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(address as usize),
        iov_len: buffer.len(),
    };
    // SAFETY: the local vector describes `buffer`, which is exclusively ours and lives through the
    // call; the remote one is only looked up in the other process.
    let got = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    if got < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(got as usize)
    }
}

/// `PAGE_IS_…` of `linux/fs.h`.
pub(crate) mod page {
    /// The page holds data of a file or shared memory, not the process's own copy.
    pub(crate) const FILE: u64 = 1 << 2;
    /// It is in memory.
    pub(crate) const PRESENT: u64 = 1 << 3;
    /// It is in swap (guard pages carry this too).
    pub(crate) const SWAPPED: u64 = 1 << 4;
    /// It is the shared page of zeros.
    pub(crate) const ZERO: u64 = 1 << 5;
    /// `MADV_GUARD_INSTALL` (Linux 6.15).
    pub(crate) const GUARD: u64 = 1 << 8;
}

/// `struct page_region` of `linux/fs.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PageRun {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) categories: u64,
}

/// `struct pm_scan_arg` of `linux/fs.h`.
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

/// `PAGEMAP_SCAN`: `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::c_ulong = 0xC060_6610;

/// Runs of existing pages from `start` on (Linux 6.7): how many came, and where the walk ended.
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
    // SAFETY: the argument has the kernel's layout (linux/fs.h, twelve u64) and its vector points
    // at `runs`, exclusively ours, with its true length.
    let count = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN as _, &raw mut argument) };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((count as usize, argument.walk_end))
}

/// A whole file, mapped for reading.
pub(crate) struct Mapping {
    start: *mut libc::c_void,
    len: usize,
}

// SAFETY: the mapping is read-only and private for its whole life.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of `file`.
    pub(crate) fn new(file: &std::fs::File, len: usize) -> io::Result<Self> {
        if len == 0 {
            return Ok(Self {
                start: std::ptr::null_mut(),
                len,
            });
        }
        // SAFETY: a fresh private read-only mapping of a file that is open; no existing memory is
        // touched.
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
            Err(io::Error::last_os_error())
        } else {
            Ok(Self { start, len })
        }
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: `start..start+len` is our own mapping until drop, and nobody writes through it.
        // A file that is truncated meanwhile raises SIGBUS; readers open files nobody writes to.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: exactly the mapping made in `new`, unmapped once.
            unsafe { libc::munmap(self.start, self.len) };
        }
    }
}
