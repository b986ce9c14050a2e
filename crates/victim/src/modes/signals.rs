//! Signals that are pending, blocked and handled.

use super::Mode;
use super::linux::check;
use crate::stage::{Outcome, Stage};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "signal-info", args: "", about: "SIGUSR1 pending for the process and SIGUSR2 for its thread", run: signal_info },
    Mode { name: "handler", args: "", about: "stands inside a handler of SIGUSR1", run: handler },
];

/// What comes with the queued SIGUSR1.
const VALUE: usize = 0x51_6e41;

fn signal_info(stage: &Stage) -> Outcome {
    let value = libc::sigval {
        sival_ptr: std::ptr::without_provenance_mut(VALUE),
    };
    // SAFETY: the set is written before it is read; blocked signals disturb nobody.
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
    stage.fact("value", VALUE);
    stage.serve(|_| {})
}

fn handler(stage: &Stage) -> Outcome {
    extern "C" fn stand(_: libc::c_int) {
        loop {
            // SAFETY: no memory is involved.
            unsafe { libc::pause() };
        }
    }
    let handler = stand as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the handler touches no memory.
    unsafe { libc::signal(libc::SIGUSR1, handler) };
    stage.ready();
    // SAFETY: as above; it never returns.
    check(unsafe { libc::raise(libc::SIGUSR1) })?;
    Ok(())
}
