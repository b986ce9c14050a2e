//! Taking out of the page cache what we have written.

use std::{fs::File, io, os::fd::AsRawFd as _};

/// Waits until a range of a file is on its disk, and drops it from the page cache (sync_file_range(2),
/// posix_fadvise(2)). Where the file system cannot do that, the range stays in the cache.
///
/// # Errors
/// If the disk does not take the range. The kernel tells that once: fsync(2) would not tell it again.
pub(crate) fn write_out(file: &File, offset: u64, len: usize) -> io::Result<()> {
    let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: no memory is involved; the descriptor is open during the call.
    let result =
        unsafe { libc::sync_file_range(file.as_raw_fd(), offset as i64, len as i64, flags) };
    if result < 0 {
        let error = io::Error::last_os_error();
        let is_of_disk = [libc::EIO, libc::ENOSPC, libc::EDQUOT].map(Some);
        return match is_of_disk.contains(&error.raw_os_error()) {
            true => Err(error),
            false => Ok(()),
        };
    }
    drop_read(file, offset, len);
    Ok(())
}

/// Drops a range of a file that is on its disk from the page cache.
pub(crate) fn drop_read(file: &File, offset: u64, len: usize) {
    let advice = rustix::fs::Advice::DontNeed;
    // Only an advice: nothing is lost if it is not taken.
    let _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(len as u64), advice);
}
