//! Which threads worked in the last seconds before a dump.

use crate::store::record::BusyThread;
use snapshot::{Snapshot, Thread, ThreadTimes};
use std::time::Duration;

/// Threads that are told, at most.
const MOST: usize = 8;

/// The threads that have used most since `before`, the busiest first, and how long ago that was. A thread that was not there
/// then has used all of its time since.
pub(super) fn busiest(snapshot: &Snapshot, before: &ThreadTimes) -> (Vec<BusyThread>, Duration) {
    let since = |thread: &Thread| {
        let before = before.used.get(&thread.id).copied().unwrap_or_default();
        let used_ms = thread.used_time().saturating_sub(before).as_millis() as u64;
        (used_ms > 0).then_some(BusyThread {
            thread: thread.id,
            used_ms,
        })
    };
    let mut busy: Vec<BusyThread> = snapshot.threads.iter().filter_map(since).collect();
    busy.sort_by_key(|busy| std::cmp::Reverse(busy.used_ms));
    busy.truncate(MOST);
    let over = snapshot.taken.0.saturating_sub(before.at.0).max(0);
    (busy, Duration::from_nanos(over as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::WallTime;

    #[test]
    fn those_that_worked_since_are_told_the_busiest_first() {
        let thread = |id, seconds| Thread {
            id,
            user_time: Duration::from_secs(seconds),
            ..Thread::default()
        };
        let snapshot = Snapshot {
            taken: WallTime(12_000_000_000),
            threads: vec![thread(1, 100), thread(2, 7), thread(3, 3)],
            ..Snapshot::default()
        };
        let used = [(1, 100), (2, 1)].map(|(id, seconds)| (id, Duration::from_secs(seconds)));
        let before = ThreadTimes {
            at: WallTime(2_000_000_000),
            used: used.into(),
        };
        let (busy, over) = busiest(&snapshot, &before);
        let told: Vec<(u32, u64)> = busy
            .iter()
            .map(|busy| (busy.thread, busy.used_ms))
            .collect();
        assert_eq!(told, [(2, 6000), (3, 3000)]);
        assert_eq!(over, Duration::from_secs(10));
    }
}
