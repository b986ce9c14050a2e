//! The stopped threads of a capture, whether they are traced for this capture only or all the time.

use super::{stop::Threads, traced_process::Traced};
use std::{cell::RefCell, rc::Rc};

/// The threads that are stopped for a capture. Dropping it releases them, so that they run on also
/// where the capture fails.
pub(crate) enum StoppedThreads {
    /// They are traced for this capture only, and released after it.
    Once(Threads),
    /// They are traced all the time.
    Traced(StoppedTraced),
}

impl StoppedThreads {
    /// Runs `work` on the threads.
    pub(crate) fn with<T>(&mut self, work: impl FnOnce(&mut Threads) -> T) -> T {
        match self {
            StoppedThreads::Once(threads) => work(threads),
            StoppedThreads::Traced(stopped) => work(&mut stopped.traced.borrow_mut().threads),
        }
    }

    /// Lets the threads run on, once.
    pub(crate) fn release(&mut self) {
        match self {
            StoppedThreads::Once(threads) => threads.release(),
            StoppedThreads::Traced(stopped) => stopped.release(),
        }
    }
}

/// The stopped threads of a process that is traced all the time.
pub(crate) struct StoppedTraced {
    traced: Rc<RefCell<Traced>>,
    stands: Option<i32>,
    lets_go: bool,
    is_released: bool,
}

impl StoppedTraced {
    /// Takes over threads that have been stopped. `stands` is the thread that stood for an event
    /// before, and `lets_go` whether it goes on with the others.
    pub(crate) fn new(traced: Rc<RefCell<Traced>>, stands: Option<i32>, lets_go: bool) -> Self {
        Self {
            traced,
            stands,
            lets_go,
            is_released: false,
        }
    }

    fn release(&mut self) {
        // A second time, threads may stand for other events.
        if std::mem::replace(&mut self.is_released, true) {
            return;
        }
        let mut traced = self.traced.borrow_mut();
        traced.threads.run_on(self.stands);
        if let Some(tid) = self.stands.filter(|_| self.lets_go) {
            traced.go_on(tid);
        }
    }
}

impl Drop for StoppedTraced {
    fn drop(&mut self) {
        self.release();
    }
}
