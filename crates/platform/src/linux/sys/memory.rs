//! Reading another process's memory, and finding out which of its pages exist.

use snapshot::Range;
use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

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

/// Writes memory of another process by process_vm_writev(2).
///
/// # Errors
/// If any of it may not be written.
pub(crate) fn write_process(pid: i32, address: u64, bytes: &[u8]) -> io::Result<()> {
    let local = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(address as usize),
        iov_len: bytes.len(),
    };
    // SAFETY: the local vector describes `bytes`, which are only read. The remote one is only looked up in the other
    // process.
    let done =
        unsafe { libc::process_vm_writev(pid, &raw const local, 1, &raw const remote, 1, 0) };
    match done {
        -1 => Err(io::Error::last_os_error()),
        done if done as usize == bytes.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Has the kernel make huge pages of a range of another process (`MADV_COLLAPSE`, Linux 6.1). Its content stays the same.
pub(crate) fn collapse(process: BorrowedFd<'_>, range: Range) -> io::Result<()> {
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(range.start as usize),
        iov_len: range.len() as usize,
    };
    // SAFETY: the vector is only looked up in the other process, and how its pages lie is nothing that it could see.
    let done = unsafe {
        libc::syscall(
            libc::SYS_process_madvise,
            process.as_raw_fd(),
            &raw const remote,
            1,
            libc::MADV_COLLAPSE,
            0,
        )
    };
    match done {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
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
    /// The page is part of a huge one.
    pub(crate) const HUGE: u64 = 1 << 6;
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
