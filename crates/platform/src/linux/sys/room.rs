//! A file of our own that is mapped, so that the kernel copies the memory of a process straight into its pages
//! (process_vm_readv(2)): half the work of reading it and writing it.
//!
//! Nobody else has the file, and nobody writes to the mapping but the kernel and [`careful_copy`](super::careful_copy): where a
//! page of it cannot be had, a copy fails, and SIGBUS does not end us.

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};
use std::{fs::File, io, ptr::null_mut, sync::Arc};

/// A mapping of the beginning of a file.
pub(crate) struct Room {
    start: *mut libc::c_void,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread.
unsafe impl Send for Room {}
// SAFETY: nothing can be read or written through a shared reference.
unsafe impl Sync for Room {}

impl Room {
    /// Maps the first `len` bytes of a file that has no name and is at least as long, and prepares all pages for writing.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub(crate) fn of(file: &File, len: usize) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses; no existing memory is touched.
        let start = unsafe { mmap(null_mut(), len, access, MapFlags::SHARED, file, 0)? };
        let room = Self { start, len };
        // SAFETY: the range is that of the mapping, of which the content stays as it is.
        unsafe { madvise(start, len, Advice::LinuxPopulateWrite)? };
        Ok(room)
    }

    /// Cuts it into pieces of `size` bytes, each of which can be filled by a thread of its own; ascending. It stays mapped
    /// until what is returned first has been dropped, too: to unmap it takes a while.
    pub(crate) fn into_pieces(self, size: usize) -> (Mapped, impl Iterator<Item = Piece>) {
        let room = Arc::new(self);
        let mapped = Mapped {
            _room: room.clone(),
        };
        let pieces = (0..room.len).step_by(size).map(move |at| Piece {
            at,
            len: size.min(room.len - at),
            room: room.clone(),
        });
        (mapped, pieces)
    }
}

/// A room that has been cut into pieces.
pub(crate) struct Mapped {
    _room: Arc<Room>,
}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that was made in `of`, unmapped once; no piece of it is left.
        let _ = unsafe { munmap(self.start, self.len) };
    }
}

/// A part of a room.
pub(crate) struct Piece {
    room: Arc<Room>,
    at: usize,
    len: usize,
}

impl Piece {
    /// Its bytes.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping lives as long as `room`, pieces do not overlap, and the file is written by nobody else.
        unsafe {
            std::slice::from_raw_parts_mut(self.room.start.cast::<u8>().add(self.at), self.len)
        }
    }
}
