//! The scheduling priority of threads that have to react within milliseconds.

/// Lets this OS thread run before ordinary ones, if we have the right (sched(7), SCHED_FIFO). A
/// thread of the target that is held by a probe waits for us for a moment only, and on a loaded
/// machine an ordinary thread may get a processor later than that. Threads that this one starts are
/// ordinary again.
pub(crate) fn raise_priority() {
    let parameter = libc::sched_param { sched_priority: 1 };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: 0 means the calling thread, and the parameter is a live local.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
}
