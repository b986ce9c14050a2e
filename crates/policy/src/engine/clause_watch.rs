//! The state of one clause in one process: how long its levels have held, when its timers are due, and
//! how far its series has come.

use super::{Outcome, SuppressReason, process::CpuRate};
use crate::{Clause, Condition, Gauge, Level, Limits, Trigger};
use snapshot::{Measure, Sample, Time};
use std::time::Duration;

/// The shortest time that a timer is set to: `every 0s` must not keep the engine busy for ever.
pub(super) const SHORTEST_TIMER: Duration = Duration::from_millis(100);

/// The state of one clause in one process.
#[derive(Debug)]
pub(super) struct ClauseWatch {
    /// The state of each condition of the clause.
    pub(super) states: Vec<ConditionState>,
    /// The series that is running, if one is.
    pub(super) series: Option<RunningSeries>,
    /// Actions that were begun and have not failed. A series counts as one.
    pub(super) acted: u32,
    /// Files of dumps that were begun and have not failed.
    pub(super) files: u32,
    /// Dumps that were requested and whose end was not reported yet.
    pub(super) in_flight: u32,
    /// Dumps of the process that may be written at the same time; at least 1.
    pub(super) slots: u32,
    /// Actions that failed in a row.
    failures: u32,
    /// Nothing is tried before this time, because the last action failed, or was not begun.
    pub(super) rest_until: Time,
    /// Whether it was not begun, as too many dumps were being copied.
    was_skipped: bool,
    /// Whether a level that has no duration counts again while it goes on holding: where the rule has a limit in
    /// time.
    counts_again: bool,
    /// How many times a condition has had its turn; the last numbers are in the states of levels.
    turns: u64,
    /// Why the clause was kept from acting last, and how often in a row.
    last_suppressed: Option<(SuppressReason, u64)>,
}

/// The state of one condition.
#[derive(Debug)]
pub(super) enum ConditionState {
    Level(LevelState),
    Timer(Timer),
    /// The condition is an event: nothing is remembered of it.
    Event,
}

/// The state of a condition that is made of levels.
#[derive(Debug)]
pub(super) struct LevelState {
    /// The time from which the levels have held without a break; `None` if they do not hold now.
    pub(super) since: Option<Time>,
    /// The time from which they may count as held: the beginning, or the last restart.
    counts_from: Time,
    /// They have held long enough, but the clause may not act yet, which was reported.
    pub(super) is_waiting: bool,
    /// When the clause may act again, if they wait for a time: a sample is due then.
    pub(super) may_act_at: Option<Time>,
    /// Since the clause has acted there was no sample: one is due, so that they count from then on and not from the next
    /// regular one, which tells of a rate how it was since the one before.
    starts_anew: bool,
    /// The clause has acted because they hold, and they have not stopped holding since. Without a duration, two
    /// samples in a row would else make two dumps that are alike.
    spent: bool,
    /// When it had its turn last, as a number that grows: of several that are met, each has one.
    pub(super) turn: u64,
    /// A sample was requested, because they may have held long enough.
    pub(super) sample_requested: bool,
    /// The last value of each level, in the level's own unit; NaN where it is unknown.
    pub(super) values: Vec<f64>,
}

/// When something is due by time alone. Without a time, it is not due at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timer {
    pub(super) due: Option<Time>,
    /// It was due, and waits until a dump has ended.
    pub(super) blocked: bool,
}

impl Timer {
    pub(super) fn due_at(due: Time) -> Self {
        Self {
            due: Some(due),
            blocked: false,
        }
    }

    pub(super) fn deadline(self) -> Option<Time> {
        self.due.filter(|_| !self.blocked)
    }
}

/// A series that has begun and not ended.
#[derive(Debug)]
pub(super) struct RunningSeries {
    /// Actions of the series that were begun.
    pub(super) taken: u32,
    /// When the next action is due.
    pub(super) next: Timer,
    /// The index of the condition that began it.
    pub(super) condition: usize,
    /// The trigger of its first action, under which the later ones are reported too.
    pub(super) trigger: Trigger,
}

