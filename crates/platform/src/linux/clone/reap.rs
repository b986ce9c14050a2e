//! Takes a clone that has ended off its parent's list. No signal tells the target of its end, so that the target's own wait
//! calls pass over it; it stays a zombie until the target waits with `__WALL`, which one of its threads is made to do.

use super::{
    borrowed::{Borrowed, usable},
    frame_places::FramePlaces,
};
use crate::linux::{
    arch::{self, calls, calls::Gadgets},
    leftovers,
    memory::LiveMemory,
    proc::{ProcDir, open_dir, read_file, read_stat, status},
    sys::{
        memory::write_process,
        ptrace::{self, Report},
    },
};
use std::time::{Duration, Instant};

/// How wait4(2) is called.
pub(super) const HOW: u64 = (libc::__WALL | libc::WNOHANG) as u64;
/// How long a thread may take to stop and to make the call.
const STOP_WITHIN: Duration = Duration::from_millis(200);
/// How many threads are asked, each a few times.
const MOST_THREADS: usize = 64;
const ROUNDS: usize = 5;
const PAUSE: Duration = Duration::from_millis(2);
/// How long all of them may take: a process that is followed waits meanwhile, and one that ends stands in its exit.
const WITHIN: Duration = Duration::from_millis(300);

/// The most clones of earlier runs that are taken along, and the threads whose children are looked at: each takes some
/// microseconds.
const MOST_OTHERS: usize = 32;
const MOST_PARENTS: usize = 1024;

/// Has a thread of the target wait for a child of this number, as the target counts, and for clones that runs which were
/// killed have left. Where no thread can, the zombie stays, and takes a pid until the target ends.
pub(super) fn take(target: &ProcDir, gadgets: Gadgets, number: i64) {
    let mut children = vec![number];
    children.extend(
        left_behind(target)
            .into_iter()
            .filter(|other| *other != number),
    );
    let end = Instant::now() + WITHIN;
    for _ in 0..ROUNDS {
        let tasks = target.tasks().unwrap_or_default();
        let Ok(regions) = target.regions() else {
            return;
        };
        let visit = Visit {
            target,
            places: FramePlaces::of(&regions),
            gadgets,
            children: &children,
        };
        for tid in tasks.into_iter().take(MOST_THREADS) {
            if visit.by(tid) || Instant::now() > end {
                return;
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// The numbers of clones that have ended and were not waited for.
pub(super) fn left_behind(target: &ProcDir) -> Vec<i64> {
    let tasks = target.tasks().unwrap_or_default().into_iter();
    let tasks = tasks.take(MOST_PARENTS);
    let texts = tasks.filter_map(|tid| target.read(&format!("task/{tid}/children")).ok());
    let texts: Vec<String> = texts
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .collect();
    let children = texts.iter().flat_map(|text| text.split_ascii_whitespace());
    let numbers = children.filter_map(|pid| number_of_ended(pid.parse().ok()?));
    numbers.take(MOST_OTHERS).collect()
}

/// The number of a clone that has ended, as its parent counts.
fn number_of_ended(pid: u32) -> Option<i64> {
    let folder = open_dir(pid).ok()?;
    let stat = read_stat(&folder).ok()?;
    let is_one = stat.state == 'Z' && stat.exit_signal == Some(0);
    let status = is_one
        .then(|| read_file(&folder, "status").ok())
        .flatten()?;
    let numbers = status::field(&status, "NSpid")?;
    numbers.split_ascii_whitespace().last()?.parse().ok()
}

/// A visit to a target, to have it wait.
struct Visit<'v> {
    target: &'v ProcDir,
    places: FramePlaces,
    gadgets: Gadgets,
    children: &'v [i64],
}

impl Visit<'_> {
    /// Stops a thread and has it wait. Returns whether it did.
    fn by(&self, tid: i32) -> bool {
        if ptrace::seize(tid).is_err() {
            return false;
        }
        let _ = ptrace::interrupt(tid);
        let end = Instant::now() + STOP_WITHIN;
        let (signal, stands) = match stop_of(tid, end) {
            None => {
                leftovers::remember(tid);
                return false;
            }
            Some(Report::Interrupted) => (0, true),
            Some(Report::Signal(signal)) => (signal, false),
            Some(_) => (0, false),
        };
        let waited = stands.then(|| self.waits(tid, end)).flatten();
        let _ = arch::restart_interrupted(tid);
        leftovers::detach(tid, waited.unwrap_or(signal));
        waited.is_some()
    }

    /// Has a thread that stands wait for each child. Returns the signal that came to it meanwhile, 0 for none; `None` if it
    /// cannot be had to wait.
    fn waits(&self, tid: i32, end: Instant) -> Option<i32> {
        let memory = LiveMemory::new(tid, self.target.open_living("mem").ok());
        let saved = usable(tid, &self.places, &memory, &mut arch::extended_buffer())?;
        let (frame, bytes) = saved.frame(saved.stack_pointer() - calls::RED_ZONE, self.gadgets);
        let is_ready = super::gadgets::are_there(self.gadgets, &memory)
            && write_process(tid, frame, &bytes).is_ok()
            && ptrace::tell_calls(tid).is_ok();
        if !is_ready {
            return None;
        }
        let thread = Borrowed::new(tid, saved, self.gadgets, frame);
        let mut signal = 0;
        for child in self.children {
            let arguments = [*child as u64, 0, HOW, 0];
            let answer = thread.call(libc::SYS_wait4, arguments, end).ok()?;
            signal = signal.max(answer.signal);
        }
        thread.restore().is_ok().then_some(signal)
    }
}

/// Waits for the next report of a thread that was asked to stop; `None` if none comes.
fn stop_of(tid: i32, end: Instant) -> Option<Report> {
    loop {
        if let Some((_, report)) = ptrace::report_of(tid).ok()? {
            return Some(report);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_micros(20));
    }
}
