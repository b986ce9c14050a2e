//! Signals of our own process.

use crate::Cancel;
use std::{
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
    sync::OnceLock,
};

extern "C" fn on_cancel(_signal: i32) {
    // An atomic store: allowed in a signal handler (signal-safety(7)).
    Cancel.ask();
}

/// Ctrl-C, SIGTERM and SIGHUP ask to cancel; a second Ctrl-C ends at once, as usual.
pub(crate) fn catch_cancel() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only stores to an atomic; the action is fully initialised.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_cancel as extern "C" fn(i32) as usize;
            action.sa_flags = libc::SA_RESTART | libc::SA_RESETHAND;
            if signal != libc::SIGINT {
                action.sa_flags = libc::SA_RESTART;
            }
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

/// SIGCHLD is waited for, in whatever thread: nobody may swallow it. Programs that we start do
/// not inherit this (std empties their mask).
pub(crate) fn keep_child_signal() {
    let set = child_set();
    // SAFETY: a valid set; the old one is not wanted.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Waits for a SIGCHLD, at most so long.
pub(crate) fn wait_for_child(limit: std::time::Duration) {
    let set = child_set();
    let limit = libc::timespec {
        tv_sec: limit.as_secs() as libc::time_t,
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    // SAFETY: a valid set and time; what the signal says is not wanted.
    unsafe { libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const limit) };
}

/// Can be read when a SIGCHLD is pending; `None` where there is no room for a descriptor.
pub(crate) fn child_fd() -> Option<BorrowedFd<'static>> {
    static FD: OnceLock<Option<OwnedFd>> = OnceLock::new();
    FD.get_or_init(make_child_fd).as_ref().map(AsFd::as_fd)
}

fn make_child_fd() -> Option<OwnedFd> {
    let set = child_set();
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: a valid set; a new descriptor is asked for.
    let raw = unsafe { libc::signalfd(-1, &raw const set, flags) };
    // SAFETY: just made, and nobody else's.
    (raw >= 0).then(|| unsafe { OwnedFd::from_raw_fd(raw) })
}

fn child_set() -> libc::sigset_t {
    // SAFETY: sigemptyset initialises the set that sigaddset then changes.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        set
    }
}

/// A closed pipe and a file-size limit become errors of the write (EPIPE, EFBIG).
pub(crate) fn ignore_write_signals() {
    for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
        // SAFETY: SIG_IGN is always a valid disposition.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Sends this very thread a signal (a fault point): it has its effect before the call returns,
/// while one for the process may be taken by another thread, a little later.
#[cfg(feature = "failpoints")]
pub(crate) fn raise(signal: i32) {
    // SAFETY: a signal to ourselves.
    unsafe { libc::raise(signal) };
}
