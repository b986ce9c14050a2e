//! The goroutines of a Go program, as text and in JSON.

use super::frames::show_stack;
use super::lines::{LONGEST_NAME, Places, source};
use super::open::{Opened, Walked};
use super::page::Page;
use super::wire_frames::{FrameWire, frames};
use crate::ui::console;
use analysis::{Creator, End, Go, Goroutine, Line, Stack};
use policy::print_count;
use serde::Serialize;
use std::collections::HashMap;
use std::time::Duration;

/// Frames of each group but the first in the summary.
const GROUP_FRAMES: usize = 10;

/// Numbers of goroutines in the heading of a group in the summary.
const NUMBERS: usize = 8;

/// Times to wait that are shorter are not told, as in Go's own tracebacks.
const SHORTEST_WAIT: Duration = Duration::from_mins(1);

/// Goroutines that are at the same place, for the same reason, and made at the same place.
pub(super) struct Group<'a> {
    pub(super) goroutines: Vec<&'a Goroutine>,
    pub(super) stack: Option<&'a Stack>,
}

/// Adds the goroutines in at most `most` groups, without those of the runtime; all of them if that is `None`.
pub(super) fn write(
    page: &mut Page,
    opened: &Opened,
    walked: &Walked,
    frames: Option<usize>,
    most: Option<usize>,
) {
    let Some(go) = walked
        .languages
        .go
        .as_ref()
        .filter(|go| !go.goroutines.is_empty())
    else {
        return;
    };
    let groups = groups(go, most.is_none());
    let count = count(opened, go, &groups, most.is_some());
    page.paragraph("Goroutines", &[count]);
    let limit = |at| match (frames, most) {
        (Some(limit), _) => limit,
        (None, Some(_)) if at > 0 => GROUP_FRAMES,
        _ => usize::MAX,
    };
    let shown = || groups.iter().take(most.unwrap_or(usize::MAX)).enumerate();
    let stacks = shown().filter_map(|(at, group)| Some((group.stack?, limit(at))));
    let places = Places::of(walked, stacks);
    for (at, group) in shown() {
        show(
            page,
            opened,
            walked,
            group,
            &places,
            limit(at),
            most.is_some(),
        );
    }
    let left = groups.iter().skip(shown().count());
    let left: usize = left.map(|group| group.goroutines.len()).sum();
    if left > 0 {
        page.gap();
        let more = print_count(left as u64, "more goroutine");
        page.faint_end(&format!("  … {more}"), &opened.hint("threads"));
    }
}

/// How many goroutines there are, and at how many different places; those of the runtime apart if it `is_short`.
pub(super) fn count(opened: &Opened, go: &Go, groups: &[Group], is_short: bool) -> String {
    let shown: usize = groups.iter().map(|group| group.goroutines.len()).sum();
    let places = match groups.len() {
        count if count == shown => String::new(),
        count => format!(", at {}", print_count(count as u64, "different place")),
    };
    let hidden = go.goroutines.len() - shown;
    let hidden = match hidden {
        0 => String::new(),
        count => format!(" (and {count} of the runtime){}", opened.hint("threads")),
    };
    let hidden = if is_short { hidden } else { String::new() };
    format!("{shown}{places}{hidden}")
}

/// The groups: that of the first goroutine, then those that run, then the largest.
pub(super) fn groups(go: &Go, with_runtime: bool) -> Vec<Group<'_>> {
    let mut numbers = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for goroutine in &go.goroutines {
        if goroutine.is_of_runtime && !with_runtime {
            continue;
        }
        let creator = goroutine.creator.as_ref().map(|c| (&c.function, c.line));
        let key = (goroutine.stack, goroutine.state, &goroutine.reason, creator);
        let number = *numbers.entry(key).or_insert_with(|| {
            groups.push(Group {
                goroutines: Vec::new(),
                stack: goroutine.stack.and_then(|number| go.stacks.get(number)),
            });
            groups.len() - 1
        });
        groups[number].goroutines.push(goroutine);
    }
    if let Some(others) = groups.get_mut(1..) {
        let is_busy = |group: &Group| group.goroutines.iter().any(|g| g.state == "running");
        others.sort_by_key(|group| std::cmp::Reverse((is_busy(group), group.goroutines.len())));
    }
    groups
}

fn show(
    page: &mut Page,
    opened: &Opened,
    walked: &Walked,
    group: &Group,
    places: &Places,
    limit: usize,
    is_short: bool,
) {
    page.gap();
    page.line(&format!("  {}", title(opened, group, is_short)));
    if let Some(stack) = group.stack {
        show_stack(page, walked, stack, places, limit);
    }
    let creator = group.goroutines.first().and_then(|g| g.creator.as_ref());
    if let Some(creator) = creator {
        page.line(&format!(
            "        {}",
            made(creator, group.goroutines.len() == 1)
        ));
    }
}

