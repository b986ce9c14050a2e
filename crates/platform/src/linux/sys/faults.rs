//! Faults of our own threads that are mended, so that the thread goes on where it was.

use std::{
    ptr::{null, null_mut, without_provenance_mut},
    sync::{Once, OnceLock},
};

type Action = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// A signal that the kernel sends for a fault, and what is done about it.
pub(super) struct Faults {
    signal: i32,
    /// Returns whether the fault at an address is mended. It runs as a signal handler: it may read and write atomics and make
    /// system calls, nothing else.
    mend: fn(usize) -> bool,
    install: Once,
    /// What handled the signal before us.
    before: OnceLock<libc::sigaction>,
}

impl Faults {
    pub(super) const fn new(signal: i32, mend: fn(usize) -> bool) -> Self {
        Self {
            signal,
            mend,
            install: Once::new(),
            before: OnceLock::new(),
        }
    }

    /// Has them mended from now on. `on_fault` has to call [`Faults::handle`] of this.
    pub(super) fn catch(&'static self, on_fault: Action) {
        self.install.call_once(|| {
            // SAFETY: zeros are valid for the fields of both actions that are not set, and both live during the call. The
            // handler does what a signal handler may (see `mend`).
            unsafe {
                let mut before: libc::sigaction = std::mem::zeroed();
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_fault as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
                if libc::sigaction(self.signal, null(), &raw mut before) == 0 {
                    let _ = self.before.set(before);
                }
                libc::sigaction(self.signal, &raw const action, null_mut());
            }
        });
    }

    /// Handles the signal: what is not mended is left to who handled it before.
    ///
    /// # Safety
    /// `info` and `context` are what the kernel has passed to the handler.
    pub(super) unsafe fn handle(&self, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the information is of a fault, which has an address.
        let address = unsafe { (*info).si_addr() } as usize;
        // SAFETY: the place where this thread's error number is, which the interrupted code may be about to read.
        let errno = unsafe { *libc::__errno_location() };
        let is_mended = (self.mend)(address);
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = errno };
        if !is_mended {
            self.pass_on(info, context);
        }
    }

    fn pass_on(&self, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let Some(before) = self.before.get() else {
            return;
        };
        match before.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => {
                // SAFETY: the action that there was before, which the kernel gave us. The access is tried again, and ends
                // us.
                unsafe { libc::sigaction(self.signal, before, null_mut()) };
            }
            handler => {
                // SAFETY: a handler that was installed for this signal. Rust's own takes all three arguments, and one
                // that takes only the first ignores the others.
                let handler: Action =
                    unsafe { std::mem::transmute(without_provenance_mut::<()>(handler)) };
                handler(self.signal, info, context);
            }
        }
    }
}
