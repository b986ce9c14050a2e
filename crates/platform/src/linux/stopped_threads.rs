use super::{stop::Threads, traced_process::Traced};
use std::{cell::RefCell, rc::Rc};

/// Threads that are held for a capture.
pub(crate) enum StoppedThreads {
    /// Seized for it, and let go after it.
    Once(Threads),
    /// Traced before and after. A thread that stood before, too, goes on with the others if it is
    /// named here.
    Traced(Rc<RefCell<Traced>>, Option<i32>),
}

impl StoppedThreads {
    pub(crate) fn with<T>(&mut self, work: impl FnOnce(&mut Threads) -> T) -> T {
        match self {
            StoppedThreads::Once(threads) => work(threads),
            StoppedThreads::Traced(traced, _) => work(&mut traced.borrow_mut().threads),
        }
    }

    pub(crate) fn release(&mut self) {
        match self {
            StoppedThreads::Once(threads) => threads.release(),
            StoppedThreads::Traced(traced, standing) => {
                let mut traced = traced.borrow_mut();
                traced.threads.run_on();
                standing.take().iter().for_each(|tid| traced.go_on(*tid));
            }
        }
    }
}