/// `Goroutine 18 · waiting: chan receive · for 5:02`, or `20 goroutines · waiting: chan receive: 18, 19 …`.
pub(super) fn title(opened: &Opened, group: &Group, is_short: bool) -> String {
    let Some(first) = group.goroutines.first() else {
        return String::new();
    };
    let state = match &first.reason {
        Some(reason) => format!("{}: {reason}", first.state),
        None => first.state.to_owned(),
    };
    if let [only] = group.goroutines[..] {
        let waited = waited(opened, only).map(|time| format!(" · for {}", console::duration(time)));
        let thread = only.thread.map(|thread| format!(" · on thread {thread}"));
        let facts = [waited, thread].into_iter().flatten().collect::<String>();
        return format!("Goroutine {} · {state}{facts}", only.id);
    }
    let count = group.goroutines.len();
    let most = if is_short { NUMBERS } else { usize::MAX };
    let ids = group.goroutines.iter().take(most);
    let ids: Vec<String> = ids.map(|goroutine| goroutine.id.to_string()).collect();
    let more = if count > ids.len() { " …" } else { "" };
    format!("{count} goroutines · {state}: {}{more}", ids.join(", "))
}

/// How long it has waited, if that is long.
fn waited(opened: &Opened, goroutine: &Goroutine) -> Option<Duration> {
    let uptime = opened.dump.snapshot.system.uptime;
    let waited = uptime.checked_sub(Duration::from_nanos(goroutine.since?))?;
    (waited >= SHORTEST_WAIT).then_some(waited)
}

/// `created by main.serve  (shop.go:31) in goroutine 1`.
pub(super) fn made(creator: &Creator, with_goroutine: bool) -> String {
    let line = Line {
        function: None,
        file: creator.file.clone(),
        line: creator.line,
    };
    let parent = creator.goroutine.filter(|_| with_goroutine);
    let parent = parent.map_or(String::new(), |id| format!(" in goroutine {id}"));
    let function = console::cut(&creator.function, LONGEST_NAME);
    format!("created by {function}{}{parent}", source(&line))
}

/// A goroutine, in JSON.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) struct GoroutineWire<'a> {
    id: u64,
    state: &'static str,
    /// What it waits for, in the words of Go's runtime.
    reason: Option<&'a str>,
    /// Since when it waits, in nanoseconds after the start of the system.
    since: Option<u64>,
    /// The thread that runs it.
    thread: Option<u32>,
    /// Whether the runtime made it for itself.
    of_runtime: bool,
    creator: Option<CreatorWire<'a>>,
    frames: Vec<FrameWire<'a>>,
    /// Whether the stack was walked to the goroutine's first function.
    whole: bool,
    end: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct CreatorWire<'a> {
    function: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
    goroutine: Option<u64>,
}

/// The different stacks of goroutines.
pub(super) fn stacks<'a>(walked: &'a Walked) -> impl Iterator<Item = &'a Stack> {
    walked.languages.go.iter().flat_map(|go| &go.stacks)
}

/// All goroutines, with at most `limit` frames each.
pub(super) fn wire<'a>(
    walked: &'a Walked,
    places: &'a Places,
    limit: usize,
) -> Vec<GoroutineWire<'a>> {
    let Some(go) = &walked.languages.go else {
        return Vec::new();
    };
    let stack = |goroutine: &Goroutine| go.stacks.get(goroutine.stack?);
    let wire = |goroutine: &'a Goroutine| GoroutineWire {
        id: goroutine.id,
        state: goroutine.state,
        reason: goroutine.reason.as_deref(),
        since: goroutine.since,
        thread: goroutine.thread,
        of_runtime: goroutine.is_of_runtime,
        creator: goroutine.creator.as_ref().map(creator),
        frames: stack(goroutine).map_or_else(Vec::new, |s| frames(walked, s, places, limit)),
        whole: stack(goroutine).is_some_and(|s| s.end == End::Root),
        end: stack(goroutine).map_or_else(String::new, |s| s.end.to_string()),
    };
    go.goroutines.iter().map(wire).collect()
}

fn creator(creator: &Creator) -> CreatorWire<'_> {
    CreatorWire {
        function: &creator.function,
        file: creator.file.as_deref(),
        line: creator.line,
        goroutine: creator.goroutine,
    }
}
