//! The verdict on a dump of a process that lives on, or that has ended by itself.

use super::super::open::{Opened, Walked};
use super::super::waits::{circle, named};
use super::super::{busiest, languages, lines};
use super::{Kind, Verdict, place};
use crate::ui::console;
use analysis::waits::{Cycle, On, Wait, cycles};
use policy::print_count;
use std::collections::BTreeMap;

/// The verdict on a dump without an exception.
pub(super) fn verdict(opened: &Opened, walked: &Walked) -> Verdict {
    let record = opened.record.as_ref();
    let (trigger, reason) =
        record.map_or(("", ""), |record| (&record.trigger[..], &record.reason[..]));
    let cycles = cycles(&walked.waits);
    match trigger {
        "cpu" => cpu(opened, walked, reason, told(opened, walked, &cycles)),
        _ if !cycles.is_empty() => deadlock(told(opened, walked, &cycles), &cycles),
        "memory" => memory(opened, reason),
        "exit" => ended(reason),
        "hang" | "http" => silent(opened, walked, reason),
        "manual" => on_demand(opened, walked),
        "" => unknown(opened, walked),
        _ => condition(opened, walked, reason),
    }
}

/// Circles of threads, in words.
fn told(opened: &Opened, walked: &Walked, cycles: &[Cycle]) -> Vec<String> {
    let snapshot = &opened.dump.snapshot;
    let told = cycles.iter().map(|cycle| circle(snapshot, walked, cycle));
    told.collect()
}

fn deadlock(circles: Vec<String>, cycles: &[Cycle]) -> Verdict {
    let first = &cycles[0][..];
    let has_end = first.iter().any(|wait| matches!(wait.on, On::End { .. }));
    let next = match first {
        [_] => {
            "the stack of that thread: it takes a lock that it has already; in a handler of signals, none may be taken that the interrupted code may have"
        }
        _ if has_end => {
            "the thread that waits for the end of another one: it has to let go of its lock before"
        }
        _ => {
            "the stacks of these threads: each shows which lock it takes while it has the other; take them in one order everywhere"
        }
    };
    Verdict {
        kind: Kind::Hang,
        text: format!(
            "Deadlock: {}. None of these threads will ever go on.",
            circles.first().cloned().unwrap_or_default()
        ),
        facts: circles
            .into_iter()
            .skip(1)
            .map(|circle| format!("Another one: {circle}"))
            .collect(),
        next: next.to_owned(),
        threads: cycles.iter().flatten().map(|wait| wait.thread).collect(),
    }
}

fn cpu(opened: &Opened, walked: &Walked, reason: &str, circles: Vec<String>) -> Verdict {
    let snapshot = &opened.dump.snapshot;
    let hot = busiest::busiest(snapshot, opened.record.as_ref());
    let told = hot.first().map(|busy| {
        let inside = inside(walked, busy.thread);
        format!(" {}{inside}.", busy.sentence(snapshot, walked))
    });
    let (told, look_at) = match told {
        Some(told) => (told, "the stack of that thread"),
        None => (
            " No single thread stands out.".to_owned(),
            "the stacks of the threads that run",
        ),
    };
    Verdict {
        kind: Kind::Cpu,
        text: format!("The process used much CPU time ({reason}).{told}"),
        facts: circles
            .into_iter()
            .map(|circle| format!("Beside that, a deadlock: {circle}"))
            .collect(),
        next: format!(
            "{look_at}, in several dumps one after the other (-n 3): what stays the same is the loop"
        ),
        threads: hot.iter().take(1).map(|busy| busy.thread).collect(),
    }
}

/// `; it is in app!work+0x10`, with the function of a language for which that is, if there is one: `, for spin  (app.py:12)`.
fn inside(walked: &Walked, thread: u32) -> String {
    let mut threads = walked.threads.iter();
    let stack = threads.find(|(other, _)| other.id == thread);
    let frames = stack.map_or(&[][..], |(_, stack)| &stack.frames);
    let Some(first) = frames.first() else {
        return String::new();
    };
    let mut interpreted = frames.iter().filter(|frame| lines::place(frame).is_none());
    let function = interpreted.find_map(|frame| frame.language.first());
    let function = function.map_or(String::new(), |function| {
        format!(", for {}", languages::told(function))
    });
    format!("; it is in {}{function}", place(first))
}

