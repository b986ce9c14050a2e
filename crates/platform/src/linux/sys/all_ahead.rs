//! All ordinary threads of ours run before those of others, where this one runs, for a moment.
//!
//! Situation: a page fault of a thread that has to react within milliseconds waits for our address space, which another
//! thread of ours is just changing. That one is ordinary. It waits for a processor behind programs that compute, or on the
//! processor that a dying thread keeps as long as we hold it: for all the 20 ms of the hold.

use super::priority::{Ahead, put_ahead};
use rustix::fs::{Mode, OFlags, RawDir, open};
use std::mem::MaybeUninit;

/// How many threads are moved at most.
const MOST: usize = 512;

/// Some threads run before others, until this is dropped. It takes no memory from the allocator, which may have to change
/// the address space for that.
pub(super) struct AllAhead {
    threads: [Option<Ahead>; MOST],
}

impl AllAhead {
    /// Puts all ordinary threads of ours ahead.
    pub(super) fn begin() -> Self {
        let mut all = Self {
            threads: [const { None }; MOST],
        };
        let mut free = all.threads.iter_mut();
        for_each_of_ours(|thread| {
            if let Some(ahead) = put_ahead(thread)
                && let Some(place) = free.next()
            {
                *place = Some(ahead);
            }
        });
        all
    }
}

/// Calls `act` with the id of each thread of this process.
fn for_each_of_ours(mut act: impl FnMut(i32)) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(folder) = open("/proc/self/task", flags, Mode::empty()) else {
        return;
    };
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(folder, &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name().to_str();
        if let Some(thread) = name.ok().and_then(|name| name.parse().ok()) {
            act(thread);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::sys::priority;

    fn policy(thread: i32) -> i32 {
        // SAFETY: takes a plain number.
        unsafe { libc::sched_getscheduler(thread) & !libc::SCHED_RESET_ON_FORK }
    }

    #[test]
    fn n23_threads_are_ahead_for_a_moment_and_ordinary_again() {
        let (told, tells) = std::sync::mpsc::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            told.send(priority::this_thread()).expect("it waits");
            let _ = ends.recv();
        });
        let thread = tells.recv().expect("its id");
        assert_eq!(policy(thread), libc::SCHED_OTHER);
        let ahead = AllAhead::begin();
        assert_eq!(policy(thread), libc::SCHED_FIFO);
        drop(ahead);
        assert_eq!(policy(thread), libc::SCHED_OTHER);
        drop(end);
        other.join().expect("its end");
    }
}
