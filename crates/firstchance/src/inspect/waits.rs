//! What threads wait for, in words.

use super::names::called;
use super::open::Walked;
use super::page::Page;
use crate::ui::console;
use analysis::waits::{Cycle, On, Wait, cycles};
use snapshot::{Handle, Snapshot};
use std::time::Duration;

/// Lines of the summary about threads that wait for others, at most.
const MOST: usize = 10;

/// Adds circles of threads that wait for each other, and who waits for whom else.
pub(super) fn write(page: &mut Page, snapshot: &Snapshot, walked: &Walked) {
    let cycles = cycles(&walked.waits);
    let is_in_one = |wait: &Wait| {
        let mut all = cycles.iter().flatten();
        all.any(|of| of.thread == wait.thread)
    };
    page.paragraph(
        "Deadlock",
        &cycles
            .iter()
            .map(|cycle| circle(snapshot, walked, cycle))
            .collect::<Vec<_>>(),
    );
    let others = walked
        .waits
        .iter()
        .filter(|wait| wait.owner().is_some() && !is_in_one(wait));
    let mut lines: Vec<String> = others
        .map(|wait| {
            let who = named(snapshot, walked, wait.thread);
            format!("{who} {}", sentence(snapshot, walked, wait))
        })
        .collect();
    let left = lines.len().saturating_sub(MOST);
    lines.truncate(MOST);
    if left > 0 {
        lines.push(format!("… and {left} more"));
    }
    page.paragraph("Waits", &lines);
}

/// What a thread waits for: "waits for mutex orders, which thread 4712 "b" has".
pub(super) fn sentence(snapshot: &Snapshot, walked: &Walked, wait: &Wait) -> String {
    let timeout = wait.timeout.map_or(String::new(), |nanoseconds| {
        format!(
            ", {} at most",
            console::duration(Duration::from_nanos(nanoseconds))
        )
    });
    let place = |address| walked.place(address);
    let what = match wait.on {
        On::Lock(lock) => {
            let owner = match lock.owner {
                None => String::new(),
                Some(owner) if owner == wait.thread => ", which it has itself".to_owned(),
                Some(owner) => format!(", which {} has", named(snapshot, walked, owner)),
            };
            format!("for the {} {}{owner}", lock.kind, place(lock.address))
        }
        On::End { thread } => format!("for the end of {}", named(snapshot, walked, thread)),
        On::Condition(address) => format!("for the condition {}", place(address)),
        On::Semaphore(address) => format!("for the semaphore {}", place(address)),
        On::Notification(address) => format!("to be notified of {}", place(address)),
        On::Object(address) => format!("for {}", place(address)),
        On::Futex(address) => format!("for a change of {}", place(address)),
        On::Descriptor { number, what } => {
            format!("to {what} {}", descriptor(&snapshot.handles, number))
        }
        On::Several(call) => format!("in {call}"),
        On::Child => "for a child".to_owned(),
        On::Sleep => "for time to pass".to_owned(),
        On::Signal => "for a signal".to_owned(),
    };
    format!("waits {what}{timeout}")
}

/// `deadlock: thread 4711 "a" → orders → thread 4712 "b" → customers → thread 4711 "a"`.
pub(super) fn circle(snapshot: &Snapshot, walked: &Walked, cycle: &Cycle) -> String {
    let mut text = String::new();
    for wait in cycle {
        let what = match wait.on {
            On::Lock(lock) => walked.place(lock.address),
            _ => "its end".to_owned(),
        };
        text += &format!("{} → {what} → ", named(snapshot, walked, wait.thread));
    }
    let first = cycle.first().map_or(0, |wait| wait.thread);
    text + &named(snapshot, walked, first)
}

pub(super) fn named(snapshot: &Snapshot, walked: &Walked, id: u32) -> String {
    let thread = snapshot.threads.iter().find(|thread| thread.id == id);
    called(id, thread.map_or("", |thread| walked.name_of(thread)))
}

/// The descriptor, and what it is of.
fn descriptor(handles: &[Handle], number: u32) -> String {
    let handle = handles
        .iter()
        .find(|handle| handle.number == u64::from(number));
    match handle.map(|handle| &handle.name[..]) {
        None | Some("") => format!("descriptor {number}"),
        Some(name) => format!("descriptor {number} ({name})"),
    }
}
