//! Threads that this OS thread traces, and that still ran when they were to be detached.
//!
//! PTRACE_DETACH wants a stopped tracee (ptrace(2)), so that such a thread is remembered here, and
//! detached by the same OS thread at its next stop. One that is in an uninterruptible system call,
//! or that was killed a moment ago and is on its way to its exit stop, stops later: nobody would
//! let it go then, and the process could not end as long as its tracer lives. Seen: a first thread
//! that ended while another one crashed, held at a probe just then; the process stayed for good.
//!
//! A thread that executes a program gets the id of its process's first thread, and stops there once more. Seen: a second
//! thread that was on its way into execve(2) when all were to be detached; under its old id it was gone, under the new one
//! nobody asked for it, and the process could not even be killed.

use super::{
    arch,
    proc::status,
    sys::ptrace::{self, Report},
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    time::{Duration, Instant},
};

thread_local! {
    /// The ids of threads, each with the pid of its process.
    static LEFT: RefCell<BTreeMap<i32, i32>> = const { RefCell::new(BTreeMap::new()) };
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
    let pid = process_of(tid).unwrap_or(tid);
    LEFT.with_borrow_mut(|left| left.insert(tid, pid));
}

/// Has [`let_go`] leave the threads of a process alone: all of them are traced again.
pub(crate) fn forget(pid: u32) {
    LEFT.with_borrow_mut(|left| left.retain(|_, of| *of != pid as i32));
}

/// Whether there are none.
pub(crate) fn is_empty() -> bool {
    LEFT.with_borrow(BTreeMap::is_empty)
}

/// How long those are waited for that were asked to stop a moment ago. We may end next, and a call that the stop has interrupted
/// would return EINTR then.
const SOON: Duration = Duration::from_millis(20);

/// Lets those go that stand by now, or soon.
pub(crate) fn let_go_soon() {
    let end = Instant::now() + SOON;
    let_go();
    while !is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_micros(100));
        let_go();
    }
}

/// Lets those go that stand by now, and forgets those that are gone.
pub(crate) fn let_go() {
    let left = LEFT.take();
    let still = left
        .into_iter()
        .filter_map(|(tid, pid)| Some((still_traced(tid, pid)?, pid)));
    let still: Vec<_> = still.collect();
    // Threads that they have made are there by now.
    LEFT.with_borrow_mut(|left| left.extend(still));
}

/// Lets a thread go that has reported something.
pub(crate) fn let_go_after(tid: i32, report: Report) {
    if let Some(tid) = still_traced_after(tid, report) {
        remember(tid);
    }
}

/// Returns the id under which a thread is still traced, because it has not stopped yet; if it has, it is let go.
fn still_traced(tid: i32, pid: i32) -> Option<i32> {
    match ptrace::report_of(tid) {
        Ok(None) => Some(tid),
        Ok(Some((_, report))) => still_traced_after(tid, report),
        // It may have executed a program.
        Err(_) if tid != pid => still_traced(pid, pid),
        Err(_) => None,
    }
}

fn still_traced_after(tid: i32, report: Report) -> Option<i32> {
    let signal = match report {
        Report::Gone(_) => return None,
        Report::Signal(signal) => signal,
        // The new one is traced from its birth.
        Report::Cloned(child) => {
            remember(child);
            0
        }
        Report::Interrupted => {
            let _ = arch::restart_interrupted(tid);
            0
        }
        _ => 0,
    };
    // It may have been killed where it stood: it stops once more, at its exit.
    ptrace::detach(tid, signal).is_err().then_some(tid)
}

/// Returns the pid of the process of a thread.
fn process_of(tid: i32) -> Option<i32> {
    let text = std::fs::read(format!("/proc/{tid}/status")).ok()?;
    status::number(&text, "Tgid").map(|pid| pid as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        process::{Command, Stdio},
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

    /// Its second thread executes sleep(1) when a line of input comes, and gets the id of the first one by that.
    const EXECUTES_BY_THREAD: &str = "
import os, sys, threading
def execute():
    sys.stdin.readline()
    os.execv('/bin/sleep', ['sleep', '1000'])
thread = threading.Thread(target=execute)
thread.start()
print('ready', flush=True)
thread.join()";

    #[test]
    fn n23_a_thread_that_executes_a_program_is_let_go_under_its_new_id() {
        let mut python = Command::new("python3");
        let pipes = python.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = pipes.args(["-c", EXECUTES_BY_THREAD]).spawn();
        let mut child = child.expect("python3");
        let output = child.stdout.take().expect("a pipe");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("a line");
        let folder = format!("/proc/{}", child.id());
        let tasks = std::fs::read_dir(format!("{folder}/task")).expect("it runs");
        let tids = tasks.flatten().map(|task| task.file_name());
        let tids: Vec<i32> = tids.filter_map(|tid| tid.to_str()?.parse().ok()).collect();
        assert_eq!(tids.len(), 2);
        for tid in &tids {
            ptrace::seize(*tid).expect("our own child");
            detach(*tid, 0);
        }
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(b"\n").expect("it reads");
        let end = Instant::now() + Duration::from_secs(60);
        let runs = || {
            let status = std::fs::read(format!("{folder}/status")).unwrap_or_default();
            status::field(&status, "Name") == Some("sleep")
                && status::number(&status, "TracerPid") == Some(0)
        };
        while !(is_empty() && runs()) {
            assert!(Instant::now() < end, "it is never let go");
            let_go();
            std::thread::yield_now();
        }
        child.kill().expect("our own child");
        child.wait().expect("it has ended");
    }
}
