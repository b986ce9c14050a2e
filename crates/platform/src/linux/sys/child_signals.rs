//! SIGCHLD for several tracers in one process.
//!
//! The kernel reports a traced thread by a SIGCHLD to the tracer's whole process, and several by a
//! single one (signal(7): a standard signal is pending once). So one thread takes the signals and
//! wakes every tracer that subscribed; each then asks for its own threads (`__WNOTHREAD` of
//! waitpid(2)). Before this, each tracer polled every 5 ms: 20 idle processes made 4,100 context
//! switches a second.

use super::{signals, wake::Wake};
use crate::lock;
use std::{
    io,
    sync::{Arc, Mutex, Once, Weak},
};

/// The tracers that are to be woken.
static TRACERS: Mutex<Vec<Weak<Wake>>> = Mutex::new(Vec::new());

/// Returns a descriptor that is woken by each SIGCHLD, as long as it is kept.
///
/// # Errors
/// If there is no room for a descriptor.
pub(crate) fn subscribe() -> io::Result<Arc<Wake>> {
    static START: Once = Once::new();
    let wake = Arc::new(Wake::new()?);
    {
        let mut tracers = lock(&TRACERS);
        tracers.retain(|tracer| tracer.strong_count() > 0);
        tracers.push(Arc::downgrade(&wake));
    }
    // A thread that has not blocked SIGCHLD could receive and lose it.
    signals::keep_child_signal();
    START.call_once(|| drop(std::thread::spawn(pass_on)));
    Ok(wake)
}

/// Waits for SIGCHLD and wakes all tracers, for ever.
fn pass_on() {
    signals::keep_child_signal();
    loop {
        signals::wait_for_child();
        let tracers = lock(&TRACERS);
        let living = tracers.iter().filter_map(Weak::upgrade);
        living.for_each(|tracer| tracer.wake());
    }
}
