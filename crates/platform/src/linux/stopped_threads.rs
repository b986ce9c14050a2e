//! The stopped threads of a capture, whether they are traced for this capture only or all the time.

use super::{stop::Threads, traced_process::Traced};
use std::{cell::RefCell, rc::Rc};

/// The threads that are stopped for a capture.
pub(crate) enum StoppedThreads {
    /// They are traced for this capture only, and released after it.
    Once(Threads),
    /// They are traced all the time.
    Traced {
        /// The traced threads.
        traced: Rc<RefCell<Traced>>,
        /// The thread that stood for an event before.
        stands: Option<i32>,
        /// Whether that thread goes on with the others.
        lets_go: bool,
    },
}

impl StoppedThreads {
    /// Runs `work` on the threads.
    pub(crate) fn with<T>(&mut self, work: impl FnOnce(&mut Threads) -> T) -> T {
        match self {
            StoppedThreads::Once(threads) => work(threads),
            StoppedThreads::Traced { traced, .. } => work(&mut traced.borrow_mut().threads),
        }
    }

    /// Lets the threads run on.
    pub(crate) fn release(&mut self) {
        match self {
            StoppedThreads::Once(threads) => threads.release(),
            StoppedThreads::Traced {
                traced,
                stands,
                lets_go,
            } => {
                let mut traced = traced.borrow_mut();
                traced.threads.run_on(*stands);
                if let Some(tid) = stands.filter(|_| *lets_go) {
                    traced.go_on(tid);
                }
            }
        }
    }
}