impl ClauseWatch {
    pub(super) fn new(now: Time, clause: &Clause, limits: &Limits) -> Self {
        Self {
            slots: limits.concurrent.max(1),
            counts_again: !limits.windows.is_empty(),
            states: clause
                .when
                .iter()
                .map(|c| ConditionState::new(now, c))
                .collect(),
            series: None,
            acted: 0,
            files: 0,
            in_flight: 0,
            failures: 0,
            rest_until: Time::default(),
            was_skipped: false,
            turns: 0,
            last_suppressed: None,
        }
    }

    /// Whether the clause is so busy that its levels and timers are ignored: as many dumps as allowed are
    /// being written, or a series is running.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight >= self.slots || self.series.is_some()
    }

    /// Whether everything that the clause began has ended.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.series.is_none()
    }

    /// Whether no condition can be met any more: all are `now`, and were met.
    pub(super) fn can_never_act(&self, clause: &Clause) -> bool {
        let is_over = |(state, condition): (&ConditionState, &Condition)| {
            matches!(condition, Condition::Now)
                && matches!(state, ConditionState::Timer(Timer { due: None, .. }))
        };
        self.is_idle() && self.states.iter().zip(&clause.when).all(is_over)
    }

    /// The conditions made of levels, unless the clause is busy: each with its index, its state, the
    /// levels, and how long they have to hold.
    pub(super) fn levels<'a>(
        &'a mut self,
        clause: &'a Clause,
    ) -> impl Iterator<Item = (usize, &'a mut LevelState, &'a [Level], Duration)> {
        let busy = self.is_busy();
        let states = self.states.iter_mut().zip(&clause.when).enumerate();
        let states = states.filter(move |_| !busy);
        states.filter_map(|(index, (state, condition))| match (state, condition) {
            (ConditionState::Level(level), Condition::Holds { all, lasting }) => {
                Some((index, level, &all[..], *lasting))
            }
            _ => None,
        })
    }

    /// Begins anew after an action: levels have to hold again from `now` on, and periods begin at `now`. A level that
    /// has no duration must have stopped holding meanwhile, if the action has succeeded (`acted`).
    pub(super) fn restart(&mut self, now: Time, clause: &Clause, acted: bool) {
        let rest_until = self.rest_until;
        let spends = acted && !self.counts_again;
        for (state, condition) in self.states.iter_mut().zip(&clause.when) {
            match (state, condition) {
                (ConditionState::Level(level), Condition::Holds { all, lasting }) => {
                    let spent = spends && lasting.is_zero() && level.holds();
                    level.restart(now);
                    level.spent = spent;
                    level.starts_anew = !all.iter().all(is_rate);
                }
                (ConditionState::Timer(timer), Condition::Every(period)) => {
                    let due = now + (*period).max(SHORTEST_TIMER);
                    *timer = Timer::due_at(due.max(rest_until));
                }
                _ => {}
            }
        }
    }

    /// Whether this condition, which is met, does not count any more once the clause has acted for another one.
    pub(super) fn is_spent_with_others(&self, condition: &Condition) -> bool {
        matches!(condition, Condition::Holds { lasting, .. } if lasting.is_zero())
            && !self.counts_again
    }

    /// A condition has its turn.
    pub(super) fn takes_turn(&mut self, condition: usize) {
        self.turns += 1;
        if let Some(ConditionState::Level(level)) = self.states.get_mut(condition) {
            level.turn = self.turns;
        }
    }

    /// Takes in how an action ended. After a failure the clause pauses for 1 s, and twice as long after
    /// each further failure in a row, up to 300 s: a full disk must not stop the target again and again.
    ///
    /// After a dump that was not begun because of others that are copied, it pauses for 1 s each time: those are on their way.
    pub(super) fn action_ended(&mut self, now: Time, outcome: &Outcome) {
        const LONGEST: Duration = Duration::from_secs(300);
        self.was_skipped = *outcome == Outcome::Skipped;
        let pause = match outcome {
            Outcome::Written => {
                self.failures = 0;
                Duration::ZERO
            }
            Outcome::Skipped => Duration::from_secs(1),
            Outcome::Failed(_) | Outcome::Cancelled(_) => {
                self.failures += 1;
                Duration::from_secs(1 << (self.failures - 1).min(9)).min(LONGEST)
            }
        };
        self.rest_until = now + pause;
    }

    /// Why nothing is tried now, if the clause pauses.
    pub(super) fn pauses(&self, now: Time) -> Option<SuppressReason> {
        let left = self.rest_until.since(now);
        let why = match self.was_skipped {
            true => SuppressReason::Copying,
            false => SuppressReason::Resting,
        };
        (now < self.rest_until).then(|| why(left))
    }

    /// Sets the timer of the running series to its next action, or ends the series after its last one.
    pub(super) fn continue_series(&mut self, now: Time, clause: &Clause) {
        let (Some(running), Some(series)) = (&mut self.series, &clause.series) else {
            return;
        };
        let all = series
            .count
            .saturating_add(u32::from(series.then.is_some()));
        match running.taken < all {
            true => running.next = Timer::due_at(now + series.every.max(SHORTEST_TIMER)),
            false => self.series = None,
        }
    }

    /// Counts a trigger that did nothing. Returns how often that has happened in a row for this kind of
    /// reason, if it has to be reported: at the 1st, 10th, 100th … time.
    pub(super) fn count_suppressed(&mut self, why: SuppressReason) -> Option<u64> {
        let same =
            |last: &SuppressReason| std::mem::discriminant(last) == std::mem::discriminant(&why);
        let times = match &self.last_suppressed {
            Some((last, times)) if same(last) => times + 1,
            _ => 1,
        };
        self.last_suppressed = Some((why, times));
        let mut round = times;
        while round.is_multiple_of(10) {
            round /= 10;
        }
        (round == 1).then_some(times)
    }

    /// Begins to count suppressed triggers anew, because an action begins.
    pub(super) fn forget_suppressed(&mut self) {
        self.last_suppressed = None;
    }

    /// Lets the timers run on that waited for a dump to end.
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
                (ConditionState::Level(level), Condition::Holds { lasting, .. }) => {
                    level.deadline(*lasting)
                }
                (ConditionState::Timer(timer), _) => timer.deadline(),
                _ => None,
            });
        series.into_iter().chain(states)
    }

    fn timers_mut(&mut self) -> impl Iterator<Item = &mut Timer> {
        let series = self.series.as_mut().map(|series| &mut series.next);
        let states = self.states.iter_mut().filter_map(|state| match state {
            ConditionState::Timer(timer) => Some(timer),
            _ => None,
        });
        series.into_iter().chain(states)
    }
}