fn memory(opened: &Opened, reason: &str) -> Verdict {
    let mut sizes = analysis::memory_summary(&opened.dump.snapshot, &opened.dump.ranges);
    sizes.sort_by_key(|size| std::cmp::Reverse(size.resident_bytes));
    let all: u64 = sizes
        .iter()
        .map(|size| size.resident_bytes)
        .fold(0, u64::saturating_add);
    let most = sizes.first().map_or(String::new(), |size| {
        let part = u128::from(size.resident_bytes) * 100 / u128::from(all.max(1));
        format!(
            " Most of it is {}: {}, {part}% of what is resident.",
            size.class,
            console::size(size.resident_bytes)
        )
    });
    Verdict {
        kind: Kind::Memory,
        text: format!("The process used much memory ({reason}).{most}"),
        facts: Vec::new(),
        next: format!("its regions by size:{}", opened.hint("memory")),
        threads: Vec::new(),
    }
}

fn ended(reason: &str) -> Verdict {
    Verdict {
        kind: Kind::Exit,
        text: format!("Taken when the process ended ({reason})."),
        facts: Vec::new(),
        next: "the stack of the first thread: who ended the program".to_owned(),
        threads: Vec::new(),
    }
}

fn silent(opened: &Opened, walked: &Walked, reason: &str) -> Verdict {
    Verdict {
        kind: Kind::Hang,
        text: format!("The process did not answer ({reason})."),
        facts: remarks(opened, walked).0,
        next: "what the first thread waits for, and who has it".to_owned(),
        threads: Vec::new(),
    }
}

fn condition(opened: &Opened, walked: &Walked, reason: &str) -> Verdict {
    let (facts, threads) = remarks(opened, walked);
    Verdict {
        kind: Kind::Condition,
        text: format!("Taken because a condition was met ({reason})."),
        facts,
        next: String::new(),
        threads,
    }
}

fn on_demand(opened: &Opened, walked: &Walked) -> Verdict {
    let (facts, threads) = remarks(opened, walked);
    let nothing = match facts.is_empty() {
        true => " and nothing in it is remarkable",
        false => "",
    };
    Verdict {
        kind: Kind::OnDemand,
        text: format!("Taken on demand: the dump tells of no fault{nothing}."),
        facts,
        next: String::new(),
        threads,
    }
}

/// Of a dump that does not say why it was taken, as it has no record of ours. One without threads is most likely cut off.
fn unknown(opened: &Opened, walked: &Walked) -> Verdict {
    let of_demand = on_demand(opened, walked);
    if !walked.threads.is_empty() {
        return of_demand;
    }
    let first = opened.warnings().into_iter().next();
    let why = first.map_or_else(String::new, |warning| format!(": {warning}"));
    Verdict {
        text: format!("The file has no threads, so that nothing can be said of the process{why}."),
        next: "the warnings below; whether the file was copied as a whole".to_owned(),
        ..of_demand
    }
}

/// A thread that has used more than this part of all CPU time is told, in percent.
const MUCH: u128 = 80;
/// So many threads that wait for what one thread has are told.
const MANY: usize = 2;

/// What may be of interest where nothing is known to be wrong, and the threads of which that tells.
fn remarks(opened: &Opened, walked: &Walked) -> (Vec<String>, Vec<u32>) {
    let snapshot = &opened.dump.snapshot;
    let hot = busiest::busiest(snapshot, opened.record.as_ref());
    let hot = hot.into_iter().take(1).filter(|busy| busy.percent >= MUCH);
    let hot = hot.map(|busy| {
        let inside = inside(walked, busy.thread);
        let told = format!("{}{inside}.", busy.sentence(snapshot, walked));
        (told, busy.thread)
    });
    let mut waiting: BTreeMap<u32, usize> = BTreeMap::new();
    for owner in walked.waits.iter().filter_map(Wait::owner) {
        *waiting.entry(owner).or_default() += 1;
    }
    let worst = waiting.into_iter().max_by_key(|(_, count)| *count);
    let worst = worst
        .filter(|(_, count)| *count >= MANY)
        .map(|(owner, count)| {
            let waiters = print_count(count as u64, "thread");
            let owner_is = named(snapshot, walked, owner);
            (format!("{waiters} wait for {owner_is}."), owner)
        });
    hot.chain(worst).unzip()
}
