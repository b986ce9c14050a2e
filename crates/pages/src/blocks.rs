//! Sections, tables and bars.

use crate::Text;
use maud::{Markup, html};

/// Rows of a table that are shown, at most.
const MOST_ROWS: usize = 2000;

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Whether it has numbers, which are aligned to the right.
    pub is_number: bool,
}

impl Column {
    /// A column of texts.
    pub fn text(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            is_number: false,
        }
    }

    /// A column of numbers.
    pub fn number(name: &str) -> Self {
        Self {
            is_number: true,
            ..Self::text(name)
        }
    }
}

/// A part of a page with its heading.
pub fn section(id: &str, heading: &str, content: &Markup) -> Markup {
    html! {
        section id=(id) {
            h2 { (Text(heading)) }
            (content)
        }
    }
}

/// A table, which can be moved sideways where it is too wide. Rows beyond a limit are counted. `label` says what it is of.
pub fn table(label: &str, columns: &[Column], rows: &[Vec<Markup>]) -> Markup {
    let has_heads = columns.iter().any(|column| !column.name.is_empty());
    let left = rows.len().saturating_sub(MOST_ROWS);
    html! {
        div.scroll role="region" tabindex="0" aria-label=(Text(label)) {
            table {
                @if has_heads {
                    thead { tr { @for column in columns {
                        th scope="col" class=[column.is_number.then_some("number")] { (Text(&column.name)) }
                    } } }
                }
                tbody { @for row in rows.iter().take(MOST_ROWS) { (self::row(columns, row)) } }
            }
        }
        @if left > 0 { p.faint { "… " (left) " more rows" } }
    }
}

fn row(columns: &[Column], row: &[Markup]) -> Markup {
    html! {
        tr { @for (column, cell) in columns.iter().zip(row) {
            td class=[column.is_number.then_some("number")] { (cell) }
        } }
    }
}

/// A bar of so many percent, beside which the number stands.
pub fn bar(percent: f64) -> Markup {
    let width = format!("{:.1}%", percent.clamp(0.0, 100.0));
    html! {
        svg.bar aria-hidden="true" focusable="false" {
            rect.ground width="100%" height="100%" rx="2" {}
            rect.fill width=(width) height="100%" rx="2" {}
        }
    }
}

/// Upright bars of these heights, the first at the left, beside which the numbers stand.
pub fn bars(values: &[u64]) -> Markup {
    const HEIGHT: f64 = 48.0;
    const STEP: usize = 20;
    let most = values.iter().copied().max().unwrap_or(0).max(1) as f64;
    let height = |value: u64| (value as f64 / most * HEIGHT).max(1.0);
    html! {
        svg.bars aria-hidden="true" focusable="false" width=(values.len() * STEP) height=(HEIGHT) {
            @for (at, value) in values.iter().enumerate() {
                rect.fill x=(at * STEP) y=(format!("{:.1}", HEIGHT - height(*value))) width=(STEP - 4)
                    height=(format!("{:.1}", height(*value))) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_beyond_the_limit_are_counted() {
        let rows = vec![vec![html! { "x" }]; MOST_ROWS + 7];
        let shown = table("all", &[Column::text("name")], &rows).into_string();
        assert_eq!(shown.matches("<td").count(), MOST_ROWS);
        assert!(shown.contains("… 7 more rows"));
    }

    #[test]
    fn bars_stay_in_their_ground() {
        assert!(bar(250.0).into_string().contains("width=\"100.0%\""));
        assert!(
            bars(&[0, u64::MAX])
                .into_string()
                .contains("height=\"48.0\"")
        );
        bars(&[]);
    }
}
