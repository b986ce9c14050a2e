//! Threads that are ready to keep an address space ([`userfault`](super::userfault)), made before they are needed: whoever
//! catches a process at its death has milliseconds. Seen on a loaded machine: of 24 deaths one was missed, because a thread
//! of ours that was changing our own address space did not get a processor.

use super::userfault::{Pin, Reader};
use std::{
    fs::File,
    io,
    sync::{Condvar, Mutex, Once, PoisonError},
    time::Duration,
};

/// How many are ready.
const COUNT: usize = 8;

/// How long to wait until it is tried again, where one could not be made.
const PAUSE: Duration = Duration::from_secs(1);

static READY: Mutex<Vec<Reader>> = Mutex::new(Vec::new());
/// Told when one was taken.
static TAKEN: Condvar = Condvar::new();

/// Has some be ready, for the rest of the run.
pub(crate) fn begin() {
    static START: Once = Once::new();
    START.call_once(|| {
        let thread = std::thread::Builder::new().name("makes ready".to_owned());
        drop(thread.spawn(make_ready));
    });
}

/// Keeps an address space, as [`Pin::new`] does, by one that is ready if there is any.
///
/// # Errors
/// As [`Pin::new`].
pub(crate) fn pin(mem: File, address: u64) -> io::Result<Pin> {
    match take() {
        Some(reader) => Pin::at_once(reader, mem, address),
        None => Pin::at_once(Reader::new()?, mem, address),
    }
}

/// Takes one; `None` if there is none, or another thread is just taking one.
fn take() -> Option<Reader> {
    // Nobody is waited for: who has the lock may not get a processor.
    let reader = READY.try_lock().ok()?.pop();
    TAKEN.notify_one();
    reader
}

/// Makes new ones when some were taken, for ever.
fn make_ready() {
    loop {
        let ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
        let is_enough = |ready: &mut Vec<Reader>| ready.len() >= COUNT;
        drop(TAKEN.wait_while(ready, is_enough));
        match Reader::new() {
            Ok(reader) => {
                let mut ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
                ready.push(reader);
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}
