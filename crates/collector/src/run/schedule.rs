//! Which process is sampled when.

use snapshot::{Measure, ProcessKey, Time};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// When each process is sampled next. All are sampled together, so that the machine wakes up
/// once a poll, not once a process.
#[derive(Default)]
pub(crate) struct Schedule {
    processes: BTreeMap<ProcessKey, Entry>,
    /// Nothing is due before this.
    next: Option<Time>,
}

struct Entry {
    measures: Arc<[Measure]>,
    every: Duration,
    next: Time,
}

impl Schedule {
    /// Samples this of a process from now on, the first time at once; nothing to measure: stops.
    pub(crate) fn set(
        &mut self,
        process: ProcessKey,
        measures: Vec<Measure>,
        every: Duration,
        now: Time,
    ) {
        if measures.is_empty() {
            self.stop(process);
        } else {
            self.processes.insert(
                process,
                Entry {
                    measures: measures.into(),
                    every,
                    next: now,
                },
            );
            self.next = Some(self.next.map_or(now, |next| next.min(now)));
        }
    }

    /// Samples a process no more.
    pub(crate) fn stop(&mut self, process: ProcessKey) {
        self.processes.remove(&process);
    }

    /// What is measured of a process.
    pub(crate) fn measures(&self, process: ProcessKey) -> Arc<[Measure]> {
        let entry = self.processes.get(&process);
        entry.map_or_else(Arc::default, |entry| entry.measures.clone())
    }

    /// What is due, and makes it due again a poll later.
    pub(crate) fn due(&mut self, now: Time) -> Vec<(ProcessKey, Arc<[Measure]>)> {
        let mut due = Vec::new();
        if self.next.is_none_or(|next| next > now) {
            return due;
        }
        for (key, entry) in &mut self.processes {
            if entry.next <= now {
                entry.next = next_tick(now, entry.every);
                due.push((*key, entry.measures.clone()));
            }
        }
        self.next = self.processes.values().map(|entry| entry.next).min();
        due
    }

    /// When something may be due next.
    pub(crate) fn next(&self) -> Option<Time> {
        self.next
    }
}

/// The next multiple of `every`: processes that came at different times are sampled together.
fn next_tick(now: Time, every: Duration) -> Time {
    let every = every.as_nanos().max(1_000_000);
    let ticks = now.0.as_nanos() / every + 1;
    let nanos = ticks * every;
    Time(Duration::new(
        (nanos / 1_000_000_000) as u64,
        (nanos % 1_000_000_000) as u32,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_came_apart_are_sampled_together() {
        let mut schedule = Schedule::default();
        let key = |pid| ProcessKey { pid, start: 0 };
        let second = Duration::from_secs(1);
        let at = |ms| Time(Duration::from_millis(ms));
        schedule.set(key(1), vec![Measure::Cpu], second, at(100));
        assert_eq!(schedule.due(at(100)).len(), 1);
        schedule.set(key(2), vec![Measure::Cpu], second, at(700));
        assert_eq!(schedule.due(at(700)).len(), 1);
        assert_eq!(schedule.next(), Some(at(1000)));
        assert_eq!(schedule.due(at(1000)).len(), 2);
        schedule.set(key(1), vec![], second, at(1100));
        assert_eq!(schedule.due(at(5000)).len(), 1);
    }
}
