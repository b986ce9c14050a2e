//! Threads that this OS thread traces, and that still ran when they were to be detached.
//!
//! PTRACE_DETACH wants a stopped tracee (ptrace(2)), so that such a thread is remembered here, and
//! detached by the same OS thread at its next stop. One that is in an uninterruptible system call,
//! or that was killed a moment ago and is on its way to its exit stop, stops later: nobody would
//! let it go then, and the process could not end as long as its tracer lives. Seen: a first thread
//! that ended while another one crashed, held at a probe just then; the process stayed for good.

use super::sys::ptrace::{self, Report};
use std::{cell::RefCell, collections::BTreeSet};

thread_local! {
    static LEFT: RefCell<BTreeSet<i32>> = const { RefCell::new(BTreeSet::new()) };
}

/// Ends tracing of a thread, with this signal delivered (0: none): now if it stands, else when
/// [`let_go`] finds that it does.
pub(crate) fn detach(tid: i32, signal: i32) {
    if ptrace::detach(tid, signal).is_err() {
        remember(tid);
    }
}

/// Has [`let_go`] end tracing of a thread that is about to stop or to end.
pub(crate) fn remember(tid: i32) {
    LEFT.with_borrow_mut(|left| {
        left.insert(tid);
    });
}

/// Whether there are none.
pub(crate) fn is_empty() -> bool {
    LEFT.with_borrow(BTreeSet::is_empty)
}

/// Lets those go that stand by now, and forgets those that are gone.
pub(crate) fn let_go() {
    LEFT.with_borrow_mut(|left| left.retain(|tid| still_runs(*tid)));
}

/// Whether a thread has not stopped yet; if it has, it is let go.
fn still_runs(tid: i32) -> bool {
    match ptrace::report_of(tid) {
        Ok(None) => true,
        Ok(Some((_, Report::Gone(_)))) | Err(_) => false,
        Ok(Some((_, report))) => {
            let signal = match report {
                Report::Signal(signal) => signal,
                _ => 0,
            };
            // It may have been killed where it stood: it stops once more, at its exit.
            ptrace::detach(tid, signal).is_err()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        process::Command,
        time::{Duration, Instant},
    };

    /// The kernel stops a traced thread once more at its exit: a process whose thread could not be
    /// detached because it ran ends only when somebody lets it go there.
    #[test]
    fn a_thread_that_ran_when_it_was_to_be_let_go_can_end() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep(1)");
        let tid = child.id() as i32;
        ptrace::seize(tid).expect("our own child");
        detach(tid, 0);
        assert!(!is_empty(), "it runs, so that it cannot be detached");
        child.kill().expect("our own child");
        let end = Instant::now() + Duration::from_secs(60);
        while !is_empty() {
            assert!(Instant::now() < end, "it is never let go");
            let_go();
            std::thread::yield_now();
        }
        child.wait().expect("it has ended");
    }
}
