//! Running before ordinary threads for a part of each second only.
//!
//! Situation: two programs threw exceptions of new types all the time, and the threads that looked at them, which run before
//! all others because a hold is short, kept both processors of the machine for themselves.

use super::priority::{let_others, raise_priority};
use rustix::time::{ClockId, clock_gettime};
use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How much processor time a thread may use in a second before it is an ordinary one for the rest of it.
const OWN: Duration = Duration::from_millis(400);
/// The same of all such threads together, for each processor of the machine.
const OF_ALL: Duration = Duration::from_millis(400);

/// The second that is counted, and what all threads have used of it, in microseconds.
static SECOND: AtomicU64 = AtomicU64::new(0);
static USED: AtomicU64 = AtomicU64::new(0);

/// A thread that runs before ordinary ones, within its bounds.
pub(crate) struct Haste {
    is_raised: bool,
    second: u64,
    used: Duration,
    /// Its processor time when it was looked at last.
    last: Duration,
}

impl Haste {
    /// Lets the calling thread run before ordinary ones, if we have the right.
    pub(crate) fn begin() -> Self {
        raise_priority();
        Self {
            is_raised: true,
            second: 0,
            used: Duration::ZERO,
            last: time_of(ClockId::ThreadCPUTime),
        }
    }

    /// Keeps the thread within its bounds; to be called by it, often.
    pub(crate) fn keep_within(&mut self) {
        let now = time_of(ClockId::ThreadCPUTime);
        let used = now.saturating_sub(self.last);
        self.last = now;
        let second = time_of(ClockId::Monotonic).as_secs();
        if second != self.second {
            (self.second, self.used) = (second, Duration::ZERO);
        }
        self.used += used;
        let of_all = used_by_all(second, used);
        let may = self.used < OWN && of_all < OF_ALL * processors();
        if may != self.is_raised {
            self.is_raised = may;
            match may {
                true => raise_priority(),
                false => let_others(),
            }
        }
    }
}

/// Adds to what all have used in this second, and returns that.
fn used_by_all(second: u64, used: Duration) -> Duration {
    // Two threads that begin a second at once lose what one of them has used.
    if SECOND.swap(second, Ordering::Relaxed) != second {
        USED.store(0, Ordering::Relaxed);
    }
    let used = used.as_micros() as u64;
    Duration::from_micros(USED.fetch_add(used, Ordering::Relaxed) + used)
}

/// To count them takes files of the control group.
fn processors() -> u32 {
    static COUNT: LazyLock<u32> = LazyLock::new(|| {
        std::thread::available_parallelism().map_or(1, |count| count.get() as u32)
    });
    *COUNT
}

fn time_of(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::{super::priority::is_first, *};
    use std::time::Instant;

    #[test]
    fn n31_a_thread_that_works_all_the_time_is_an_ordinary_one() {
        let mut haste = Haste::begin();
        if !is_first() {
            println!("the system allows nobody a real-time priority: there is nothing to see");
            return;
        }
        let end = Instant::now() + Duration::from_secs(60);
        while is_first() {
            assert!(Instant::now() < end, "it stays before all others");
            haste.keep_within();
        }
        // It has its haste back in a later second.
        while !is_first() {
            assert!(Instant::now() < end, "it never runs before others again");
            std::thread::sleep(Duration::from_millis(1));
            haste.keep_within();
        }
    }
}
