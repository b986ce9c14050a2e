//! Signals of our own process.

use super::wake::{self, Wake};
use rustix::time::{ClockId, clock_gettime};
use std::{io, os::fd::AsFd, sync::OnceLock, time::Duration};

/// Woken by the handler. It is made before the handler is installed.
static INTERRUPT: OnceLock<Wake> = OnceLock::new();

extern "C" fn on_cancel(signal: i32) {
    // Atomic stores, a read of a cell that was filled before, clock_gettime(2), signal(2), raise(3)
    // and write(2) are allowed in a signal handler (signal-safety(7)).
    if signal == libc::SIGINT && crate::cancel::ends_at_once(now()) {
        // It is blocked until the handler returns, and then ends us.
        // SAFETY: a valid disposition, and plain numbers.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
        return;
    }
    crate::cancel::interrupt();
    if let Some(wake) = INTERRUPT.get() {
        wake.wake();
    }
}

fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Calls `act` in a thread of its own once the handler has run; see [`crate::on_interrupt`].
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

/// Has Ctrl-C, SIGTERM and SIGHUP cancel our work. A second Ctrl-C that comes
/// some seconds after the first ends us at once, as usual.
pub(crate) fn catch_cancel() {
    if let Ok(wake) = Wake::new() {
        let _ = INTERRUPT.set(wake);
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only does what a signal handler may do (see there), and the action is
        // fully initialised: zeros are valid for its other fields.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_cancel as extern "C" fn(i32) as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

/// Blocks SIGCHLD in the calling thread, so that the thread that waits for it gets it. Programs
/// that we start do not inherit that: the standard library empties their signal mask.
pub(crate) fn keep_child_signal() {
    let set = child_set();
    // SAFETY: a valid set; the old mask is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Waits for a SIGCHLD, in a thread that blocks it.
pub(crate) fn wait_for_child() {
    let set = child_set();
    // SAFETY: a valid set; the signal's information is not asked for.
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

/// How signals stood when we were started, which is how programs that we start are to find them.
struct Inherited {
    mask: libc::sigset_t,
    /// Those of [`CHANGED`] that were ignored.
    ignored: [bool; CHANGED.len()],
}

static INHERITED: OnceLock<Inherited> = OnceLock::new();

/// The signals that we ignore, but SIGPIPE, which the standard library looks after.
const CHANGED: [i32; 2] = [libc::SIGXFSZ, libc::SIGTTOU];

/// Remembers how signals stand, before any is changed.
pub(crate) fn remember_inherited() {
    // SAFETY: all zeros are valid values; the calls fill them, and change nothing.
    let inherited = unsafe {
        let mut mask = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut mask);
        let ignored = CHANGED.map(|signal| {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &raw mut action);
            action.sa_sigaction == libc::SIG_IGN
        });
        Inherited { mask, ignored }
    };
    let _ = INHERITED.set(inherited);
}

/// Puts signals, and the limit of descriptors, back as they stood when we were started, in a child that is about to execute
/// a program. (The standard library has children inherit the mask.) It only makes calls that are safe between fork and exec.
pub(crate) fn restore_inherited() {
    super::descriptor_limit::restore();
    let Some(inherited) = INHERITED.get() else {
        return;
    };
    for (signal, ignored) in CHANGED.into_iter().zip(inherited.ignored) {
        let action = if ignored {
            libc::SIG_IGN
        } else {
            libc::SIG_DFL
        };
        // SAFETY: valid dispositions of these signals.
        unsafe { libc::signal(signal, action) };
    }
    // SAFETY: a valid set; the old mask is not asked for.
    unsafe {
        libc::pthread_sigmask(
            libc::SIG_SETMASK,
            &raw const inherited.mask,
            std::ptr::null_mut(),
        )
    };
}

/// Blocks all signals in the calling thread.
pub(crate) fn block_all() {
    // SAFETY: sigfillset fills the set; the old mask is not asked for.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
}

/// Turns writes to a closed pipe or beyond the file size limit into errors (EPIPE, EFBIG).
pub(crate) fn ignore_write_signals() {
    for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
        // SAFETY: SIG_IGN is a valid disposition of these signals.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Lets the process group of a child of ours go on if the child is stopped.
pub(crate) fn resume_group_if_stopped(child: u32) {
    let flags = libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: all zeros is a valid value, which waitid(2) fills for a child of ours, whose report it leaves; plain numbers.
    unsafe {
        let mut told: libc::siginfo_t = std::mem::zeroed();
        let found = libc::waitid(libc::P_PID, child, &raw mut told, flags);
        if found == 0 && told.si_pid() == child as i32 {
            libc::kill(-(child as i32), libc::SIGCONT);
        }
    }
}

/// Sends this very thread a signal, for fault points. It takes effect before the call returns,
/// while a signal for the process may be taken by another thread a little later.
#[cfg(feature = "failpoints")]
pub(crate) fn raise(signal: i32) {
    // SAFETY: raise(3) takes a plain number.
    unsafe { libc::raise(signal) };
}
