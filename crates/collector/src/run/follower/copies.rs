//! How many dumps of a process are copied beside its events.

use platform::lock;
use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

/// How many clones of a process are copied at once (`SuppressReason::Copying` says so). Each takes memory when the process
/// writes, and the disk is busy with one already.
const MOST: usize = 4;

/// The dumps of a process that are being copied.
#[derive(Default)]
pub(super) struct Copies(Arc<Shared>);

#[derive(Default)]
struct Shared {
    count: Mutex<usize>,
    ended: Condvar,
}

/// One that is being copied, until this is dropped.
pub(super) struct Copying(Arc<Shared>);

impl Copies {
    /// Returns whether no further one is to be begun.
    pub(super) fn are_most(&self) -> bool {
        *lock(&self.0.count) >= MOST
    }

    /// Waits until one has ended, for this long at most.
    pub(super) fn wait(&self, longest: Duration) {
        let count = lock(&self.0.count);
        // It is looked again in any case.
        drop(
            self.0
                .ended
                .wait_timeout_while(count, longest, |count| *count >= MOST),
        );
    }

    /// Begins one.
    pub(super) fn begin(&self) -> Copying {
        *lock(&self.0.count) += 1;
        Copying(self.0.clone())
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        *lock(&self.0.count) -= 1;
        self.0.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_place_again_when_one_has_ended() {
        let copies = Copies::default();
        let mut running: Vec<Copying> = (0..MOST).map(|_| copies.begin()).collect();
        assert!(copies.are_most());
        copies.wait(Duration::from_millis(1));
        assert!(copies.are_most());
        let last = running.pop();
        std::thread::scope(|scope| {
            scope.spawn(|| drop(last));
            copies.wait(Duration::from_secs(600));
        });
        assert!(!copies.are_most());
    }
}
