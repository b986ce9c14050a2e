//! The threads that have used the processors most.

use super::page::Page;
use super::waits::named;
use crate::ui::console;
use snapshot::{Snapshot, Thread};
use std::time::Duration;

/// Threads that are shown, at most.
const MOST: usize = 5;
/// Threads with a smaller part of all that was used, in percent, are not shown.
const LEAST_PERCENT: u128 = 10;
/// Where less was used than this by all of them, nobody is busy.
const LEAST: Duration = Duration::from_millis(200);

/// Adds who has used the processors since it started.
pub(super) fn write(page: &mut Page, snapshot: &Snapshot) {
    let mut times: Vec<(Duration, &Thread)> = snapshot
        .threads
        .iter()
        .map(|thread| (used(thread), thread))
        .collect();
    let all: Duration = times.iter().map(|(time, _)| *time).sum();
    if all < LEAST || times.len() < 2 {
        return;
    }
    times.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let percent = |time: Duration| time.as_nanos() * 100 / all.as_nanos();
    let busy = times
        .iter()
        .filter(|(time, _)| percent(*time) >= LEAST_PERCENT);
    let lines: Vec<String> = busy
        .take(MOST)
        .map(|(time, thread)| {
            let (who, time) = (
                named(snapshot, thread.id),
                (console::duration(*time), percent(*time)),
            );
            format!(
                "{who} has used {}, {}% of what its threads have used",
                time.0, time.1
            )
        })
        .collect();
    page.paragraph("Processor", &lines);
}

fn used(thread: &Thread) -> Duration {
    thread.user_time.saturating_add(thread.kernel_time)
}
