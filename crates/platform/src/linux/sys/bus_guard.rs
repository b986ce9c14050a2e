//! Mapped files that somebody cuts short. A read behind their end raises SIGBUS (mmap(2)); so does the read of a hole
//! of a file on a full tmpfs. Where it is a read of a mapping that is guarded, the page becomes one of zeros, and the
//! reader goes on: a process must not be able to end its collector.

use std::sync::{
    Once, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

/// How many mappings can be guarded at once.
const SLOTS: usize = 4096;

/// The guarded mappings, each with its start and the address behind it; zeros are free.
static STARTS: [AtomicUsize; SLOTS] = [const { AtomicUsize::new(0) }; SLOTS];
static ENDS: [AtomicUsize; SLOTS] = [const { AtomicUsize::new(0) }; SLOTS];
static PAGE: AtomicUsize = AtomicUsize::new(0);
/// What handled SIGBUS before us.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// A guarded mapping, until this is dropped. Drop it before the mapping is removed.
pub(crate) struct BusGuard(usize);

impl BusGuard {
    /// Guards a mapping of `len` bytes; `None` if there are too many.
    pub(crate) fn of(start: usize, len: usize) -> Option<Self> {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(install);
        let free = |slot: &usize| {
            let taken =
                STARTS[*slot].compare_exchange(0, start, Ordering::AcqRel, Ordering::Relaxed);
            taken.is_ok()
        };
        let slot = (0..SLOTS).find(free)?;
        ENDS[slot].store(start + len, Ordering::Release);
        Some(Self(slot))
    }
}

impl Drop for BusGuard {
    fn drop(&mut self) {
        ENDS[self.0].store(0, Ordering::Release);
        STARTS[self.0].store(0, Ordering::Release);
    }
}

fn install() {
    PAGE.store(rustix::param::page_size(), Ordering::Release);
    // SAFETY: zeros are valid for the fields of both actions that are not set, and both live during the call. The
    // handler does what a signal handler may (see there).
    unsafe {
        let mut before: libc::sigaction = std::mem::zeroed();
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction =
            on_bus as extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        if libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut before) == 0 {
            let _ = BEFORE.set(before);
        }
        libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
    }
}

/// Handles SIGBUS. It reads atomics and makes system calls, nothing else, which a signal handler may do.
extern "C" fn on_bus(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes the information of this signal, which has an address.
    let address = unsafe { (*info).si_addr() } as usize;
    if is_guarded(address) && make_readable(address) {
        return;
    }
    let Some(before) = BEFORE.get() else { return };
    match before.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: the action that there was before, which the kernel gave us. The read is tried again, and ends us.
            unsafe { libc::sigaction(signal, before, std::ptr::null_mut()) };
        }
        handler => {
            // SAFETY: a handler that was installed for this signal. Rust's own takes all three arguments, and one
            // that takes only the first ignores the others.
            let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) =
                unsafe { std::mem::transmute(handler) };
            handler(signal, info, context);
        }
    }
}

fn is_guarded(address: usize) -> bool {
    let mut slots = STARTS.iter().zip(&ENDS);
    slots.any(|(start, end)| {
        let (start, end) = (start.load(Ordering::Acquire), end.load(Ordering::Acquire));
        start != 0 && (start..end).contains(&address)
    })
}

/// Puts a page of zeros where the page of the file cannot be read.
fn make_readable(address: usize) -> bool {
    let page = PAGE.load(Ordering::Acquire);
    let start = std::ptr::without_provenance_mut(address & !(page - 1));
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the page lies within a mapping of ours that is only read, and whose content cannot be had.
    let made = unsafe { libc::mmap(start, page, libc::PROT_READ, flags, -1, 0) };
    made == start
}
