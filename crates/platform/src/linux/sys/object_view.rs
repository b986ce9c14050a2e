//! An object in memory that a process shows (memfd, shared memory), mapped by us as well: copying from such a mapping takes a
//! third of the time that process_vm_readv(2) takes. The pages are those of the object, and no memory of ours.

use super::careful_copy::{self, Missing};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};
use std::{
    fs::File,
    io,
    ops::Range,
    ptr::null_mut,
    sync::atomic::{AtomicBool, Ordering},
};

const PAGE: usize = 4096;
/// How much is prepared at once, in bytes.
const AT_ONCE: usize = 2 << 20;

/// The beginning of an object, mapped for reading.
pub(crate) struct ObjectView {
    start: *mut libc::c_void,
    len: usize,
    /// Some of its pages have become zeros.
    is_spoilt: AtomicBool,
}

// SAFETY: the mapping belongs to the process, not to a thread.
unsafe impl Send for ObjectView {}
// SAFETY: it is only read, by code that may see it change.
unsafe impl Sync for ObjectView {}

impl ObjectView {
    /// Maps the first `len` bytes of an object, whole pages.
    ///
    /// # Errors
    /// If there is no room for them.
    pub(crate) fn of(file: &File, len: usize) -> io::Result<Self> {
        let flags = MapFlags::SHARED | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address that the kernel chooses; no existing memory is touched.
        let start = unsafe { mmap(null_mut(), len, ProtFlags::READ, flags, file, 0)? };
        Ok(Self {
            start,
            len,
            is_spoilt: AtomicBool::new(false),
        })
    }

    /// Prepares what is in memory of a part of the object for reading, as long as it `goes_on`. (To look at a page that the
    /// object does not have would make it, so that is asked for piece by piece, right before.)
    pub(crate) fn populate(&self, part: Range<usize>, goes_on: impl Fn() -> bool) {
        let part = part.start / PAGE * PAGE..part.end.min(self.len);
        for at in part.clone().step_by(AT_ONCE).take_while(|_| goes_on()) {
            for run in self.in_memory(at..part.end.min(at + AT_ONCE)) {
                // SAFETY: the run lies within the mapping, which is only read.
                let _ = unsafe {
                    let start = self.start.byte_add(run.start);
                    madvise(start, run.len(), Advice::LinuxPopulateRead)
                };
            }
        }
    }

    /// Which pages of a part are in memory, at most [`AT_ONCE`] bytes.
    fn in_memory(&self, part: Range<usize>) -> Vec<Range<usize>> {
        let mut pages = [0u8; AT_ONCE / PAGE];
        // SAFETY: the part lies within the mapping, and there is a byte for each page of it.
        let told = unsafe {
            libc::mincore(
                self.start.byte_add(part.start),
                part.len(),
                pages.as_mut_ptr(),
            )
        };
        if told != 0 {
            return Vec::new();
        }
        let pages = &pages[..part.len().div_ceil(PAGE)];
        let mut at = part.start;
        let runs = pages.chunk_by(|page, next| page & 1 == next & 1);
        let runs = runs.filter_map(|run| {
            let start = at;
            at += run.len() * PAGE;
            (run[0] & 1 == 1).then_some(start..at)
        });
        runs.collect()
    }

    /// Copies what the object has from `at` on, whole pages, each of them once: once some were missing, nothing is copied any more.
    ///
    /// # Errors
    /// What was missing.
    pub(crate) fn copy(&self, at: usize, buffer: &mut [u8]) -> Result<(), Missing> {
        let end = at.checked_add(buffer.len());
        let is_within = end.is_some_and(|end| end <= self.len);
        if !is_within || self.is_spoilt.load(Ordering::Relaxed) {
            return Err(Missing::Source);
        }
        // SAFETY: the source lies within the mapping, of which nobody has a reference. Pages of it that become zeros are those
        // of this copy, and nobody copies them again.
        let copied = unsafe { careful_copy::copy(self.start.cast::<u8>().add(at), buffer) };
        if copied.is_err() {
            self.is_spoilt.store(true, Ordering::Relaxed);
        }
        copied
    }
}

impl Drop for ObjectView {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that was made in `of`, unmapped once; nobody has a reference into it.
        let _ = unsafe { munmap(self.start, self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::{super::room::Room, *};
    use std::os::unix::fs::FileExt as _;

    /// Each byte tells its place.
    fn object(pages: usize) -> File {
        let memory = rustix::fs::memfd_create(c"object", rustix::fs::MemfdFlags::CLOEXEC);
        let file: File = memory.expect("memory").into();
        file.write_all_at(&bytes(0..pages), 0).expect("room");
        file
    }

    fn bytes(pages: Range<usize>) -> Vec<u8> {
        let bytes = pages.start * PAGE..pages.end * PAGE;
        bytes.map(|at| (at / 7) as u8).collect()
    }

    #[test]
    fn what_is_copied_is_what_the_object_has() {
        let file = object(8);
        let view = ObjectView::of(&file, 8 * PAGE).expect("a mapping");
        view.populate(0..8 * PAGE, || true);
        for pages in [0..8, 1..4, 7..8] {
            let mut buffer = vec![0xFF; pages.len() * PAGE];
            assert_eq!(view.copy(pages.start * PAGE, &mut buffer), Ok(()));
            assert!(buffer == bytes(pages));
        }
        let behind = view.copy(7 * PAGE, &mut vec![0; 2 * PAGE]);
        assert_eq!(behind, Err(Missing::Source));
    }

    #[test]
    fn n15_an_object_that_is_cut_while_it_is_copied_does_not_end_us() {
        let file = object(8);
        let view = ObjectView::of(&file, 8 * PAGE).expect("a mapping");
        let whole = ObjectView::of(&object(1), PAGE).expect("a mapping");
        file.set_len(4 * PAGE as u64).expect("to cut it");
        let mut buffer = vec![0xFF; 8 * PAGE];
        assert_eq!(view.copy(0, &mut buffer), Err(Missing::Source));
        assert!(buffer[..4 * PAGE] == bytes(0..4));
        // What has become zeros is not taken for content.
        assert_eq!(
            view.copy(5 * PAGE, &mut buffer[..PAGE]),
            Err(Missing::Source)
        );
        assert_eq!(whole.copy(0, &mut buffer[..PAGE]), Ok(()));
    }

    #[test]
    fn n15_a_file_that_is_cut_while_it_is_copied_into_does_not_end_us() {
        let (file, place) = (object(8), object(8));
        let view = ObjectView::of(&file, 8 * PAGE).expect("a mapping");
        let (_mapped, mut pieces) = Room::of(&place, 8 * PAGE)
            .expect("room")
            .into_pieces(8 * PAGE);
        let mut piece = pieces.next().expect("a piece");
        place.set_len(0).expect("to cut it");
        assert_eq!(view.copy(0, piece.bytes()), Err(Missing::Target));
    }

    /// Nothing is made where the object has holes.
    #[test]
    fn n50_holes_stay_holes() {
        let file = object(4);
        file.set_len(8 << 20).expect("room");
        file.write_all_at(b"x", 5 << 20).expect("room");
        let blocks = || rustix::fs::fstat(&file).expect("its size").st_blocks;
        let before = blocks();
        let view = ObjectView::of(&file, 8 << 20).expect("a mapping");
        view.populate(0..8 << 20, || true);
        assert_eq!(blocks(), before);
    }
}
