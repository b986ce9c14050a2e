//! Whether a process goes on when one of its threads ends. `PTRACE_EVENT_EXIT` comes for every
//! thread, and says the same of a thread that the end of the whole process takes along as of
//!
//! - a thread that is ended because another one executes a program (`de_thread` in `fs/exec.c`
//!   kills all but that one; their status is 0), and
//! - a thread that a seccomp filter kills alone (`SECCOMP_RET_KILL_THREAD` of seccomp(2), the
//!   default of libseccomp; the status is SIGSYS).
//!
//! What differs is the others: when the whole process ends, the kernel has sent SIGKILL to each
//! before the first comes to its exit (`zap_other_threads` in `kernel/signal.c`).

use super::{
    proc::{ProcDir, status},
    sys::ptrace::{self, SignalInfo},
};
use std::time::{Duration, Instant};

/// How long other threads may leave it unclear whether they end. If they are still at work then,
/// they are taken to go on. Where that is wrong, the end of the process is reported by a later
/// thread, so nothing is lost.
const LIMIT: Duration = Duration::from_millis(200);
/// How long to wait between two looks at threads that leave it unclear.
const INTERVAL: Duration = Duration::from_millis(1);

/// Returns whether the process goes on after the end of this thread, which stands in its exit with
/// this status, as [`Report::Exiting`](ptrace::Report::Exiting) has it.
pub(crate) fn goes_on_without(proc: &ProcDir, tid: i32, status: i32) -> bool {
    if status != 0 && status != -libc::SIGSYS {
        return false;
    }
    let deadline = Instant::now() + LIMIT;
    let mut others = proc.tasks().unwrap_or_default();
    others.retain(|other| *other != tid);
    loop {
        let mut is_going_on = false;
        others.retain(|other| {
            let outlook = outlook(proc, *other, status);
            is_going_on |= outlook == Outlook::GoesOn;
            outlook == Outlook::Unclear
        });
        if is_going_on || others.is_empty() {
            return is_going_on;
        }
        if Instant::now() > deadline {
            return true;
        }
        std::thread::sleep(INTERVAL);
    }
}

/// What is to be expected of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outlook {
    Ends,
    GoesOn,
    /// It runs: it may have taken its SIGKILL, and not have come to its exit yet.
    Unclear,
}

fn outlook(proc: &ProcDir, tid: i32, status: i32) -> Outlook {
    let text = proc.read(&format!("task/{tid}/status")).unwrap_or_default();
    match of_status_file(&text, status) {
        None => stop_in_exit(tid),
        Some(outlook) => outlook,
    }
}

/// Returns what `/proc/PID/task/TID/status` tells; `None` if the thread is stopped by its tracer.
/// `ended_with` is the status of the thread that ends.
fn of_status_file(text: &[u8], ended_with: i32) -> Option<Outlook> {
    let is_killed =
        status::mask(text, "SigPnd").is_some_and(|mask| mask & 1 << (libc::SIGKILL - 1) != 0);
    let state = status::field(text, "State").and_then(|state| state.chars().next());
    match state {
        _ if is_killed => Some(Outlook::Ends),
        None | Some('Z' | 'X') => Some(Outlook::Ends),
        Some('t') => None,
        Some('S') => Some(Outlook::GoesOn),
        // The thread that executes a program waits so for the others. After a crash, threads wait
        // so too until the core is written (`coredump_task_exit` in `kernel/exit.c`).
        Some('D') if ended_with == 0 => Some(Outlook::GoesOn),
        Some(_) => Some(Outlook::Unclear),
    }
}

/// Tells whether a thread that is stopped by its tracer, us, is stopped in its exit.
fn stop_in_exit(tid: i32) -> Outlook {
    match ptrace::signal_info(tid) {
        Ok(info) if SignalInfo::read(&info).code >> 8 == libc::PTRACE_EVENT_EXIT => Outlook::Ends,
        Ok(_) => Outlook::GoesOn,
        Err(_) => Outlook::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(state: &str, pending: &str, ended_with: i32) -> Option<Outlook> {
        let text = format!("Name:\tx\nState:\t{state}\nSigPnd:\t{pending}\n");
        of_status_file(text.as_bytes(), ended_with)
    }

    #[test]
    fn a_thread_with_a_pending_sigkill_ends_whatever_it_does() {
        for state in ["S (sleeping)", "D (disk sleep)", "R (running)"] {
            assert_eq!(told(state, "0000000000000100", 0), Some(Outlook::Ends));
        }
    }

    #[test]
    fn a_thread_that_waits_without_one_goes_on() {
        assert_eq!(
            told("S (sleeping)", "0000000000000000", -libc::SIGSYS),
            Some(Outlook::GoesOn)
        );
        assert_eq!(
            told("D (disk sleep)", "0000000000000000", 0),
            Some(Outlook::GoesOn)
        );
    }

    #[test]
    fn a_thread_that_runs_or_waits_for_a_core_leaves_it_unclear() {
        assert_eq!(
            told("R (running)", "0000000000000000", 0),
            Some(Outlook::Unclear)
        );
        assert_eq!(
            told("D (disk sleep)", "0000000000000000", -libc::SIGSYS),
            Some(Outlook::Unclear)
        );
    }

    #[test]
    fn a_thread_that_is_gone_ends() {
        assert_eq!(of_status_file(b"", 0), Some(Outlook::Ends));
        assert_eq!(
            told("Z (zombie)", "0000000000000000", 0),
            Some(Outlook::Ends)
        );
    }
}
