//! One page of HTML about a dump, or about a series. The markup has no styles and no scripts in it ([`pages`]); the lines and tables
//! are those of the text, as they were added to a [`Page`].

mod blocks;
mod memory;
mod series;
mod threads;
mod waits;

#[cfg(test)]
mod tests;

use super::open::{Opened, Walked};
use super::page::{Block, Page};
use super::verdict::{self, Kind, Verdict};
use super::{Section, busiest, heap, sections, summary};
use blocks::{all, markup, texts};
use maud::{Markup, html};
use pages::{Column, Text, bar, section, table};
use std::path::Path;

pub(super) use series::page as series;

/// Where all is of what is shown in part.
const SEE_RECORD: &str = ": see Record";

/// The sections that are shown if none is asked for: the environment has secrets of the program, and pages are sent around.
const USUAL: [Section; 7] = [
    Section::Threads,
    Section::Memory,
    Section::Heap,
    Section::Modules,
    Section::Handles,
    Section::Process,
    Section::Record,
];

/// The page about a dump, with these sections; all but the environment if there are none. `frames` of each stack are shown, all if
/// it is `None`.
pub(super) fn dump(opened: &Opened, sections: &[Section], frames: Option<usize>) -> String {
    pages::document(&name(&opened.path), &body(opened, sections, frames))
}

/// What is on the page, for any page that has the stylesheet.
fn body(opened: &Opened, asked: &[Section], frames: Option<usize>) -> Markup {
    let walked = opened.walk();
    let verdict = verdict::verdict(opened, &walked);
    let all_threads = || all_threads(opened, &walked, &verdict.threads, frames);
    let shown = chosen(asked);
    let titles = ["Verdict", "Facts"].into_iter();
    let titles = titles.chain(shown.iter().map(|section| title(*section)));
    html! {
        header {
            h1 { (Text(&name(&opened.path))) }
            p.faint { (Text(&summary::title(opened))) }
            (contents(&titles.collect::<Vec<_>>()))
        }
        main {
            (markup(written(|page| summary::comments(page, opened, SEE_RECORD))))
            (self::verdict(&verdict))
            (section("facts", "Facts", &facts(opened)))
            @for section in &shown { (one(opened, *section, &all_threads)) }
            (footer())
        }
    }
}

/// The sections that are shown if these are asked for.
fn chosen(asked: &[Section]) -> Vec<Section> {
    match asked {
        [] => USUAL.to_vec(),
        asked if asked.contains(&Section::All) => [&USUAL[..], &[Section::Environment]].concat(),
        asked => asked.to_vec(),
    }
}

/// The name of a file, for headings.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The word for a section on the page, which is its id as well in lower case.
fn title(section: Section) -> &'static str {
    match section {
        Section::Threads => "Threads",
        Section::Modules => "Modules",
        Section::Memory => "Memory",
        Section::Heap => "Heap",
        Section::Handles => "Descriptors",
        Section::Process => "Process",
        Section::Environment => "Environment",
        Section::Record => "Record",
        Section::All => "All",
    }
}

/// Links to the sections with these titles.
fn contents(titles: &[&str]) -> Markup {
    html! {
        nav aria-label="Sections" { ul {
            @for title in titles { li { a href=(format!("#{}", title.to_lowercase())) { (title) } } }
        } }
    }
}

fn footer() -> Markup {
    html! {
        footer { p.faint {
            "Made by firstchance " (env!("CARGO_PKG_VERSION")) ". This page holds what was in the memory of a program: treat it as a secret."
        } }
    }
}

fn verdict(verdict: &Verdict) -> Markup {
    let is_alarm = matches!(verdict.kind, Kind::Crash | Kind::Exception | Kind::Hang);
    html! {
        section.verdict.alarm[is_alarm] id="verdict" {
            h2 { "Verdict " span.badge { (verdict.kind.word()) } }
            p.first { (Text(&verdict.text)) }
            @for fact in &verdict.facts { p { (Text(fact)) } }
            @if !verdict.next.is_empty() { p { strong { "Next:" } " " (Text(&verdict.next)) } }
        }
    }
}

/// Who, when, where, what failed, and what is missing.
fn facts(opened: &Opened) -> Markup {
    markup(written(|page| {
        summary::facts(page, opened);
        summary::missing(page, opened, SEE_RECORD);
    }))
}

fn one(opened: &Opened, section: Section, all_threads: &dyn Fn() -> Markup) -> Markup {
    let text = |write: fn(&mut Page, &Opened)| text(section, written(|page| write(page, opened)));
    match section {
        Section::Threads => all_threads(),
        Section::Memory => titled(section, &memory::shown(opened)),
        Section::Heap => text(heap::write),
        Section::Modules => text(sections::modules),
        Section::Handles => text(sections::handles),
        Section::Process => text(sections::process),
        Section::Environment => text(sections::environment),
        Section::Record => text(sections::record),
        Section::All => html! {},
    }
}

fn all_threads(
    opened: &Opened,
    walked: &Walked,
    remarkable: &[u32],
    frames: Option<usize>,
) -> Markup {
    let content = html! {
        (busy(opened, walked))
        (waits::shown(opened, walked))
        (threads::shown(opened, walked, remarkable, frames))
    };
    titled(Section::Threads, &content)
}

/// A section under its title on this page.
fn titled(section: Section, content: &Markup) -> Markup {
    let title = title(section);
    pages::section(&title.to_lowercase(), title, content)
}

/// A section as the text has it, under the heading that it has there.
fn text(section: Section, page: Page) -> Markup {
    let blocks = page.blocks();
    let title = title(section);
    match &blocks[..] {
        [Block::Heading(heading), rest @ ..] => {
            pages::section(&title.to_lowercase(), heading, &all(rest))
        }
        [Block::Paragraph(heading, lines), rest @ ..] if heading == title => {
            titled(section, &html! { (texts(lines)) (all(rest)) })
        }
        blocks => titled(section, &all(blocks)),
    }
}

/// What was added to a page.
fn written(write: impl FnOnce(&mut Page)) -> Page {
    let mut page = Page::new(false);
    write(&mut page);
    page
}

/// Who has used the processors.
fn busy(opened: &Opened, walked: &Walked) -> Markup {
    let snapshot = &opened.dump.snapshot;
    let busy = busiest::busiest(snapshot, opened.record.as_ref());
    let row = |busy: &busiest::Busy| {
        let who = super::waits::named(snapshot, walked, busy.thread);
        let link = format!("#{}", threads::id(busy.thread));
        let who = html! { a href=(link) { (Text(&who)) } };
        vec![who, html! { (Text(&busy.text)) }, bar(busy.percent as f64)]
    };
    let rows: Vec<Vec<Markup>> = busy.iter().map(row).collect();
    let columns = ["thread", "processor time", ""].map(Column::text);
    html! {
        @if !rows.is_empty() {
            h3 { "Busiest threads" }
            (table("Busiest threads", &columns, &rows))
        }
    }
}
