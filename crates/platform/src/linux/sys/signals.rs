//! Signals of our own process.

use super::wake::{self, Wake};
use std::{io, os::fd::AsFd, sync::OnceLock};

/// Woken by the handler; made before the handler is installed.
static INTERRUPT: OnceLock<Wake> = OnceLock::new();

extern "C" fn on_cancel(_signal: i32) {
    // An atomic store, a look at a cell that was filled before, and write(2): allowed in a signal
    // handler (signal-safety(7)).
    crate::cancel::interrupt();
    if let Some(wake) = INTERRUPT.get() {
        wake.wake();
    }
}

/// Calls `act` from a thread of its own once the handler has run; see [`crate::on_interrupt`].
pub(crate) fn on_interrupt(act: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    std::thread::Builder::new().spawn(move || {
        let Some(interrupt) = INTERRUPT.get() else {
            return;
        };
        while !crate::cancel::is_interrupted() {
            wake::sleep(&[interrupt.as_fd()], None);
        }
        act();
    })?;
    Ok(())
}

/// Ctrl-C, SIGTERM and SIGHUP ask to cancel; a second Ctrl-C ends at once, as usual.
pub(crate) fn catch_cancel() {
    if let Ok(wake) = Wake::new() {
        let _ = INTERRUPT.set(wake);
    }
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

/// Waits for a SIGCHLD, in a thread that blocks it.
pub(crate) fn wait_for_child() {
    let set = child_set();
    // SAFETY: a valid set; what the signal says is not wanted.
    unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) };
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
