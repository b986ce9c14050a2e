//! Segments of System V shared memory (shmget(2)).

use rustix::fs::{Mode, OFlags, open};
use std::{io, os::fd::OwnedFd};

/// Opens the object behind a segment. Segments have no file, so it is attached for a moment, for reading, and is found as what
/// we have mapped ourselves. Nothing of it is read.
///
/// # Errors
/// If there is no such segment (any more) in our namespace, or we may not attach it.
pub(crate) fn object(id: i32) -> io::Result<OwnedFd> {
    let len = segment_len(id)?;
    // SAFETY: the kernel chooses the address; no existing memory is touched.
    let at = unsafe { libc::shmat(id, std::ptr::null(), libc::SHM_RDONLY) };
    if at as isize == -1 {
        return Err(io::Error::last_os_error());
    }
    let start = at as usize;
    let path = format!("/proc/self/map_files/{start:x}-{:x}", start + len);
    let opened = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    // SAFETY: it was attached above, and nobody has a reference into it.
    unsafe { libc::shmdt(at) };
    Ok(opened?)
}

/// Returns the length of a segment in bytes, in whole pages.
fn segment_len(id: i32) -> io::Result<usize> {
    // SAFETY: the structure is plain numbers, for which zeros are valid.
    let mut about: libc::shmid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: `about` is such a structure, and lives as long as the call.
    match unsafe { libc::shmctl(id, libc::IPC_STAT, &mut about) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(about.shm_segsz.next_multiple_of(rustix::param::page_size())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, io::Read as _};

    /// Needs root: who may not see what is mapped by its address finds nothing.
    #[test]
    fn n50_a_segment_that_is_attached_by_others_is_opened() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        // SAFETY: plain numbers.
        let id = unsafe { libc::shmget(libc::IPC_PRIVATE, 5000, 0o600) };
        assert!(id >= 0);
        // SAFETY: a new mapping at an address that the kernel chooses.
        let at = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        // SAFETY: it has 5,000 bytes, and nobody else knows it.
        unsafe { at.cast::<u8>().add(4999).write(7) };
        // SAFETY: plain numbers; it lives on as long as it is attached.
        unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
        let found = object(id).expect("root");
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&found));
        let mut content = Vec::new();
        let file = File::open(path).expect("a segment");
        file.take(5000)
            .read_to_end(&mut content)
            .expect("its content");
        assert_eq!((content[0], content[4999]), (0, 7));
        // SAFETY: attached above.
        unsafe { libc::shmdt(at) };
        assert!(object(id).is_err());
    }
}