impl ConditionState {
    fn new(now: Time, condition: &Condition) -> Self {
        match condition {
            Condition::Holds { all, .. } => ConditionState::Level(LevelState {
                since: None,
                counts_from: now,
                is_waiting: false,
                may_act_at: None,
                starts_anew: false,
                spent: false,
                turn: 0,
                sample_requested: false,
                values: vec![f64::NAN; all.len()],
            }),
            Condition::Now | Condition::Every(_) => ConditionState::Timer(Timer::due_at(now)),
            _ => ConditionState::Event,
        }
    }
}

impl LevelState {
    /// Whether the levels held at the last sample.
    fn holds(&self) -> bool {
        self.since.is_some() || self.spent
    }

    /// Begins anew: the time before `now` does not count.
    pub(super) fn restart(&mut self, now: Time) {
        self.since = None;
        self.spent = false;
        self.counts_from = now;
        self.is_waiting = false;
        self.may_act_at = None;
        self.starts_anew = false;
        self.sample_requested = false;
    }

    /// The clause may not act yet, but at this time, if it is known.
    pub(super) fn waits(&mut self, may_act_at: Option<Time>) {
        self.is_waiting = true;
        self.may_act_at = may_act_at;
    }

    /// Takes a sample in. Returns the deadline if the sample made one. A level whose value is unknown
    /// does not hold.
    pub(super) fn update(
        &mut self,
        all: &[Level],
        lasting: Duration,
        sample: &Sample,
        cpu: &CpuRate,
        cpus: u32,
    ) -> Option<Time> {
        let mut start = Some(self.counts_from);
        for (level, value) in all.iter().zip(&mut self.values) {
            let read = reading(level, sample, cpu, cpus);
            *value = read.map_or(f64::NAN, |(value, _)| value);
            let since = read
                .filter(|(value, _)| level.holds(*value))
                .map(|(_, since)| since);
            start = start.zip(since).map(|(start, since)| start.max(since));
        }
        self.starts_anew = false;
        let before = self.deadline(lasting);
        self.sample_requested = false;
        match start {
            Some(_) if self.spent => {}
            Some(start) => self.since = self.since.or(Some(start)),
            None => self.restart(self.counts_from),
        }
        self.deadline(lasting).filter(|_| before.is_none())
    }

