//! The comparison of several dumps.

use super::blocks::markup;
use super::{contents, threads, waits, written};
use crate::inspect::series::Series;
use crate::inspect::verdict::remarkable;
use maud::{Markup, html};
use pages::{Text, bars, section};

/// The page about a series.
pub(in super::super) fn page(series: &Series) -> String {
    let title = series.title();
    let (last, walked) = series.last();
    let body = html! {
        header {
            h1 { (Text(&title)) }
            (contents(&["Changes", "Growth", "Threads"]))
        }
        main {
            (section("changes", "Changes", &markup(written(|page| series.changes(page)))))
            (section("growth", "Growth", &html! {
                (growth(series))
                (markup(written(|page| series.memory(page))))
            }))
            (section("threads", "Threads of the last dump", &html! {
                (waits::shown(last, walked))
                (threads::shown(last, walked, &remarkable(last, walked), None))
            }))
            (super::footer())
        }
    };
    pages::document(&title, &body)
}

/// The memory of each dump by class, drawn; the table below it has the numbers.
fn growth(series: &Series) -> Markup {
    html! {
        div.pictures aria-hidden="true" {
            @for growth in &series.compared.classes {
                figure { (bars(&growth.bytes)) figcaption { (growth.of) } }
            }
        }
    }
}
