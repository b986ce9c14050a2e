//! Watches the threads that copy memory, and ends them early: on a cancel, at the deadline, when
//! nothing moves, and when the target dies.

use super::copy::Copy;
use platform::{Cancel, Capture, Error, ErrorKind, Result};
use std::{
    io,
    sync::{atomic::Ordering, mpsc::RecvTimeoutError},
    time::{Duration, Instant},
};

/// The time between two checks whether the copying has to end early.
const CHECK_EVERY: Duration = Duration::from_millis(5);
/// The time between two reports of progress.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// How long the copying threads get to end after they were told to.
const STOP_WITHIN: Duration = Duration::from_millis(300);
/// Copying that moves no byte for this long is given up: a page may lie behind a dead server.
const STALLED_AFTER: Duration = Duration::from_secs(15);

/// When copying has to end even if it is not done.
pub(super) struct Limits<'l> {
    /// When the time is over that was set for a dump.
    pub(super) deadline: Option<Instant>,
    /// What the user cancels with.
    pub(super) cancel: &'l Cancel,
    /// Makes an error of one with which the file could not be written.
    pub(super) failed: &'l dyn Fn(&io::Error) -> Error,
    /// Whether memory of a clone is given back as soon as it is copied: nothing else is copied from it.
    pub(super) gives_back: bool,
}

/// Waits until the copying is done. `report` gets the bytes of memory that were copied so far.
///
/// # Errors
/// The reason, if the copying failed or was ended early. A thread that hangs in the kernel is then
/// left behind, so that the target is not held by it.
pub(super) fn watch(
    copy: &Copy,
    capture: &mut Capture,
    limits: &Limits<'_>,
    report: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut left = copy.threads;
    let (mut reported, mut moved) = (Instant::now(), (0, Instant::now()));
    while left > 0 {
        match copy.ends.recv_timeout(CHECK_EVERY) {
            Ok(Ok(())) => left -= 1,
            Ok(Err(error)) => {
                return stop(copy, left - 1, (limits.failed)(&error));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let error = Error::new(ErrorKind::Other, "a copying thread failed");
                return stop(copy, 0, error);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let written = copy.progress.written_lately();
        if limits.gives_back && !written.is_empty() {
            capture.give_back(&written);
            // That may have taken long, and is no fault of the copying.
            moved.1 = Instant::now();
        }
        let done = copy.progress.done.load(Ordering::Relaxed);
        if done != moved.0 {
            moved = (done, Instant::now());
        }
        if left > 0
            && let Some(reason) = reason_to_end(capture, limits, moved.1)
        {
            return stop(copy, left, reason);
        }
        if reported.elapsed() > REPORT_EVERY {
            reported = Instant::now();
            report(done);
        }
    }
    Ok(())
}

/// Why the copying has to end now, if it has to. `moved` is when the last byte was copied.
fn reason_to_end(capture: &mut Capture, limits: &Limits<'_>, moved: Instant) -> Option<Error> {
    if limits.cancel.is_asked() {
        return Some(Error::new(ErrorKind::Cancelled, "the dump was cancelled"));
    }
    if limits.deadline.is_some_and(|end| Instant::now() > end) {
        let what = "it took longer than the time that was set for a dump";
        return Some(Error::new(ErrorKind::TimedOut, what));
    }
    if moved.elapsed() > STALLED_AFTER {
        let seconds = STALLED_AFTER.as_secs();
        let what = format!("nothing could be copied for {seconds} seconds");
        return Some(Error::new(ErrorKind::TimedOut, what));
    }
    capture.check().err()
}

/// Tells the copying threads to end, and waits a little for the `left` ones. Returns the reason.
fn stop(copy: &Copy, left: usize, reason: Error) -> Result<()> {
    copy.progress.stop.store(true, Ordering::Relaxed);
    let end = Instant::now() + STOP_WITHIN;
    for _ in 0..left {
        let wait = end.saturating_duration_since(Instant::now());
        if copy.ends.recv_timeout(wait).is_err() {
            break;
        }
    }
    Err(reason)
}
