//! The threads that have used the processors most.

use super::open::Walked;
use super::page::Page;
use super::waits::named;
use crate::ui::console;
use collector::{BusyThread, Record};
use snapshot::{Snapshot, Thread};
use std::time::Duration;

/// Threads that are shown, at most.
const MOST: usize = 5;
/// Threads with a smaller part of all that was used, in percent, are not shown.
const LEAST_PERCENT: u128 = 10;
/// Threads that have used less of one processor just before the dump are not shown, in percent.
const LEAST_JUST_BEFORE: u128 = 2;
/// Where less was used than this by all of them, nobody is busy.
const LEAST: Duration = Duration::from_millis(200);

/// A thread that has used the processors.
pub(super) struct Busy {
    pub(super) thread: u32,
    /// Which part of one processor it has used just before the dump, or of what all threads have used, in percent.
    pub(super) percent: u128,
    /// How much, behind its name.
    pub(super) text: String,
}

impl Busy {
    /// `thread 7 "hot" has used 9.8 s in the 10 s before the dump (98%)`.
    pub(super) fn sentence(&self, snapshot: &Snapshot, walked: &Walked) -> String {
        format!("{} {}", named(snapshot, walked, self.thread), self.text)
    }
}

/// Adds who has used the processors just before the dump, as far as its record tells, and since the process began.
pub(super) fn write(
    page: &mut Page,
    snapshot: &Snapshot,
    walked: &Walked,
    record: Option<&Record>,
) {
    let busy = busiest(snapshot, record);
    let lines: Vec<String> = busy
        .iter()
        .map(|busy| busy.sentence(snapshot, walked))
        .collect();
    page.paragraph("Processor", &lines);
}

/// Who has used the processors just before the dump, as far as its record tells, and then who has since the process began; the busiest
/// first. None if nobody is busy.
pub(super) fn busiest(snapshot: &Snapshot, record: Option<&Record>) -> Vec<Busy> {
    let mut busy = record.map_or_else(Vec::new, just_before);
    busy.extend(since_start(snapshot));
    busy
}

fn just_before(record: &Record) -> Vec<Busy> {
    let over = Duration::from_millis(record.busiest_over_ms);
    let percent = |busy: &BusyThread| {
        let used = u128::from(busy.used_ms) * 100;
        used.checked_div(over.as_millis()).unwrap_or(0)
    };
    let busy = record
        .busiest
        .iter()
        .filter(|busy| percent(busy) >= LEAST_JUST_BEFORE);
    let told = |busy: &BusyThread| {
        let used = console::duration(Duration::from_millis(busy.used_ms));
        let (over, percent) = (console::duration(over), percent(busy));
        Busy {
            thread: busy.thread,
            percent,
            text: format!("has used {used} in the {over} before the dump ({percent}%)"),
        }
    };
    busy.take(MOST).map(told).collect()
}

fn since_start(snapshot: &Snapshot) -> Vec<Busy> {
    let threads = snapshot.threads.iter();
    let mut times: Vec<(Duration, &Thread)> =
        threads.map(|thread| (thread.used_time(), thread)).collect();
    let times_only = times.iter().map(|(time, _)| *time);
    let all = times_only.fold(Duration::ZERO, Duration::saturating_add);
    if all < LEAST || times.len() < 2 {
        return Vec::new();
    }
    times.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let percent = |time: Duration| time.as_nanos() * 100 / all.as_nanos();
    let busy = times
        .iter()
        .filter(|(time, _)| percent(*time) >= LEAST_PERCENT);
    let told = |(time, thread): &(Duration, &Thread)| {
        let (used, percent) = (console::duration(*time), percent(*time));
        Busy {
            thread: thread.id,
            percent,
            text: format!("has used {used}, {percent}% of what its threads have used"),
        }
    };
    busy.take(MOST).map(told).collect()
}
