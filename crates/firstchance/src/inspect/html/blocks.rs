//! What was added to a page for people, as HTML.

use crate::inspect::page::{Block, Page};
use maud::{Markup, html};
use pages::{Column, Text, table};
use std::mem::discriminant;

/// Lines in a row that are shown, at most.
const MOST_LINES: usize = 2000;
/// Tables with more rows are closed at first.
const LONG: usize = 30;

/// What was added to a page, one below the other.
pub(super) fn markup(page: Page) -> Markup {
    all(&page.blocks())
}

/// Blocks, one below the other.
pub(super) fn all(blocks: &[Block]) -> Markup {
    // Paragraphs in a row are one list, and so are lines and frames.
    let is_one_list = |a: &Block, b: &Block| match a {
        Block::Paragraph(..) => discriminant(a) == discriminant(b),
        Block::Line(..) | Block::Frame(..) => matches!(b, Block::Line(..) | Block::Frame(..)),
        _ => false,
    };
    html! { @for run in blocks.chunk_by(is_one_list) { (self::run(run)) } }
}

fn run(run: &[Block]) -> Markup {
    match run {
        [Block::Heading(heading)] => html! { h3 { (Text(heading)) } },
        [Block::Table(columns, rows)] => long_table(columns, rows),
        [Block::Gap] | [] => html! {},
        [Block::Paragraph(..), ..] => html! { dl { @for block in run { (paragraph(block)) } } },
        lines => self::lines(lines),
    }
}

fn paragraph(block: &Block) -> Markup {
    let Block::Paragraph(heading, lines) = block else {
        return html! {};
    };
    html! {
        dt { (Text(heading)) }
        dd { (texts(lines)) }
    }
}

/// The lines of a paragraph.
pub(super) fn texts(lines: &[String]) -> Markup {
    html! {
        @for line in lines.iter().take(MOST_LINES) { p { (Text(line)) } }
        (more(lines.len()))
    }
}

fn lines(lines: &[Block]) -> Markup {
    let is_stack = lines.iter().any(|line| matches!(line, Block::Frame(..)));
    let class = if is_stack { "frames" } else { "lines" };
    html! {
        ul class=(class) { @for line in lines.iter().take(MOST_LINES) { (self::line(line)) } }
        (more(lines.len()))
    }
}

fn line(line: &Block) -> Markup {
    html! {
        @match line {
            Block::Frame(Some(number), what, end) => li { span.n { (number) " " } (Text(what)) (faint(end)) },
            Block::Frame(None, what, end) => li.inlined { (Text(what)) (faint(end)) },
            Block::Line(what, end) => li.in { (Text(what.trim())) (faint(end)) },
            _ => {},
        }
    }
}

fn faint(end: &str) -> Markup {
    html! { @if !end.is_empty() { " " span.faint { (Text(end.trim())) } } }
}

fn more(lines: usize) -> Markup {
    let left = lines.saturating_sub(MOST_LINES);
    html! { @if left > 0 { p.faint { "… " (left) " more lines" } } }
}

/// A table, which can be opened if it is long.
fn long_table(columns: &[Column], rows: &[Vec<String>]) -> Markup {
    let cell = |cell: &String| html! { (Text(cell.trim())) };
    let cells: Vec<Vec<Markup>> = rows
        .iter()
        .map(|row| row.iter().map(cell).collect())
        .collect();
    let names: Vec<&str> = columns.iter().map(|column| &column.name[..]).collect();
    let label = format!("Table: {}", names.join(", "));
    let table = html! { div.values { (table(&label, columns, &cells)) } };
    html! {
        @if rows.len() > LONG {
            details { summary { (rows.len()) " rows" } (table) }
        } @else { (table) }
    }
}
