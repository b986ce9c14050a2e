//! The content of a file as a slice, read piece by piece when it is looked at first.
//!
//! A file that another may write is never mapped: a read behind its end would raise SIGBUS (mmap(2)), as would a hole
//! of a file on a full tmpfs, and a `&[u8]` must not change while somebody holds it. A copy of all of it would take
//! the memory of all of it, and those who parse want a slice. So the slice is memory of our own, at first not
//! accessible. The first read of a piece raises SIGSEGV; its handler reads the piece from the file, makes it
//! accessible, and the reader goes on. What is there stays as it is; what a file that was cut does not have any more
//! is zeros.
//!
//! The kernel does not raise the signal when it reads such memory for us: write(2) of a piece that was not looked at
//! fails with EFAULT. Use [`LazyFile::read_at`] to copy the file elsewhere.

use super::{content_maker::ContentMaker, faults::Faults};
use crate::MakeContent;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use snapshot::FileContent;
use std::{
    fs::File,
    io, ops,
    os::unix::fs::FileExt,
    ptr::null_mut,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
};

/// How many files can be open at once.
const SLOTS: usize = 4096;

/// Pieces are of this many bytes at least, whatever the size of the file: who looks at a few places of a large one reads as
/// little as of a small one. Of files of more than a terabyte they are larger, so that there are so many at most.
const PIECE: usize = 64 << 10;
const MOST_PIECES: usize = 16 << 20;
/// After this many reads, four times as much is read at once, and again after as many more: each read may become a mapping of
/// its own, and a process has 65,530 by default (`vm.max_map_count`). Those of a file of 64 TiB are 40,000 so.
const READS: usize = 2048;

/// The bits of a word.
const BITS: usize = usize::BITS as usize;

/// The open files, for the signal handler: each with its start, the address behind it, and what is known of it.
static STARTS: [AtomicUsize; SLOTS] = [const { AtomicUsize::new(0) }; SLOTS];
static ENDS: [AtomicUsize; SLOTS] = [const { AtomicUsize::new(0) }; SLOTS];
static FILES: [AtomicPtr<Pieces>; SLOTS] = [const { AtomicPtr::new(null_mut()) }; SLOTS];
static FAULTS: Faults = Faults::new(libc::SIGSEGV, read_at_address);

/// A file that is read when it is looked at. It stays open until this is dropped.
pub(crate) struct LazyFile {
    pieces: Box<Pieces>,
    slot: usize,
}

impl LazyFile {
    /// Takes the first `len` bytes of `file`.
    pub(crate) fn new(file: File, len: usize) -> io::Result<Self> {
        Self::of(Origin::File(file), len)
    }

    /// Content of `len` bytes that is made when it is looked at.
    pub(crate) fn made(make: MakeContent, len: usize) -> io::Result<Self> {
        Self::of(Origin::Made(ContentMaker::new(make)?), len)
    }

