//! Threads and goroutines, grouped by their stacks.

use super::blocks::{all, markup};
use super::written;
use crate::inspect::frames::show_stack;
use crate::inspect::goroutines;
use crate::inspect::groups::{Group, groups};
use crate::inspect::lines::Places;
use crate::inspect::names::quoted;
use crate::inspect::open::{Opened, Walked};
use crate::inspect::threads::{count, doubts, show_registers, title};
use analysis::Stack;
use maud::{Markup, html};
use pages::Text;
use policy::print_count;
use snapshot::Thread;

/// Groups of threads, and of goroutines, that are shown, at most.
const MOST_GROUPS: usize = 500;
/// Frames of one stack, at most.
const MOST_FRAMES: usize = 1000;
/// Lines of all stacks, at most.
const MOST_LINES: usize = 30_000;
/// Threads that are named in the title of a group.
const NAMES: usize = 8;
/// Threads that are named in a group, at most.
const MOST_NAMES: usize = 5000;

/// The id of the place on the page that tells of a thread.
pub(super) fn id(thread: u32) -> String {
    format!("thread-{thread}")
}

/// How much of stacks still has room on the page.
struct Room {
    lines: usize,
    limit: usize,
}

/// The stacks of all threads and goroutines, first of the threads that are `remarkable`.
pub(super) fn shown(
    opened: &Opened,
    walked: &Walked,
    remarkable: &[u32],
    frames: Option<usize>,
) -> Markup {
    let groups = groups(&walked.threads, remarkable);
    let limit = frames.unwrap_or(MOST_FRAMES).min(MOST_FRAMES);
    let shown = || groups.iter().take(MOST_GROUPS);
    let goroutines = goroutine_groups(walked);
    let stacks = shown().map(|group| group.stack);
    let stacks = stacks.chain(
        goroutines
            .iter()
            .take(MOST_GROUPS)
            .filter_map(|group| group.stack),
    );
    let places = Places::of(walked, stacks.map(|stack| (stack, limit)));
    let mut room = Room {
        lines: MOST_LINES,
        limit,
    };
    let left = groups.iter().skip(MOST_GROUPS);
    let left = left.map(|group| group.threads.len()).sum();
    html! {
        h3 { "Stacks: " (count(walked, &groups)) }
        (tools())
        @for (number, group) in shown().enumerate() {
            (thread_group(opened, walked, group, number == 0, &places, &mut room))
        }
        (more(left, "thread", opened))
        (self::goroutines(opened, walked, &goroutines, &places, &mut room))
        (registers(opened))
        (markup(written(|page| doubts(page, walked, &places))))
    }
}

/// What the script of the page shows and uses.
fn tools() -> Markup {
    html! {
        div.tools #tools hidden {
            input #filter type="search" placeholder="Filter stacks" aria-label="Filter stacks";
            button #open-all type="button" { "Open all" }
            button #close-all type="button" { "Close all" }
            span.faint #filtered role="status" {}
        }
    }
}

fn thread_group(
    opened: &Opened,
    walked: &Walked,
    group: &Group,
    is_open: bool,
    places: &Places,
    room: &mut Room,
) -> Markup {
    let title = title(&opened.dump.snapshot, walked, group, NAMES);
    html! {
        details.stack open[is_open] {
            summary { (Text(&title)) }
            (names(walked, &group.threads))
            (stack(walked, group.stack, places, room))
        }
    }
}

/// The threads of a group, as places to which links lead; a browser opens what is around such a place.
fn names(walked: &Walked, threads: &[&Thread]) -> Markup {
    let left = threads.len().saturating_sub(MOST_NAMES);
    let is_told = threads.len() > NAMES;
    html! {
        p.faint {
            @for thread in threads.iter().take(MOST_NAMES) {
                span id=(id(thread.id)) { @if is_told { (thread.id) (Text(&quoted(walked.name_of(thread)))) " " } }
            }
            @if left > 0 { "… and " (left) " more" }
        }
    }
}

fn stack(walked: &Walked, stack: &Stack, places: &Places, room: &mut Room) -> Markup {
    let lines = written(|page| show_stack(page, walked, stack, places, room.limit)).blocks();
    let shown = lines.len().min(room.lines);
    room.lines -= shown;
    let left = lines.len() - shown;
    html! {
        (all(&lines[..shown]))
        @if left > 0 { p.faint { "… " (left) " more lines: the page has no room for more stacks" } }
    }
}

fn goroutine_groups<'a>(walked: &'a Walked) -> Vec<goroutines::Group<'a>> {
    let go = walked.languages.go.as_ref();
    go.map_or_else(Vec::new, |go| goroutines::groups(go, true))
}

fn goroutines(
    opened: &Opened,
    walked: &Walked,
    groups: &[goroutines::Group],
    places: &Places,
    room: &mut Room,
) -> Markup {
    let Some(go) = walked.languages.go.as_ref().filter(|_| !groups.is_empty()) else {
        return html! {};
    };
    let left = groups.iter().skip(MOST_GROUPS);
    let left = left.map(|group| group.goroutines.len()).sum();
    html! {
        h3 { "Goroutines: " (goroutines::count(opened, go, groups, false)) }
        @for group in groups.iter().take(MOST_GROUPS) { (goroutine_group(opened, walked, group, places, room)) }
        (more(left, "goroutine", opened))
    }
}

/// Those for which there is no room, and the command that shows them.
fn more(left: usize, what: &str, opened: &Opened) -> Markup {
    let told = print_count(left as u64, &format!("more {what}"));
    html! {
        @if left > 0 { p.faint { "… " (told) ": " code { (Text(opened.hint("threads").trim())) } } }
    }
}

fn goroutine_group(
    opened: &Opened,
    walked: &Walked,
    group: &goroutines::Group,
    places: &Places,
    room: &mut Room,
) -> Markup {
    let first = group.goroutines.first();
    let creator = first.and_then(|goroutine| goroutine.creator.as_ref());
    let is_one = group.goroutines.len() == 1;
    html! {
        details.stack {
            summary { (Text(&goroutines::title(opened, group, true))) }
            @if let Some(stack) = group.stack { (self::stack(walked, stack, places, room)) }
            @if let Some(creator) = creator { p.faint { (Text(&goroutines::made(creator, is_one))) } }
        }
    }
}

/// The registers of the first thread, which is the one that failed.
fn registers(opened: &Opened) -> Markup {
    let first = opened.dump.snapshot.threads.first();
    let registers = first.and_then(|first| Some((first, first.registers.as_ref()?)));
    html! {
        @if let Some((first, registers)) = registers {
            details {
                summary { "Registers of thread " (first.id) }
                (markup(written(|page| show_registers(page, registers))))
            }
        }
    }
}
