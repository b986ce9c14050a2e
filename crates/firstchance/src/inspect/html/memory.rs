//! Memory by class, as a picture and as a table.

use super::blocks::markup;
use super::written;
use crate::inspect::open::Opened;
use crate::inspect::sections;
use crate::ui::console;
use analysis::ClassSize;
use maud::{Markup, html};
use pages::{Part, treemap};

/// The picture, the table, and the regions.
pub(super) fn shown(opened: &Opened) -> Markup {
    let dump = &opened.dump;
    let sizes = analysis::memory_summary(&dump.snapshot, &dump.ranges);
    let (what, of) = weighed(&sizes);
    let part = |size: &ClassSize| Part {
        name: size.class.to_string(),
        size: console::size(of(size)),
        weight: of(size),
    };
    let parts: Vec<Part> = sizes.iter().map(part).collect();
    html! {
        @if !parts.is_empty() {
            p.faint { "The picture shows " (what) " by class." }
            (treemap(&format!("Memory by class, {what}"), &parts))
        }
        (markup(written(|page| sections::memory(page, opened))))
    }
}

/// What the areas of the picture stand for: what was resident, if the dump tells it, else what is in the dump.
fn weighed(sizes: &[ClassSize]) -> (&'static str, fn(&ClassSize) -> u64) {
    let has = |of: fn(&ClassSize) -> u64| sizes.iter().any(|size| of(size) > 0);
    let resident = |size: &ClassSize| size.resident_bytes;
    let dumped = |size: &ClassSize| size.dumped_bytes;
    match (has(resident), has(dumped)) {
        (true, _) => ("resident memory", resident),
        (false, true) => ("memory in the dump", dumped),
        _ => ("address space", |size| size.virtual_bytes),
    }
}
