//! Copying between mapped files, whose pages may be gone when they are looked at: the kernel sends SIGBUS then (mmap(2)). Who
//! has a descriptor of a file may cut it, a disk may be full or fail, and memory may be broken.
//!
//! The handler puts zeros in their place, so that the copying comes to its end, which then tells what was missing.

use super::faults::Faults;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use std::{
    ops::Range,
    ptr::without_provenance_mut,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering, compiler_fence},
};

const PAGE: usize = 4096;
static FAULTS: Faults = Faults::new(libc::SIGBUS, put_zeros_at);

thread_local! {
    /// What this thread copies from and to. The handler runs on the same thread.
    static SIDES: [Side; 2] = const { [Side::new(), Side::new()] };
}

/// What was missing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Some of what was to be copied: what was copied ends in zeros.
    Source,
    /// Some of the place for it: the rest of that is memory without a file now, and is lost with the mapping.
    Target,
}

/// Copies bytes. Both places may be mapped files; pages that they have in part only are not mended.
///
/// # Safety
/// The bytes at `from` can be read, as long as their files have them, and may change meanwhile. Pages of zeros may take the
/// place of pages on both sides.
pub(super) unsafe fn copy(from: *const u8, to: &mut [u8]) -> Result<(), Missing> {
    FAULTS.catch(on_fault);
    SIDES.with(|sides| {
        sides[0].begin(from as usize, to.len());
        sides[1].begin(to.as_ptr() as usize, to.len());
        // SAFETY: as the caller says; the handler runs on this thread, and sees what was stored before.
        unsafe {
            compiler_fence(Ordering::SeqCst);
            std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len());
            compiler_fence(Ordering::SeqCst);
        }
        match [sides[0].end(), sides[1].end()] {
            [false, false] => Ok(()),
            [true, false] => Err(Missing::Source),
            [_, true] => Err(Missing::Target),
        }
    })
}

/// One side of a copy: its whole pages.
struct Side {
    start: AtomicUsize,
    end: AtomicUsize,
    is_missing: AtomicBool,
}

impl Side {
    const fn new() -> Self {
        Self {
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            is_missing: AtomicBool::new(false),
        }
    }

    fn begin(&self, start: usize, len: usize) {
        let end = start.saturating_add(len) / PAGE * PAGE;
        self.is_missing.store(false, Ordering::Relaxed);
        self.start
            .store(start.next_multiple_of(PAGE), Ordering::Relaxed);
        self.end.store(end, Ordering::Relaxed);
    }

    /// Returns whether some of it was missing.
    fn end(&self) -> bool {
        self.end.store(0, Ordering::Relaxed);
        self.is_missing.load(Ordering::Relaxed)
    }

    fn rest_from(&self, address: usize) -> Option<Range<usize>> {
        let whole = self.start.load(Ordering::Relaxed)..self.end.load(Ordering::Relaxed);
        whole
            .contains(&address)
            .then(|| address / PAGE * PAGE..whole.end)
    }

    /// Puts zeros at an address and behind it, if that is of this side. Returns whether it was.
    fn put_zeros(&self, address: usize) -> bool {
        let Some(rest) = self.rest_from(address) else {
            return false;
        };
        self.is_missing.store(true, Ordering::Relaxed);
        let start = without_provenance_mut(rest.start);
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        // SAFETY: these pages are being copied by this thread, whose caller allows it.
        unsafe { mmap_anonymous(start, rest.len(), access, flags).is_ok() }
    }
}

extern "C" fn on_fault(_: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: what the kernel has passed.
    unsafe { FAULTS.handle(info, context) };
}

/// What the handler does: these variables need no setting up, nor do they end with the thread.
fn put_zeros_at(address: usize) -> bool {
    SIDES.with(|sides| sides.iter().any(|side| side.put_zeros(address)))
}
