use super::{Why, process::Rate};
use crate::{Clause, Condition, Gauge, Level, Trigger};
use snapshot::{Sample, Time};
use std::time::Duration;

/// Timers are not set shorter than this: `every 0s` must not keep the engine busy for ever.
pub(super) const SHORTEST: Duration = Duration::from_millis(100);

/// How one clause stands with one process.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) states: Vec<State>,
    pub(super) series: Option<Running>,
    /// Actions begun, less those that failed; a series is one.
    pub(super) fired: u32,
    /// Dumps asked for and not yet answered.
    pub(super) in_flight: u32,
    /// Dumps that may be written at the same time.
    pub(super) slots: u32,
    /// Failures in a row.
    failures: u32,
    /// Until when nothing is tried after a failure.
    pub(super) rest_until: Time,
    said: Option<(Why, u64)>,
}

/// How one condition stands.
#[derive(Debug)]
pub(super) enum State {
    Level(LevelState),
    Timer(Timer),
    /// It comes from outside.
    Event,
}

/// How a level stands.
#[derive(Debug)]
pub(super) struct LevelState {
    /// Since when it holds.
    pub(super) since: Option<Time>,
    /// What was before does not count.
    from: Time,
    /// It has held long enough, and what keeps it from acting was said.
    pub(super) ripe: bool,
    /// A sample was asked for, because it may have held long enough.
    pub(super) asked: bool,
    /// The last values, not a number where unknown.
    pub(super) values: Vec<f64>,
}

/// When something is due by time alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timer {
    pub(super) due: Option<Time>,
    /// It was due and has to wait for a dump to end.
    pub(super) blocked: bool,
}

impl Timer {
    pub(super) fn at(due: Time) -> Self {
        Self {
            due: Some(due),
            blocked: false,
        }
    }

    pub(super) fn deadline(self) -> Option<Time> {
        self.due.filter(|_| !self.blocked)
    }
}

/// A series on its way.
#[derive(Debug)]
pub(super) struct Running {
    /// Actions begun.
    pub(super) taken: u32,
    pub(super) next: Timer,
    /// Which condition began it.
    pub(super) condition: usize,
    /// Why the first was.
    pub(super) trigger: Trigger,
}

impl Watch {
    pub(super) fn new(now: Time, clause: &Clause, slots: u32) -> Self {
        Self {
            slots: slots.max(1),
            states: clause.when.iter().map(|c| State::new(now, c)).collect(),
            series: None,
            fired: 0,
            in_flight: 0,
            failures: 0,
            rest_until: Time::default(),
            said: None,
        }
    }

    /// Whether it is so busy that levels and timers are not looked at.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight >= self.slots || self.series.is_some()
    }

    /// Whether nothing it began is still to end.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.series.is_none()
    }

    /// Whether nothing can make it act any more but a limit that is raised.
    pub(super) fn is_spent(&self, clause: &Clause) -> bool {
        let spent = |(state, condition): (&State, &Condition)| {
            matches!(condition, Condition::Now)
                && matches!(state, State::Timer(Timer { due: None, .. }))
        };
        self.is_idle() && self.states.iter().zip(&clause.when).all(spent)
    }

    /// The levels that are looked at, each with its index, what has to hold, and how long.
    pub(super) fn levels<'a>(
        &'a mut self,
        clause: &'a Clause,
    ) -> impl Iterator<Item = (usize, &'a mut LevelState, &'a [Level], Duration)> {
        let busy = self.is_busy();
        let states = self.states.iter_mut().zip(&clause.when).enumerate();
        let states = states.filter(move |_| !busy);
        states.filter_map(|(index, (state, condition))| match (state, condition) {
            (State::Level(level), Condition::Holds { all, lasting }) => {
                Some((index, level, &all[..], *lasting))
            }
            _ => None,
        })
    }

    /// Begins anew, after an action: levels have to hold again from `now` on.
    pub(super) fn restart(&mut self, now: Time, clause: &Clause) {
        let rest_until = self.rest_until;
        for (state, condition) in self.states.iter_mut().zip(&clause.when) {
            match (state, condition) {
                (State::Level(level), _) => level.restart(now),
                (State::Timer(timer), Condition::Every(period)) => {
                    let due = now + (*period).max(SHORTEST);
                    *timer = Timer::at(due.max(rest_until));
                }
                _ => {}
            }
        }
    }

    /// An action went well, or not. After failures in a row the pauses double: a full disk must
    /// not stop the target again and again.
    pub(super) fn ended(&mut self, now: Time, well: bool) {
        const LONGEST: Duration = Duration::from_secs(300);
        if well {
            self.failures = 0;
            self.rest_until = now;
            return;
        }
        let pause = Duration::from_secs(1 << self.failures.min(9)).min(LONGEST);
        self.failures += 1;
        self.rest_until = now + pause;
    }

    /// When the next of a series begins, if one is on its way and has not come to its end.
    pub(super) fn next_of_series(&mut self, now: Time, clause: &Clause) {
        let (Some(running), Some(series)) = (&mut self.series, &clause.series) else {
            return;
        };
        let all = series
            .count
            .saturating_add(u32::from(series.then.is_some()));
        match running.taken < all {
            true => running.next = Timer::at(now + series.every.max(SHORTEST)),
            false => self.series = None,
        }
    }

    /// Counts a trigger that did nothing, and says whether that has to be told: at the 1st, 10th,
    /// 100th … time in a row for one reason.
    pub(super) fn suppress(&mut self, why: Why) -> Option<u64> {
        let same = |said: &Why| std::mem::discriminant(said) == std::mem::discriminant(&why);
        let times = match &self.said {
            Some((said, times)) if same(said) => times + 1,
            _ => 1,
        };
        self.said = Some((why, times));
        let mut round = times;
        while round.is_multiple_of(10) {
            round /= 10;
        }
        (round == 1).then_some(times)
    }

    /// An action begins: what was suppressed before is a thing of the past.
    pub(super) fn unsuppress(&mut self) {
        self.said = None;
    }

    /// Lets timers go on that waited for a dump to end.
    pub(super) fn unblock(&mut self) {
        self.timers_mut().for_each(|timer| timer.blocked = false);
    }

    pub(super) fn deadlines<'a>(&'a self, clause: &'a Clause) -> impl Iterator<Item = Time> + 'a {
        let busy = self.is_busy();
        let series = self.series.as_ref().and_then(|s| s.next.deadline());
        let states = self.states.iter().zip(&clause.when);
        let states = states
            .filter(move |_| !busy)
            .filter_map(|(state, condition)| match (state, condition) {
                (State::Level(level), Condition::Holds { lasting, .. }) => level.deadline(*lasting),
                (State::Timer(timer), _) => timer.deadline(),
                _ => None,
            });
        series.into_iter().chain(states)
    }

    fn timers_mut(&mut self) -> impl Iterator<Item = &mut Timer> {
        let series = self.series.as_mut().map(|series| &mut series.next);
        let states = self.states.iter_mut().filter_map(|state| match state {
            State::Timer(timer) => Some(timer),
            _ => None,
        });
        series.into_iter().chain(states)
    }
}

