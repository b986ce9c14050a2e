//! The scheduling priority of threads that have to react within milliseconds, and where they run.

use rustix::{
    process::Pid,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use std::{io, time::Duration};

/// The priority of threads that must react at once.
const FIRST: u32 = 1;

/// The niceness of ordinary threads, and of those that must react at once where the system allows nobody a real-time
/// priority, as in a control group without a share of it (`CONFIG_RT_GROUP_SCHED`, the kernel's
/// Documentation/scheduler/sched-rt-group.rst).
const ORDINARY: i32 = 0;
const NEAREST: i32 = -20;

/// For how long such a thread wants to run: the shorter, the sooner it comes (since Linux 6.12; the least there is).
const SHORT: Duration = Duration::from_micros(100);

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
    raise(RESET_ON_FORK);
}

/// As [`raise_priority`], for the threads that this one starts too.
pub(crate) fn raise_priority_of_all() {
    raise(0);
}

/// Whether this OS thread runs before all ordinary ones.
pub(crate) fn is_first() -> bool {
    // SAFETY: sched_getscheduler(2) takes a plain number. (musl's function of that name does nothing.)
    let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
    policy as i32 & !libc::SCHED_RESET_ON_FORK == libc::SCHED_FIFO
}

/// Lets this OS thread run like all others again, on the processors on which it may run.
pub(crate) fn let_others() {
    set(0, &Attributes::ordinary(ORDINARY));
}

/// Lets the calling thread run after others, for good: it uses processors that nobody else does.
pub(crate) fn run_last() {
    be_as_nice_as(19);
}

/// Lets the calling thread give way to others, for good. It gets a tenth of the time of one that does not (sched(7), nice
/// values). On a machine of which all processors were busy, [`run_last`] had a clone copied five times as long, and its target
/// had to copy what it wrote to for all that time.
pub(crate) fn give_way() {
    be_as_nice_as(10);
}

/// Where it is refused, it runs like the others.
fn be_as_nice_as(value: i32) {
    let _ = rustix::process::setpriority_process(None, value);
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
    set(thread, &Attributes::ordinary(ORDINARY));
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|processor| all.set(processor));
    // One that has ended needs none.
    let _ = sched_setaffinity(Pid::from_raw(thread), &all);
}

/// `SCHED_FLAG_RESET_ON_FORK`.
const RESET_ON_FORK: u64 = 1;

/// `struct sched_attr` (sched_setattr(2)), as far as it is as old as the call.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

impl Attributes {
    fn ordinary(nice: i32) -> Self {
        Self {
            size: size_of::<Self>() as u32,
            policy: libc::SCHED_OTHER as u32,
            nice,
            ..Self::default()
        }
    }
}

/// Without any right, the thread stays as it is.
fn raise(flags: u64) {
    let first = Attributes {
        policy: libc::SCHED_FIFO as u32,
        priority: FIRST,
        flags,
        ..Attributes::ordinary(ORDINARY)
    };
    let near = Attributes {
        runtime: SHORT.as_nanos() as u64,
        flags,
        ..Attributes::ordinary(NEAREST)
    };
    let _ = set(0, &first) || set(0, &near);
}

/// Sets how a thread is scheduled; 0 is the calling one. Returns whether that was possible.
fn set(thread: i32, attributes: &Attributes) -> bool {
    // SAFETY: sched_setattr(2) reads a structure of the size that its first field says, which lives during the call.
    unsafe {
        libc::syscall(
            libc::SYS_sched_setattr,
            thread,
            std::ptr::from_ref(attributes),
            0,
        ) == 0
    }
}
