//! How much the threads of a busy process had used some seconds ago: the record of its next dump says by it which of them
//! worked just before.

use platform::Host;
use snapshot::{ProcessKey, Sample, ThreadTimes, Time};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

/// A process that uses less of one processor is not looked at, in percent.
const BUSY: u128 = 20;
/// How long it takes until the threads of a busy process are read again: that takes 5 ms for a thousand of them.
const EVERY: Duration = Duration::from_secs(10);
/// What is older says nothing of what was just before a dump.
const OLDEST: Duration = Duration::from_secs(30);

/// What was read of all processes whose processor time is sampled.
#[derive(Default)]
pub(super) struct RecentTimes(HashMap<ProcessKey, Recent>);

struct Recent {
    /// The last sample: when, and the time that all threads had used.
    last: (Time, Duration),
    /// What was read last, and what was read before that.
    read: VecDeque<(Time, Arc<ThreadTimes>)>,
}

impl RecentTimes {
    /// Looks at the threads of a process that was sampled, if it is busy and that was not done just now.
    pub(super) fn sampled(&mut self, host: &dyn Host, process: ProcessKey, sample: &Sample) {
        let Some(used) = sample.cpu else {
            return;
        };
        let now = (sample.at, used);
        let recent = self.0.entry(process).or_insert_with(|| Recent::new(now));
        let before = std::mem::replace(&mut recent.last, now);
        if is_busy(before, now)
            && recent.is_due(sample.at)
            && let Ok(times) = host.thread_times(process)
        {
            recent.add(sample.at, times);
        }
    }

    /// What the threads of a process had used some seconds ago; `None` if it was not looked at.
    pub(super) fn of(&self, process: ProcessKey, now: Time) -> Option<Arc<ThreadTimes>> {
        let read = &self.0.get(&process)?.read;
        let mut young = read.iter().filter(|(at, _)| now.since(*at) <= OLDEST);
        young.next().map(|(_, times)| times.clone())
    }

    /// Forgets a process that has ended.
    pub(super) fn forget(&mut self, process: ProcessKey) {
        self.0.remove(&process);
    }
}

impl Recent {
    fn new(now: (Time, Duration)) -> Self {
        Self {
            last: now,
            read: VecDeque::new(),
        }
    }

    fn is_due(&self, now: Time) -> bool {
        let last = self.read.back();
        last.is_none_or(|(at, _)| now.since(*at) >= EVERY)
    }

    fn add(&mut self, now: Time, times: ThreadTimes) {
        self.read.push_back((now, Arc::new(times)));
        while self.read.len() > 2 {
            self.read.pop_front();
        }
    }
}

fn is_busy(before: (Time, Duration), now: (Time, Duration)) -> bool {
    let (wall, used) = (now.0.since(before.0), now.1.saturating_sub(before.1));
    !used.is_zero() && used.as_nanos() * 100 >= wall.as_nanos() * BUSY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_busy_by_its_part_of_one_processor() {
        let at = |ms, used| (Time(Duration::from_millis(ms)), Duration::from_millis(used));
        assert!(is_busy(at(0, 0), at(1000, 900)));
        assert!(is_busy(at(5000, 100), at(6000, 300)));
        assert!(!is_busy(at(5000, 100), at(6000, 250)));
        assert!(!is_busy(at(0, 0), at(0, 0)), "the first sample");
    }

    /// What is told is ten to twenty seconds old: a dump that comes just after the threads were read is to say something, too.
    #[test]
    fn what_was_read_before_the_last_is_told_unless_it_is_too_old() {
        let mut recent = RecentTimes::default();
        let key = ProcessKey { pid: 7, start: 1 };
        let now = |seconds| Time(Duration::from_secs(seconds));
        let mut one = Recent::new((now(0), Duration::ZERO));
        for second in [10, 20, 30] {
            assert!(one.is_due(now(second)));
            let at = snapshot::WallTime(second as i64);
            let used = Default::default();
            one.add(now(second), ThreadTimes { at, used });
            assert!(!one.is_due(now(second + 9)));
        }
        recent.0.insert(key, one);
        let of = |second| recent.of(key, now(second)).map(|times| times.at.0);
        assert_eq!(of(31), Some(20));
        assert_eq!(of(55), Some(30));
        assert_eq!(of(90), None);
    }
}
