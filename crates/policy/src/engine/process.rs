//! What the engine remembers of a process: its CPU rate, its exceptions, and whether they come too fast.

use super::{Command, ExceptionCount, RuleId, WakeFor};
use crate::Identity;
use snapshot::{Exception, Measure, ProcessKey, Sample, Time};
use std::{collections::BTreeMap, time::Duration};

/// A living process that some rule watches or has watched.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) identity: Identity,
    /// The rules that watch it now.
    pub(super) rules: Vec<RuleId>,
    pub(super) cpu: CpuRate,
    pub(super) exceptions: ExceptionCounts,
    pub(super) storm: Storm,
    /// Whether it had an exception that nobody handled: its end is a crash then.
    pub(super) crashed: bool,
    /// Whether any rule has ever watched it. Other processes are forgotten at once.
    pub(super) was_watched: bool,
    /// The needs that the loop was told last: what to sample, and what to attach for.
    pub(super) announced: (Vec<Measure>, WakeFor),
}

impl Process {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity,
            rules: Vec::new(),
            cpu: CpuRate::default(),
            exceptions: ExceptionCounts::default(),
            storm: Storm::default(),
            crashed: false,
            was_watched: false,
            announced: Default::default(),
        }
    }

    pub(super) fn key(&self) -> ProcessKey {
        self.identity.key
    }
}

/// The shortest time over which a rate is measured. Over a shorter time, the system's clock tick (10 ms)
/// would distort it.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// How fast a process uses CPU time.
#[derive(Debug, Default)]
pub(super) struct CpuRate {
    /// The sample that the next rate is measured from: its time, and the CPU time used until then.
    last: Option<(Time, Duration)>,
    /// The rate, and the time of the sample that it was measured from.
    current: Option<(f64, Time)>,
}

impl CpuRate {
    /// The rate, as a number of processors in use, and the time from which it was measured. Returns
    /// `None` while it is unknown.
    pub(super) fn current(&self) -> Option<(f64, Time)> {
        self.current
    }

    /// Takes a sample of cumulative CPU time in. After a counter went backwards (it wrapped, or the time
    /// of a thread that ended was lost) the rate is unknown until the next sample.
    pub(super) fn update(&mut self, sample: &Sample, cpus: u32) {
        let Some(used) = sample.cpu else { return };
        let now = sample.at;
        let Some((then, before)) = self.last else {
            self.last = Some((now, used));
            return;
        };
        if used < before {
            self.last = Some((now, used));
            self.current = None;
            return;
        }
        if now.since(then) < SHORTEST_INTERVAL {
            return;
        }
        let rate = (used - before).as_secs_f64() / now.since(then).as_secs_f64();
        self.current = Some((rate.min(f64::from(cpus)), then));
        self.last = Some((now, used));
    }
}

/// The most names that are counted separately: what a target throws must not fill our memory.
const MAX_NAMES: usize = 1000;
/// The name under which all further exceptions are counted.
const OTHERS: &str = "(others)";

/// The exceptions of a process, counted by name.
#[derive(Debug, Default)]
pub(super) struct ExceptionCounts(BTreeMap<String, ExceptionCount>);

impl ExceptionCounts {
    pub(super) fn count(&mut self, now: Time, exception: &Exception) {
        let row = self.row(now, &exception.name);
        if exception.first_chance {
            row.count += 1;
            return;
        }
        row.unhandled += 1;
        // It was counted at its first chance already, where that was told.
        row.count = row.count.max(row.unhandled);
    }

    pub(super) fn add(&mut self, now: Time, name: &str, count: u64) {
        let row = self.row(now, name);
        row.count = row.count.saturating_add(count);
    }

    /// The counts, most frequent first.
    pub(super) fn table(&self) -> Vec<ExceptionCount> {
        let mut table: Vec<_> = self.0.values().cloned().collect();
        table.sort_by_key(|row| std::cmp::Reverse(row.count));
        table
    }

    fn row(&mut self, now: Time, name: &str) -> &mut ExceptionCount {
        let has_row = self.0.contains_key(name) || self.0.len() < MAX_NAMES;
        let name = if has_row { name } else { OTHERS };
        let row = self
            .0
            .entry(name.to_owned())
            .or_insert_with(|| ExceptionCount {
                name: name.to_owned(),
                count: 0,
                unhandled: 0,
                first: now,
                last: now,
            });
        row.last = now;
        row
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// Whether first-chance exceptions come faster than they can be judged one by one (an exception storm).
/// They are counted per second. During a storm one exception a second is judged, the others are counted.
#[derive(Debug, Default)]
pub(super) struct Storm {
    second_began: Time,
    count_this_second: u32,
    /// Whether there is a storm.
    active: bool,
    /// Whether an exception of this second was judged already.
    admitted_one: bool,
}

impl Storm {
    /// Counts exceptions. Returns the command that reports that a storm begins or ends with this.
    pub(super) fn add(
        &mut self,
        now: Time,
        count: u64,
        limit: u32,
        process: ProcessKey,
    ) -> Option<Command> {
        let over = self.end_second(now, limit, process);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.count_this_second = self.count_this_second.saturating_add(count);
        if self.active || self.count_this_second <= limit {
            return over;
        }
        self.active = true;
        let rate = self.count_this_second;
        Some(Command::Storm {
            process,
            active: true,
            rate,
        })
    }

    /// Begins a new second if the last one is over. Returns the command that reports that the storm is
    /// over with it.
    pub(super) fn end_second(
        &mut self,
        now: Time,
        limit: u32,
        process: ProcessKey,
    ) -> Option<Command> {
        let elapsed = now.since(self.second_began);
        if elapsed < SECOND {
            return None;
        }
        // Half the limit, so that a rate near it does not turn the storm on and off each second.
        let rate = if elapsed < 2 * SECOND {
            self.count_this_second
        } else {
            0
        };
        let over = self.active && rate <= limit / 2;
        *self = Storm {
            second_began: now,
            count_this_second: 0,
            active: self.active && !over,
            admitted_one: false,
        };
        over.then_some(Command::Storm {
            process,
            active: false,
            rate,
        })
    }

    /// Whether the exception that has just come has to be judged: each has, but only one a second during
    /// a storm.
    pub(super) fn admits(&mut self) -> bool {
        let admits = !self.active || !self.admitted_one;
        self.admitted_one = true;
        admits
    }

    /// When it has to be decided whether the storm is over. Returns `None` without a storm.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.active.then_some(self.second_began + SECOND)
    }
}
