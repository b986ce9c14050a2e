//! Being there in time.

/// Lets this OS thread run before ordinary ones, where the rights allow it (sched(7)): a thread
/// that is held waits 20 ms for us, and on a loaded machine an ordinary thread may get the
/// processor later. Threads that it starts are ordinary again.
pub(crate) fn raise_priority() {
    let parameter = libc::sched_param { sched_priority: 1 };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: 0 is the calling thread; the parameter is a live local.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
}
