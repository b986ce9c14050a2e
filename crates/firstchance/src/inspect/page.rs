//! The page that `inspect` prints.

use crate::ui::console;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::fmt::Write as _;

/// Columns by which values beside a heading are indented.
pub(super) const INDENT: usize = 13;

/// Text for a terminal, to which lines are added. Control characters in them are escaped.
pub(super) struct Page {
    text: String,
    has_colours: bool,
}

/// A column of a table.
pub(super) enum Column<'a> {
    /// Text, aligned to the left.
    Left(&'a str),
    /// Numbers, aligned to the right.
    Right(&'a str),
}

impl Page {
    pub(super) fn new(has_colours: bool) -> Self {
        Self {
            text: String::new(),
            has_colours,
        }
    }

    pub(super) fn text(self) -> String {
        self.text
    }

    /// Adds a paragraph with its heading beside it; nothing if all lines are empty.
    pub(super) fn paragraph(&mut self, heading: &str, lines: &[String]) {
        let lines: Vec<&String> = lines.iter().filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            return;
        }
        self.gap();
        for (at, line) in lines.iter().enumerate() {
            let heading = if at == 0 { heading } else { "" };
            let padding = INDENT.saturating_sub(heading.len()).max(1);
            let heading = self.bold(heading);
            self.put(&format!("{heading}{:padding$}{}", "", console::plain(line)));
        }
    }

    /// Adds a heading on a line of its own.
    pub(super) fn heading(&mut self, heading: &str) {
        self.gap();
        let heading = self.bold(&console::plain(heading));
        self.put(&heading);
    }

    /// Adds a line.
    pub(super) fn line(&mut self, line: &str) {
        self.put(&console::plain(line));
    }

    /// Adds a line whose end is printed faint, as it matters less.
    pub(super) fn faint_end(&mut self, line: &str, end: &str) {
        let end = console::plain(end);
        let end = if self.has_colours && !end.is_empty() {
            format!("\x1b[2m{end}\x1b[0m")
        } else {
            end
        };
        self.put(&format!("{}{end}", console::plain(line)));
    }

    /// Adds a table whose columns are as wide as their longest cell.
    pub(super) fn table(&mut self, columns: &[Column<'_>], rows: Vec<Vec<String>>) {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        let (names, alignments): (Vec<_>, Vec<_>) = columns
            .iter()
            .map(|column| match column {
                Column::Left(name) => (*name, CellAlignment::Left),
                Column::Right(name) => (*name, CellAlignment::Right),
            })
            .unzip();
        table.set_header(names);
        for row in rows {
            table.add_row(row.iter().map(|cell| console::plain(cell)));
        }
        for (column, alignment) in table.column_iter_mut().zip(alignments) {
            column.set_cell_alignment(alignment);
            column.set_padding((0, 2));
        }
        let text = table.trim_fmt();
        for line in text.lines() {
            self.put(line);
        }
    }

    /// Adds an empty line, unless the page is empty.
    pub(super) fn gap(&mut self) {
        if !self.text.is_empty() {
            self.put("");
        }
    }

    fn bold(&self, text: &str) -> String {
        if self.has_colours && !text.is_empty() {
            return format!("\x1b[1m{text}\x1b[0m");
        }
        text.to_owned()
    }

    fn put(&mut self, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{}", line.trim_end());
    }
}