    /// Whether the levels have held for `lasting` at `now`.
    pub(super) fn has_held(&self, now: Time, lasting: Duration) -> bool {
        self.since.is_some_and(|since| now.since(since) >= lasting)
    }

    /// When a sample has to be requested: when the levels will have held for `lasting`, when the clause may act again for
    /// which they wait, or at once, where they begin to count anew. Returns `None` if the regular samples are enough, or if a
    /// sample was requested already.
    pub(super) fn deadline(&self, lasting: Duration) -> Option<Time> {
        let has_held_at = self.since.map(|since| since + lasting);
        let begins = self.starts_anew.then_some(self.counts_from);
        match self.is_waiting {
            _ if self.sample_requested => None,
            true => self.may_act_at,
            false => has_held_at.or(begins).filter(|_| !lasting.is_zero()),
        }
    }
}

/// Whether a level is measured between two samples.
fn is_rate(level: &Level) -> bool {
    matches!(level, Level::Compare { gauge, .. }
        if matches!(gauge, Gauge::Cpu | Gauge::CoreCpu | Gauge::CpuOfLimit))
}

/// The value of a level in its own unit, and the time from which it is known to have had it: a rate was
/// measured over the time since the sample before. Returns `None` if the value is unknown.
fn reading(level: &Level, sample: &Sample, cpu: &CpuRate, cpus: u32) -> Option<(f64, Time)> {
    let gauge = match level {
        Level::Compare { gauge, .. } => Some(gauge),
        _ => None,
    };
    match gauge {
        // A sample without CPU time leaves the last rate standing, but it proves nothing now.
        Some(Gauge::Cpu | Gauge::CoreCpu | Gauge::CpuOfLimit) if sample.cpu.is_none() => None,
        Some(Gauge::Cpu) => percent_of(f64::from(cpus), cpu),
        Some(Gauge::CoreCpu) => percent_of(1.0, cpu),
        Some(Gauge::CpuOfLimit) => percent_of(sample.value(&Measure::CpuLimit)?, cpu),
        Some(Gauge::MemoryOfLimit) => {
            Some((sample.value(&Measure::MemoryOfLimit)? * 100.0, sample.at))
        }
        _ => Some((sample.value(level.measures().first()?)?, sample.at)),
    }
}

/// The rate as a percentage of so many processors.
fn percent_of(processors: f64, cpu: &CpuRate) -> Option<(f64, Time)> {
    let (used, since) = cpu.current()?;
    Some((used * 100.0 / processors, since))
}
