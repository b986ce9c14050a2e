//! What the threads of a series did, in lines.

use super::Series;
use crate::inspect::groups::{Group, groups};
use crate::inspect::names::{called, quoted};
use crate::inspect::waits;
use crate::ui::console;
use analysis::compare::{SeenThread, Stood};
use analysis::{Frame, Stack};
use policy::print_count;
use std::time::Duration;

/// Lines of a paragraph, at most.
const LINES: usize = 10;
/// Threads that are named in a line, at most.
const NAMES: usize = 8;
/// Frames in a line, at most.
const FRAMES: usize = 5;
/// Characters of the name of a function, at most.
const NAME: usize = 60;
/// A thread has worked if it has used so much of the time between the dumps, in percent.
const WORKED: u128 = 1;

/// The threads that have used the processors between the dumps, those first that have used most.
pub(super) fn processor(series: &Series) -> Vec<String> {
    let all = series.compared.threads.iter();
    let mut busy: Vec<&SeenThread> = all.filter(|thread| has_worked(series, thread)).collect();
    if busy.is_empty() {
        return vec!["no thread has worked between the dumps".to_owned()];
    }
    busy.sort_by_key(|thread| std::cmp::Reverse(thread.used_in_all()));
    let line = |thread: &&SeenThread| {
        let used = used(series, thread);
        let place = place_of(series, thread.id);
        format!("{} has used {used}{place}", called(thread.id, &thread.name))
    };
    cut(busy.iter().map(line).collect())
}

/// The threads whose stack is the same in all dumps since one, in groups with the same stack.
pub(super) fn stood(series: &Series) -> Vec<String> {
    let groups = groups(&series.last().1.threads, &[]);
    let lines = groups.iter().filter_map(|group| {
        let stands = |seen: &&SeenThread| matches!(seen.stood, Stood::Since(_));
        let seen = group.threads.iter();
        let mut standing: Vec<&SeenThread> = seen
            .filter_map(|thread| series.compared.thread(thread.id))
            .filter(stands)
            .collect();
        standing.sort_unstable_by_key(|seen| seen.id);
        standing_line(series, group, &standing)
    });
    cut(lines.collect())
}

/// The threads that are not in the first dump, by the dump that has them first.
pub(super) fn came(series: &Series) -> Vec<String> {
    let of = |at: usize| {
        let threads = series.compared.threads.iter();
        let threads = threads.filter(|thread| thread.first() == at);
        let who = names(&threads.collect::<Vec<_>>())?;
        Some(format!("{who} since dump {}", at + 1))
    };
    (1..series.dumps.len()).filter_map(of).collect()
}

/// The threads that are not in the last dump, by the dump that has them last.
pub(super) fn went(series: &Series) -> Vec<String> {
    let of = |at: usize| {
        let threads = series.compared.threads.iter();
        let threads = threads.filter(|thread| thread.last() == at);
        let who = names(&threads.collect::<Vec<_>>())?;
        Some(format!("{who} after dump {}", at + 1))
    };
    (0..series.dumps.len() - 1).filter_map(of).collect()
}

fn has_worked(series: &Series, thread: &SeenThread) -> bool {
    let intervals = series.intervals();
    let between: Duration = intervals[thread.first()..thread.last()].iter().sum();
    let used = thread.used_in_all();
    !used.is_zero() && used.as_nanos() * 100 >= between.as_nanos() * WORKED
}

/// `28 s of 30 s (93%), then 29 s of 30 s (97%)`.
fn used(series: &Series, thread: &SeenThread) -> String {
    let parts = thread.used_between();
    let parts = parts.iter().zip(series.intervals());
    let parts = parts.filter_map(|(used, interval)| Some(part((*used)?, interval)));
    parts.collect::<Vec<_>>().join(", then ")
}

fn part(used: Duration, of: Duration) -> String {
    let told = console::duration(used);
    match (used.as_nanos() * 100).checked_div(of.as_nanos()) {
        None => told,
        Some(percent) => format!("{told} of {} ({percent}%)", console::duration(of)),
    }
}

/// Where a thread is in the last dump, for the end of a line.
fn place_of(series: &Series, id: u32) -> String {
    let threads = &series.last().1.threads;
    let found = threads.iter().find(|(thread, _)| thread.id == id);
    let stack = found.map(|(_, stack)| stack);
    let stack = stack.filter(|stack| !stack.frames.is_empty());
    stack.map_or_else(String::new, |stack| format!(": {}", place(stack)))
}

/// `poll ← wait_for_request ← main`.
fn place(stack: &Stack) -> String {
    let name = |frame: &Frame| match &frame.symbol {
        Some(symbol) => console::cut(&symbol.name, NAME),
        None => frame.to_string(),
    };
    let frames = stack.frames.iter().take(FRAMES);
    let names: Vec<String> = frames.map(name).collect();
    let more = if stack.frames.len() > FRAMES {
        " ← …"
    } else {
        ""
    };
    names.join(" ← ") + more
}

/// Threads of one group that stand; `None` if there are none.
fn standing_line(series: &Series, group: &Group, standing: &[&SeenThread]) -> Option<String> {
    let who = names(standing)?;
    let is_in_all = standing.iter().all(|seen| seen.stood == Stood::Since(0));
    let when = if is_in_all {
        "in all dumps"
    } else {
        "in the last dumps"
    };
    let works = standing.iter().any(|seen| has_worked(series, seen));
    let works = if works {
        ", though it worked in between"
    } else {
        ""
    };
    let (last, walked) = series.last();
    let wait = group
        .threads
        .first()
        .and_then(|thread| walked.wait_of(thread));
    let wait = wait.filter(|_| standing.len() == 1);
    let wait = wait.map(|wait| format!(", {}", waits::sentence(&last.dump.snapshot, walked, wait)));
    let wait = wait.unwrap_or_default();
    Some(format!("{who} {when}{works}{wait}: {}", place(group.stack)))
}

/// `3 threads (4711, 4712 "a", …)`; `None` if there are none.
fn names(threads: &[&SeenThread]) -> Option<String> {
    if let [thread] = threads {
        return Some(called(thread.id, &thread.name));
    }
    let told = threads.iter().take(NAMES);
    let told: Vec<String> = told
        .map(|thread| format!("{}{}", thread.id, quoted(&thread.name)))
        .collect();
    let more = if threads.len() > NAMES { " …" } else { "" };
    let count = print_count(threads.len() as u64, "thread");
    (!threads.is_empty()).then(|| format!("{count} ({}{more})", told.join(", ")))
}

fn cut(mut lines: Vec<String>) -> Vec<String> {
    let left = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    lines.extend((left > 0).then(|| format!("… and {left} more")));
    lines
}