impl State {
    fn new(now: Time, condition: &Condition) -> Self {
        match condition {
            Condition::Holds { all, .. } => State::Level(LevelState {
                since: None,
                from: now,
                ripe: false,
                asked: false,
                values: vec![f64::NAN; all.len()],
            }),
            Condition::Now | Condition::Every(_) => State::Timer(Timer::at(now)),
            _ => State::Event,
        }
    }
}

impl LevelState {
    /// Begins anew: what was before `now` does not count.
    pub(super) fn restart(&mut self, now: Time) {
        self.since = None;
        self.from = now;
        self.ripe = false;
        self.asked = false;
    }

    /// Takes a sample in, and returns the deadline that this made, if any. A value that is not
    /// known does not hold.
    pub(super) fn update(
        &mut self,
        all: &[Level],
        lasting: Duration,
        sample: &Sample,
        cpu: &Rate,
        cpus: u32,
    ) -> Option<Time> {
        let mut start = Some(self.from);
        for (level, value) in all.iter().zip(&mut self.values) {
            let read = reading(level, sample, cpu, cpus);
            *value = read.map_or(f64::NAN, |(value, _)| value);
            let since = read
                .filter(|(value, _)| level.holds(*value))
                .map(|(_, since)| since);
            start = start.zip(since).map(|(start, since)| start.max(since));
        }
        let before = self.deadline(lasting);
        self.asked = false;
        match start {
            Some(start) => self.since = self.since.or(Some(start)),
            None => self.restart(self.from),
        }
        self.deadline(lasting).filter(|_| before.is_none())
    }

    /// Whether it has held for `lasting` at `now`.
    pub(super) fn has_held(&self, now: Time, lasting: Duration) -> bool {
        self.since.is_some_and(|since| now.since(since) >= lasting)
    }

    pub(super) fn deadline(&self, lasting: Duration) -> Option<Time> {
        let waits = !self.asked && !self.ripe && !lasting.is_zero();
        self.since.filter(|_| waits).map(|since| since + lasting)
    }
}

/// The value of a level in its own unit, and since when it is so.
fn reading(level: &Level, sample: &Sample, cpu: &Rate, cpus: u32) -> Option<(f64, Time)> {
    let gauge = match level {
        Level::Compare { gauge, .. } => Some(gauge),
        _ => None,
    };
    match gauge {
        // A sample without CPU time leaves the last rate standing, but it proves nothing now.
        Some(Gauge::Cpu | Gauge::CoreCpu) if sample.cpu.is_none() => None,
        Some(Gauge::Cpu) => cpu
            .current()
            .map(|(n, since)| (n * 100.0 / f64::from(cpus), since)),
        Some(Gauge::CoreCpu) => cpu.current().map(|(n, since)| (n * 100.0, since)),
        _ => Some((sample.value(&level.measure())?, sample.at)),
    }
}