    fn of(origin: Origin, len: usize) -> io::Result<Self> {
        FAULTS.catch(on_fault);
        let pieces = Box::new(Pieces::new(origin, len)?);
        let free = |slot: &usize| {
            let taken = FILES[*slot].compare_exchange(
                null_mut(),
                (&raw const *pieces).cast_mut(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            taken.is_ok()
        };
        let slot = (0..SLOTS).find(free);
        let slot = slot.ok_or_else(|| io::Error::other("too many files are open"))?;
        let start = pieces.shown.start as usize;
        ENDS[slot].store(start + pieces.shown.len, Ordering::Release);
        STARTS[slot].store(start, Ordering::Release);
        Ok(Self { pieces, slot })
    }
}

impl AsRef<[u8]> for LazyFile {
    fn as_ref(&self) -> &[u8] {
        let shown = &self.pieces.shown;
        // SAFETY: the range is a mapping of our own until `drop`. Reads of what is not accessible yet are completed by
        // the signal handler; a byte that was read once never changes, as a piece is filled before it is accessible
        // and never again.
        unsafe { std::slice::from_raw_parts(shown.start.cast(), self.pieces.len) }
    }
}

impl FileContent for LazyFile {
    /// Reads from the file itself what is larger than a piece, so that a dump of many gigabytes can be read through
    /// without taking as much memory.
    fn read_at(&self, at: u64, buf: &mut [u8]) -> usize {
        let rest = (self.pieces.len as u64).saturating_sub(at);
        let want = buf.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
        let buf = &mut buf[..want];
        if want < PIECE {
            let from = at as usize;
            buf.copy_from_slice(self.as_ref().get(from..from + want).unwrap_or_default());
            return want;
        }
        match &self.pieces.origin {
            Origin::File(file) => fill(file, at, buf),
            Origin::Made(maker) => return maker.read_at(at, buf),
        }
        want
    }
}

impl Drop for LazyFile {
    fn drop(&mut self) {
        STARTS[self.slot].store(0, Ordering::Release);
        ENDS[self.slot].store(0, Ordering::Release);
        FILES[self.slot].store(null_mut(), Ordering::Release);
    }
}

/// Where the content comes from.
enum Origin {
    File(File),
    Made(ContentMaker),
}

/// The memory of a file, and which pieces of it have been read.
struct Pieces {
    origin: Origin,
    /// In bytes.
    len: usize,
    /// The size of a piece in bytes, a power of two.
    piece: usize,
    /// What readers see.
    shown: Area,
    /// The same memory, where the handler writes.
    own: Area,
    /// Which pieces were read: one bit for each.
    read: Vec<AtomicUsize>,
    /// How often something was read.
    reads: AtomicUsize,
    busy: AtomicBool,
}

impl Pieces {
    fn new(origin: Origin, len: usize) -> io::Result<Self> {
        let piece = PIECE.max((len / MOST_PIECES).next_power_of_two());
        // The pages of an empty file cannot be mapped.
        let size = len.max(1).next_multiple_of(piece);
        let memory = rustix::fs::memfd_create(c"file", rustix::fs::MemfdFlags::CLOEXEC)?;
        rustix::fs::ftruncate(&memory, size as u64)?;
        Ok(Self {
            shown: Area::new(&memory, size, ProtFlags::empty())?,
            own: Area::new(&memory, size, ProtFlags::READ | ProtFlags::WRITE)?,
            read: { 0..(size / piece).div_ceil(BITS) }
                .map(|_| AtomicUsize::new(0))
                .collect(),
            reads: AtomicUsize::new(0),
            busy: AtomicBool::new(false),
            origin,
            len,
            piece,
        })
    }

    /// Reads the piece with this offset, unless another thread has. Returns whether it is accessible. Makes system
    /// calls, nothing else, which a signal handler may do.
    fn read(&self, offset: usize) -> bool {
        while self.busy.swap(true, Ordering::Acquire) {
            rustix::thread::sched_yield();
        }
        let there = self.is_read(offset) || self.read_around(offset);
        self.busy.store(false, Ordering::Release);
        there
    }

    fn is_read(&self, offset: usize) -> bool {
        let number = offset / self.piece;
        self.read[number / BITS].load(Ordering::Relaxed) & 1 << (number % BITS) != 0
    }

    /// Reads what is read at once of all that is not read yet, and makes it accessible.
    fn read_around(&self, offset: usize) -> bool {
        let times = self.reads.fetch_add(1, Ordering::Relaxed) / READS;
        let range = self.at_once(offset, times as u32);
        let pieces = range.clone().step_by(self.piece);
        pieces
            .filter(|from| !self.is_read(*from))
            .for_each(|from| self.fill(from));
        // SAFETY: the range lies within the mapping. What is made accessible for the first time has been filled.
        let shown = unsafe {
            let start = self.shown.start.cast::<u8>().add(range.start).cast();
            rustix::mm::mprotect(start, range.len(), MprotectFlags::READ)
        };
        if shown.is_ok() {
            range
                .step_by(self.piece)
                .for_each(|from| self.set_read(from));
        }
        shown.is_ok()
    }

    /// The pieces that are read with the one of this offset, where so much has been read as often.
    fn at_once(&self, offset: usize, times: u32) -> ops::Range<usize> {
        let bytes = self.piece.checked_shl(2 * times).unwrap_or(0);
        let whole = 0..self.shown.len;
        match bytes >= self.piece && bytes < whole.len() {
            true => {
                let from = offset & !(bytes - 1);
                from..(from + bytes).min(whole.end)
            }
            false => whole,
        }
    }

    fn set_read(&self, offset: usize) {
        let number = offset / self.piece;
        self.read[number / BITS].fetch_or(1 << (number % BITS), Ordering::Relaxed);
    }

    fn fill(&self, from: usize) {
        let held = self.piece.min(self.len.saturating_sub(from));
        // SAFETY: the piece lies within the mapping. Nobody else has a reference into it: it is written with `busy`
        // held, and before readers can see it.
        let bytes =
            unsafe { std::slice::from_raw_parts_mut(self.own.start.cast::<u8>().add(from), held) };
        match &self.origin {
            Origin::File(file) => fill(file, from as u64, bytes),
            Origin::Made(maker) => maker.fill(from as u64, bytes),
        }
    }
}

/// A mapping, until this is dropped.
struct Area {
    start: *mut libc::c_void,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread; who writes to it says why that is sound.
unsafe impl Send for Area {}
// SAFETY: as above.
unsafe impl Sync for Area {}

impl Area {
    fn new(memory: &rustix::fd::OwnedFd, len: usize, access: ProtFlags) -> io::Result<Self> {
        // SAFETY: a new mapping at an address that the kernel chooses; no existing memory is touched.
        let start = unsafe {
            rustix::mm::mmap(
                null_mut(),
                len,
                access,
                MapFlags::SHARED | MapFlags::NORESERVE,
                memory,
                0,
            )
        };
        Ok(Self { start: start?, len })
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that was made in `new`, unmapped once; nobody has a reference into it.
        let _ = unsafe { rustix::mm::munmap(self.start, self.len) };
    }
}

/// Fills a buffer from a file, with zeros where that cannot be read.
fn fill(file: &File, at: u64, mut buf: &mut [u8]) {
    let mut at = at;
    while !buf.is_empty() {
        match file.read_at(buf, at) {
            Ok(0) => break,
            Ok(got) => {
                at += got as u64;
                buf = &mut buf[got..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    buf.fill(0);
}

extern "C" fn on_fault(_: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: what the kernel has passed.
    unsafe { FAULTS.handle(info, context) };
}

/// Reads the piece of the file that is shown at an address. Returns whether there is one.
fn read_at_address(address: usize) -> bool {
    let is_here = |slot: &usize| {
        let start = STARTS[*slot].load(Ordering::Acquire);
        start != 0 && (start..ENDS[*slot].load(Ordering::Acquire)).contains(&address)
    };
    let Some(slot) = (0..SLOTS).find(is_here) else {
        return false;
    };
    // SAFETY: whoever reads at this address holds a reference to the `LazyFile`, so that its pieces are there.
    let pieces = unsafe { FILES[slot].load(Ordering::Acquire).as_ref() };
    pieces.is_some_and(|pieces| pieces.read(address - pieces.shown.start as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> File {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("its content");
        file
    }

    #[test]
    fn a_file_is_read_when_it_is_looked_at_and_stays_as_it_was() {
        let content: Vec<u8> = (0..300_000u32).map(|at| (at / 7) as u8).collect();
        let file = file(&content);
        let lazy = LazyFile::new(file.try_clone().expect("a file"), content.len()).expect("open");
        let bytes = lazy.as_ref();
        assert_eq!(bytes[70_000], content[70_000]);
        file.set_len(0).expect("to cut it");
        let piece = PIECE..2 * PIECE;
        assert_eq!(
            bytes[piece.clone()],
            content[piece],
            "what was read once stays"
        );
        assert_eq!(bytes[0], 0, "what is gone is zeros");
        assert_eq!(bytes.len(), content.len());
    }

    #[test]
    fn threads_that_look_at_once_see_the_same() {
        let content = vec![7; 40 * PIECE + 5];
        let lazy = LazyFile::new(file(&content), content.len()).expect("open");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert!(lazy.as_ref() == content));
            }
        });
    }

    #[test]
    fn large_reads_take_no_memory_and_end_with_the_file() {
        let content = vec![9; 3 * PIECE];
        let lazy = LazyFile::new(file(&content), content.len()).expect("open");
        let mut buf = vec![0; 4 * PIECE];
        assert_eq!(lazy.read_at(PIECE as u64, &mut buf), 2 * PIECE);
        assert!(buf[..2 * PIECE].iter().all(|&byte| byte == 9));
        assert_eq!(lazy.pieces.reads.load(Ordering::Relaxed), 0);
        assert_eq!(lazy.read_at(u64::MAX, &mut buf), 0);
    }

    #[test]
    fn content_is_made_once_where_it_is_looked_at() {
        let made = std::sync::Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let make = move |at: u64, buf: &mut [u8]| {
            count.fetch_add(1, Ordering::Relaxed);
            buf.fill((at / PIECE as u64) as u8);
            buf.len()
        };
        let len = 200 * PIECE;
        let lazy = LazyFile::made(Box::new(make), len).expect("a thread");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(lazy.as_ref()[7 * PIECE + 1], 7));
            }
        });
        assert_eq!(lazy.as_ref()[len - 1], 199);
        assert_eq!(made.load(Ordering::Relaxed), 2, "two pieces");
    }

    /// A look at a place of a file of 20 GiB reads as much as in one of a megabyte.
    #[test]
    fn s8_what_is_read_of_a_large_file_is_not_more() {
        for len in [1 << 20, 20 << 30, 1 << 40] {
            let (bytes, count) = counted(len);
            let lazy = LazyFile::made(bytes, len).expect("a thread");
            for at in [0, len / 3, len / 2, len - 1] {
                assert_eq!(lazy.as_ref()[at], 5);
            }
            assert_eq!(count.load(Ordering::Relaxed), 4 * PIECE, "{len}");
        }
    }

    /// Who looks at everything makes few mappings, and sees all of it.
    #[test]
    fn s8_more_is_read_at_once_of_who_looks_at_much() {
        let len = (READS + 40) * PIECE + 3;
        let (bytes, count) = counted(len);
        let lazy = LazyFile::made(bytes, len).expect("a thread");
        let all = lazy.as_ref();
        assert!((0..READS).all(|piece| all[piece * PIECE] == 5));
        assert_eq!(count.load(Ordering::Relaxed), READS * PIECE);
        assert_eq!(all[(READS + 5) * PIECE], 5);
        assert_eq!(
            count.load(Ordering::Relaxed),
            (READS + 4) * PIECE,
            "four at once"
        );
        assert!(all.iter().all(|byte| *byte == 5));
        assert_eq!(count.load(Ordering::Relaxed), len);
        let reads = lazy.pieces.reads.load(Ordering::Relaxed);
        assert_eq!(reads, READS + 1 + 9 + 1);
    }

    #[test]
    fn s8_all_is_read_at_once_at_last() {
        let lazy = LazyFile::new(file(b""), 100 * PIECE).expect("open");
        let of = |piece: usize, times| lazy.pieces.at_once(piece * PIECE, times);
        assert_eq!(of(7, 0), 7 * PIECE..8 * PIECE);
        assert_eq!(of(99, 2), 96 * PIECE..100 * PIECE);
        for times in [4, 23, 24, 31, 32, 1 << 20] {
            assert_eq!(of(7, times), 0..100 * PIECE, "{times}");
        }
    }

    /// Content that counts how many bytes were asked for.
    fn counted(len: usize) -> (MakeContent, std::sync::Arc<AtomicUsize>) {
        let count = std::sync::Arc::new(AtomicUsize::new(0));
        let of_maker = count.clone();
        let make = move |at: u64, buf: &mut [u8]| {
            let held = buf.len().min(len - at as usize);
            of_maker.fetch_add(held, Ordering::Relaxed);
            buf[..held].fill(5);
            held
        };
        (Box::new(make), count)
    }

    #[test]
    fn an_empty_file_has_no_bytes() {
        let lazy = LazyFile::new(file(b""), 0).expect("open");
        assert!(lazy.as_ref().is_empty());
    }
}
