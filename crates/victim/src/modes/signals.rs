//! Signals that are pending, blocked or being handled.

use super::Mode;
use super::mapping::check;
use crate::harness::{Harness, Outcome};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "signal-info", args: "", about: "SIGUSR1 pending for the process and SIGUSR2 for its thread", run: signal_info },
    Mode { name: "handler", args: "", about: "stands inside a handler of SIGUSR1", run: handler },
];

/// The value that the queued SIGUSR1 carries.
const VALUE: usize = 0x51_6e41;

fn signal_info(harness: &Harness) -> Outcome {
    let value = libc::sigval {
        sival_ptr: std::ptr::without_provenance_mut(VALUE),
    };
    // SAFETY: the set is initialised before it is read; the calls change the signals of this
    // process only.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGUSR1);
        libc::sigaddset(&raw mut set, libc::SIGUSR2);
        check(libc::sigprocmask(
            libc::SIG_BLOCK,
            &raw const set,
            std::ptr::null_mut(),
        ))?;
        check(libc::sigqueue(libc::getpid(), libc::SIGUSR1, value))?;
        check(libc::raise(libc::SIGUSR2))?;
    }
    harness.fact("value", VALUE);
    harness.serve(|_| {})
}

fn handler(harness: &Harness) -> Outcome {
    extern "C" fn stand(_: libc::c_int) {
        loop {
            // SAFETY: pause(2) takes no arguments.
            unsafe { libc::pause() };
        }
    }
    let handler = stand as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the handler only calls pause(2), which is allowed in signal handlers.
    unsafe { libc::signal(libc::SIGUSR1, handler) };
    harness.ready();
    // SAFETY: sends a signal to this thread; its handler never returns.
    check(unsafe { libc::raise(libc::SIGUSR1) })?;
    Ok(())
}
