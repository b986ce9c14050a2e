//! Another process that traces a process of ours: only one may.

use super::proc::{ProcDir, status};
use crate::{Cancel, Error, ErrorKind, Result, error::ONE_DEBUGGER};
use std::time::{Duration, Instant};

/// How long another firstchance is waited for that has stopped the process, and how often it is looked.
const OTHERS: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(10);

/// So many looks in a row at a process that is traced and runs: nobody is taking a dump of it.
const MOST_RUNNING: u32 = 20;

const TWO_WATCHES: &str = "One that watches for signals, for any exception or for the exit of a process keeps it: give the \
     conditions of both to one of them, or end that one.";

/// Waits for another firstchance that is just taking a dump of the process: two whose conditions are met at the same moment
/// both have their dump. One that stays attached while the process runs is not waited for. `stop` is told whether it seems to.
pub(super) fn once_others_are_done<T>(
    proc: &ProcDir,
    cancel: &Cancel,
    mut stop: impl FnMut(bool) -> Result<T>,
) -> Result<T> {
    let end = Instant::now() + OTHERS;
    let mut look = Look::default();
    loop {
        match stop(look.running > 0) {
            Err(error)
                if error.kind == ErrorKind::Busy
                    && look.is_of_dump(proc)
                    && Instant::now() < end
                    && !cancel.wait(LOOK) => {}
            done => return done,
        }
    }
}

/// Returns in a sentence that another process keeps this one from being stopped; `None` if none does, or only for a dump.
pub(super) fn notice(proc: &ProcDir) -> Option<String> {
    let end = Instant::now() + OTHERS;
    let mut look = Look::default();
    let tracer = loop {
        let tracer = tracer_of(proc, proc.living_tid())?;
        if !look.is_of_dump(proc) {
            break tracer;
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(LOOK);
    };
    let busy = busy(proc, tracer);
    Some(format!(
        "{}: no dump of it can be taken as long as that lasts. {}",
        busy.what, busy.advice
    ))
}

/// Returns the pid of the tracer of a thread; `None` if nobody traces it.
pub(super) fn tracer_of(proc: &ProcDir, tid: i32) -> Option<i32> {
    let text = proc.read(&format!("task/{tid}/status")).ok()?;
    status::number(&text, "TracerPid")
        .filter(|&tracer| tracer != 0)
        .map(|tracer| tracer as i32)
}

/// Returns the error that a process cannot be stopped because `tracer` traces it.
pub(super) fn busy(proc: &ProcDir, tracer: i32) -> Error {
    let name = std::fs::read_to_string(format!("/proc/{tracer}/comm")).unwrap_or_default();
    let name = name.trim();
    let what = format!(
        "process {} is already traced by process {tracer} ({name})",
        proc.key
    );
    let advice = match is_ours(tracer) {
        true => TWO_WATCHES,
        false => ONE_DEBUGGER,
    };
    Error::new(ErrorKind::Busy, what).advise(advice)
}

/// What was seen of a process that another one traces.
#[derive(Default)]
struct Look {
    /// How many times in a row it ran.
    running: u32,
}

impl Look {
    /// Returns whether another firstchance is just taking a dump of the process, or was a moment ago.
    fn is_of_dump(&mut self, proc: &ProcDir) -> bool {
        let status = proc.read("status").unwrap_or_default();
        let tracer = status::number(&status, "TracerPid").unwrap_or_default() as i32;
        let stands = status::field(&status, "State").is_some_and(|state| state.starts_with('t'));
        self.running = match stands {
            true => 0,
            false => self.running + 1,
        };
        tracer == 0 || (is_ours(tracer) && self.running < MOST_RUNNING)
    }
}

/// Returns whether a process is a program of the same name as ours.
fn is_ours(pid: i32) -> bool {
    let name = |pid: &str| std::fs::read(format!("/proc/{pid}/comm")).ok();
    name(&pid.to_string()) == name("self")
}
