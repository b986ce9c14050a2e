//! Seizing threads: beginning to trace each thread of a process, also those that are made or end
//! meanwhile (ptrace(2), PTRACE_SEIZE).

use super::{Threads, TraceState, died};
use crate::{
    Error, ErrorKind, Result, failpoint,
    linux::{
        other_tracer::tracer_of,
        proc::{ProcDir, stat},
        rights::explain_refusal,
        sys::{ptrace, seize_timer::SeizeTimer},
    },
};
use std::time::Duration;

/// How often, and after which pause, a refused seize is tried again.
const MOST_RETRIES: u32 = 20;
const RETRY_DELAY: Duration = Duration::from_micros(500);

impl Threads {
    /// Seizes threads that are not traced yet, and asks them to stop if `state` is `Pending`.
    /// Returns how many there were.
    pub(super) fn seize_new(
        &mut self,
        proc: &ProcDir,
        timer: &SeizeTimer,
        state: TraceState,
    ) -> Result<usize> {
        let tasks = proc.tasks().map_err(|_| died(self.key))?;
        let mut added = 0;
        for tid in tasks {
            if !self.states.contains_key(&tid) && self.seize(proc, timer, tid, state)? {
                added += 1;
            }
        }
        Ok(added)
    }

    /// Seizes one thread. Returns whether there may be more to seize: it is traced now, or has to be
    /// tried again.
    fn seize(
        &mut self,
        proc: &ProcDir,
        timer: &SeizeTimer,
        tid: i32,
        state: TraceState,
    ) -> Result<bool> {
        let (seized, let_go) = timer.guard(|| ptrace::seize(tid));
        for ended in let_go {
            self.states.remove(&ended);
        }
        match seized {
            Ok(()) => {
                let _ = failpoint("seize");
                if state == TraceState::Pending {
                    let _ = ptrace::interrupt(tid);
                }
                let _ = failpoint("interrupt");
                self.states.insert(tid, state);
                Ok(true)
            }
            // It ended after the threads were listed.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            Err(_) if is_zombie(proc, tid) => Ok(false),
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => Err(hangs(proc)),
            // It was made by a thread that we trace, so it is traced from its birth, and is reported
            // soon.
            Err(_) if tracer_of(proc, tid) == Some(this_thread()) => {
                self.states.insert(tid, state);
                Ok(true)
            }
            // A thread that is just ending is refused too, and so is one that execve(2) puts in the
            // place of another; when we check, it is no zombie any more.
            Err(error) => self.refused(proc, tid, &error),
        }
    }

    /// A thread could not be seized: it is tried again for a while. Another tracer that refused it may have left it by the time
    /// that this is explained.
    fn refused(&mut self, proc: &ProcDir, tid: i32, error: &std::io::Error) -> Result<bool> {
        self.tracer = tracer_of(proc, tid).or(self.tracer);
        if self.is_worth_retrying(error) {
            std::thread::sleep(RETRY_DELAY);
            return Ok(true);
        }
        Err(explain_refusal(proc, self.tracer, error))
    }

    /// Returns whether a refused seize should be tried again, which is a limited number of times.
    fn is_worth_retrying(&mut self, error: &std::io::Error) -> bool {
        let again = error.raw_os_error() == Some(libc::EPERM) && self.refusals < MOST_RETRIES;
        self.refusals += u32::from(again);
        again
    }
}

/// The error for a process that executes a program, and waits for a thread that another tracer does not let go.
fn hangs(proc: &ProcDir) -> Error {
    let what = format!(
        "process {} is becoming another program (execve) and does not get there: one of its threads does not end, as \
         when another tracer holds it",
        proc.key
    );
    Error::new(ErrorKind::TimedOut, what).advise("It was left as it was. Ask again when it runs.")
}

/// Returns the id of the calling thread.
fn this_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Returns whether a thread has ended.
fn is_zombie(proc: &ProcDir, tid: i32) -> bool {
    let text = proc.read(&format!("task/{tid}/stat")).unwrap_or_default();
    stat::parse(&text).is_none_or(|stat| stat.has_ended())
}
