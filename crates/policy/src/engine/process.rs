use super::{Command, ExceptionCount, RuleId, WakeFor};
use crate::Identity;
use snapshot::{Exception, Measure, ProcessKey, Sample, Time};
use std::{collections::BTreeMap, time::Duration};

/// What is known of a process that is alive.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) identity: Identity,
    /// The rules that watch it.
    pub(super) rules: Vec<RuleId>,
    pub(super) cpu: Rate,
    pub(super) exceptions: Exceptions,
    pub(super) storm: Storm,
    /// Whether an exception that nobody handled was seen: its end is a crash then.
    pub(super) crashed: bool,
    /// Whether any rule has ever been about it.
    pub(super) is_known: bool,
    /// What the loop was told last.
    pub(super) told: (Vec<Measure>, WakeFor),
}

impl Process {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity,
            rules: Vec::new(),
            cpu: Rate::default(),
            exceptions: Exceptions::default(),
            storm: Storm::default(),
            crashed: false,
            is_known: false,
            told: Default::default(),
        }
    }

    /// Whether no rule was ever about it: it need not be remembered.
    pub(super) fn is_strange(&self) -> bool {
        !self.is_known
    }

    pub(super) fn key(&self) -> ProcessKey {
        self.identity.key
    }
}

/// Samples closer together than this say more about the system's clock tick (10 ms) than about
/// the process.
const SHORTEST: Duration = Duration::from_millis(100);

/// How fast a process uses CPU time.
#[derive(Debug, Default)]
pub(super) struct Rate {
    base: Option<(Time, Duration)>,
    current: Option<(f64, Time)>,
}

impl Rate {
    /// Processors used, and since when that is so; `None` while it is not known.
    pub(super) fn current(&self) -> Option<(f64, Time)> {
        self.current
    }

    /// Takes a sample of cumulative CPU time in. A counter that went backwards (a wrap, or a
    /// thread's time that was lost as it ended) says nothing about the time before it.
    pub(super) fn update(&mut self, sample: &Sample, cpus: u32) {
        let Some(used) = sample.cpu else { return };
        let now = sample.at;
        let Some((then, before)) = self.base else {
            self.base = Some((now, used));
            return;
        };
        if used < before {
            self.base = Some((now, used));
            self.current = None;
            return;
        }
        if now.since(then) < SHORTEST {
            return;
        }
        let rate = (used - before).as_secs_f64() / now.since(then).as_secs_f64();
        self.current = Some((rate.min(f64::from(cpus)), then));
        self.base = Some((now, used));
    }
}

/// Names that are told apart; what a target throws must not fill our memory.
const NAMES: usize = 1000;
const OTHERS: &str = "(others)";

/// The exceptions of a process, counted by name.
#[derive(Debug, Default)]
pub(super) struct Exceptions(BTreeMap<String, ExceptionCount>);

impl Exceptions {
    pub(super) fn count(&mut self, now: Time, exception: &Exception) {
        let row = self.row(now, &exception.name);
        row.count += 1;
        row.unhandled += u64::from(!exception.first_chance);
    }

    pub(super) fn add(&mut self, now: Time, name: &str, count: u64) {
        let row = self.row(now, name);
        row.count = row.count.saturating_add(count);
    }

    /// The rows, most frequent first.
    pub(super) fn table(&self) -> Vec<ExceptionCount> {
        let mut table: Vec<_> = self.0.values().cloned().collect();
        table.sort_by_key(|row| std::cmp::Reverse(row.count));
        table
    }

    fn row(&mut self, now: Time, name: &str) -> &mut ExceptionCount {
        let known = self.0.contains_key(name) || self.0.len() < NAMES;
        let name = if known { name } else { OTHERS };
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

/// Whether first-chance exceptions come faster than they can be looked at.
#[derive(Debug, Default)]
pub(super) struct Storm {
    since: Time,
    passed: u32,
    active: bool,
    /// Whether one of this second was looked at during the storm.
    sampled: bool,
}

impl Storm {
    /// Takes `count` exceptions in; says so when this makes it a storm.
    pub(super) fn pass(
        &mut self,
        now: Time,
        count: u64,
        limit: u32,
        process: ProcessKey,
    ) -> Option<Command> {
        let over = self.turn(now, limit, process);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.passed = self.passed.saturating_add(count);
        if self.active || self.passed <= limit {
            return over;
        }
        self.active = true;
        let rate = self.passed;
        Some(Command::Storm {
            process,
            active: true,
            rate,
        })
    }

    /// Begins a new second if one is over; says so when the storm is over with it.
    pub(super) fn turn(&mut self, now: Time, limit: u32, process: ProcessKey) -> Option<Command> {
        let elapsed = now.since(self.since);
        if elapsed < SECOND {
            return None;
        }
        // Half the limit, so that a rate near it does not turn the storm on and off each second.
        let rate = if elapsed < 2 * SECOND { self.passed } else { 0 };
        let over = self.active && rate <= limit / 2;
        *self = Storm {
            since: now,
            passed: 0,
            active: self.active && !over,
            sampled: false,
        };
        over.then_some(Command::Storm {
            process,
            active: false,
            rate,
        })
    }

    /// Whether the exception at hand is looked at: each, or one a second during a storm.
    pub(super) fn looks(&mut self) -> bool {
        let looks = !self.active || !self.sampled;
        self.sampled = true;
        looks
    }

    /// When a storm has to be judged again.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.active.then_some(self.since + SECOND)
    }
}
