//! The comparison, for people.

use super::Series;
use super::threads::{came, processor, stood, went};
use crate::inspect::page::Page;
use crate::inspect::{open::Opened, summary, waits};
use crate::ui::console;
use analysis::compare::Growth;
use pages::Column;
use std::time::Duration;

/// Rows of a table, at most.
const ROWS: usize = 10;
/// Columns of dumps in a table: those of the last ones, if there are more.
const DUMPS: usize = 6;
/// Characters of a name in a table, at most.
const NAME: usize = 60;

pub(super) fn text(series: &Series, has_colours: bool) -> String {
    let mut page = Page::new(has_colours);
    page.heading(&title(series));
    changes(&mut page, series);
    let (last, walked) = series.last();
    waits::write(&mut page, &last.dump.snapshot, walked);
    memory(&mut page, series);
    page.text()
}

pub(super) fn changes(page: &mut Page, series: &Series) {
    page.paragraph("Dumps", &dumps(series));
    page.paragraph("Note", &note(series));
    page.paragraph("Processor", &processor(series));
    page.paragraph("Stood still", &stood(series));
    page.paragraph("New", &came(series));
    page.paragraph("Ended", &went(series));
}

pub(super) fn title(series: &Series) -> String {
    let process = &series.last().0.dump.snapshot.process;
    let (count, name) = (series.dumps.len(), summary::named(process));
    format!("{count} dumps of {name}, pid {}", process.key.pid)
}

fn dumps(series: &Series) -> Vec<String> {
    let first = series.dumps[0].0.dump.snapshot.taken.0;
    let line = |(at, (opened, _)): (usize, &(&Opened, _))| {
        let taken = opened.dump.snapshot.taken;
        let later = Duration::from_nanos(taken.0.saturating_sub(first).max(0) as u64);
        let later = match at {
            0 => String::new(),
            _ => format!(", {} after the first", console::duration(later)),
        };
        let when = console::date_time(taken);
        format!("{}  {}  {when}{later}", at + 1, opened.path.display())
    };
    series.dumps.iter().enumerate().map(line).collect()
}

fn note(series: &Series) -> Vec<String> {
    let text =
        "they are of different processes: only what has the same ids and addresses is compared";
    let is_of_one = series.is_of_one_process();
    (!is_of_one).then(|| text.to_owned()).into_iter().collect()
}

/// What of the memory has grown, or shrunk, by class, and the regions and modules that have grown most.
pub(super) fn memory(page: &mut Page, series: &Series) {
    let compared = &series.compared;
    let classes = compared.classes.iter();
    let classes = classes.map(|growth| row(growth.of.to_string(), growth));
    table(page, series, "Memory", classes.collect());
    let regions = most(&compared.regions);
    let name = |of: &analysis::compare::Place| format!("{:#x} {}", of.range.start, of.name);
    let regions = regions.iter().map(|growth| row(name(&growth.of), growth));
    table(page, series, "Grown most", regions.collect());
    let modules = most(&compared.modules);
    let modules = modules.iter().map(|growth| row(growth.of.clone(), growth));
    table(page, series, "Data of", modules.collect());
}

/// Those that have grown, the most first.
fn most<T>(all: &[Growth<T>]) -> Vec<&Growth<T>> {
    let mut grown: Vec<&Growth<T>> = all.iter().filter(|growth| growth.grown() > 0).collect();
    grown.sort_by_key(|growth| std::cmp::Reverse(growth.grown()));
    grown.truncate(ROWS);
    grown
}

/// A name, the sizes in the last dumps, and how much it has grown.
fn row<T>(name: String, growth: &Growth<T>) -> Vec<String> {
    let skipped = growth.bytes.len().saturating_sub(DUMPS);
    let sizes = growth.bytes.iter().skip(skipped);
    let mut row = vec![console::cut(&name, NAME)];
    row.extend(sizes.map(|bytes| console::size(*bytes)));
    row.push(signed(growth.grown()));
    row
}

fn table(page: &mut Page, series: &Series, heading: &str, rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    let count = series.dumps.len();
    let numbers: Vec<String> = (count.saturating_sub(DUMPS) + 1..=count)
        .map(|n| n.to_string())
        .collect();
    let mut columns = vec![Column::text(heading)];
    columns.extend(numbers.iter().map(|number| Column::number(number)));
    columns.push(Column::number("grown"));
    page.gap();
    page.table(&columns, rows);
}

fn signed(bytes: i64) -> String {
    let size = console::size(bytes.unsigned_abs());
    match bytes {
        0 => "0".to_owned(),
        1.. => format!("+{size}"),
        _ => format!("-{size}"),
    }
}
