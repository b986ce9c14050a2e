//! The scheduling priority of threads that have to react within milliseconds, and where they run.

use rustix::{
    process::Pid,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use std::io;

/// The priority of threads that must react at once.
const FIRST: i32 = 1;

/// Lets this OS thread stay on a processor.
///
/// # Errors
/// If that processor is not there for us.
pub(crate) fn stay_on(processor: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(processor);
    Ok(sched_setaffinity(None, &only)?)
}

/// Returns the processors on which this thread may run.
pub(crate) fn processors() -> Vec<usize> {
    let allowed = sched_getaffinity(None).unwrap_or_default();
    (0..CpuSet::MAX_CPU)
        .filter(|processor| allowed.is_set(*processor))
        .collect()
}

/// Lets this OS thread run before ordinary ones, if we have the right (sched(7), SCHED_FIFO). A
/// thread of the target that is held by a probe waits for us for a moment only, and on a loaded
/// machine an ordinary thread may get a processor later than that. Threads that this one starts are
/// ordinary again.
pub(crate) fn raise_priority() {
    set_policy(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK);
}

/// As [`raise_priority`], for the threads that this one starts too.
pub(crate) fn raise_priority_of_all() {
    set_policy(libc::SCHED_FIFO);
}

/// Lets a thread run on those processors on which this one may.
pub(crate) fn run_where_we_run(thread: i32) {
    if let Ok(ours) = sched_getaffinity(None) {
        // One that has ended needs none.
        let _ = sched_setaffinity(Pid::from_raw(thread), &ours);
    }
}

/// Lets a thread run like all others again, on any processor.
pub(crate) fn lower(thread: i32) {
    set_policy_of(thread, libc::SCHED_OTHER, 0);
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|processor| all.set(processor));
    // One that has ended needs none.
    let _ = sched_setaffinity(Pid::from_raw(thread), &all);
}

/// Returns the id of this thread.
pub(crate) fn this_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

fn set_policy(policy: i32) {
    set_policy_of(0, policy, FIRST);
}

/// Sets the policy and the priority of a thread; 0 is the calling one.
fn set_policy_of(thread: i32, policy: i32, priority: i32) {
    let parameter = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: the parameter is a live local.
    unsafe { libc::sched_setscheduler(thread, policy, &raw const parameter) };
}
