//! The page that `inspect` prints.

use crate::ui::console;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use pages::Column;
use std::fmt::Write as _;

/// Columns by which values beside a heading are indented.
pub(super) const INDENT: usize = 13;

/// Text to which lines are added, for a terminal or as [blocks](Block) for another rendering. Control characters in it are escaped.
pub(super) struct Page {
    blocks: Vec<Block>,
    has_colours: bool,
}

/// A part of a page, as it was added.
pub(super) enum Block {
    /// Lines with their heading beside them.
    Paragraph(String, Vec<String>),
    /// A heading on a line of its own.
    Heading(String),
    /// A line, and its end, which matters less.
    Line(String, String),
    /// A frame of a stack: its number, unless it is part of the one after it, what it is, and what matters less.
    Frame(Option<usize>, String, String),
    /// The columns, and the rows.
    Table(Vec<Column>, Vec<Vec<String>>),
    /// An empty line, unless the page is empty.
    Gap,
}

impl Page {
    pub(super) fn new(has_colours: bool) -> Self {
        Self {
            blocks: Vec::new(),
            has_colours,
        }
    }

    /// What was added.
    pub(super) fn blocks(self) -> Vec<Block> {
        self.blocks
    }

    /// The text for a terminal.
    pub(super) fn text(self) -> String {
        let mut text = Text {
            text: String::new(),
            has_colours: self.has_colours,
        };
        self.blocks.iter().for_each(|block| text.add(block));
        text.text
    }

    /// Adds a paragraph with its heading beside it; nothing if all lines are empty.
    pub(super) fn paragraph(&mut self, heading: &str, lines: &[String]) {
        let lines: Vec<String> = lines
            .iter()
            .filter(|line| !line.is_empty())
            .cloned()
            .collect();
        if !lines.is_empty() {
            self.blocks
                .push(Block::Paragraph(heading.to_owned(), lines));
        }
    }

    /// Adds a heading on a line of its own.
    pub(super) fn heading(&mut self, heading: &str) {
        self.blocks.push(Block::Heading(heading.to_owned()));
    }

    /// Adds a line.
    pub(super) fn line(&mut self, line: &str) {
        self.faint_end(line, "");
    }

    /// Adds a line whose end is printed faint, as it matters less.
    pub(super) fn faint_end(&mut self, line: &str, end: &str) {
        self.blocks
            .push(Block::Line(line.to_owned(), end.to_owned()));
    }

    /// Adds a frame of a stack: its number, unless it is part of the one after it, what it is, and what matters less.
    pub(super) fn frame(&mut self, number: Option<usize>, what: &str, end: &str) {
        self.blocks
            .push(Block::Frame(number, what.to_owned(), end.to_owned()));
    }

    /// Adds a table whose columns are as wide as their longest cell.
    pub(super) fn table(&mut self, columns: &[Column], rows: Vec<Vec<String>>) {
        self.blocks.push(Block::Table(columns.to_vec(), rows));
    }

    /// Adds an empty line, unless the page is empty.
    pub(super) fn gap(&mut self) {
        self.blocks.push(Block::Gap);
    }
}

/// The text for a terminal.
struct Text {
    text: String,
    has_colours: bool,
}

impl Text {
    fn add(&mut self, block: &Block) {
        match block {
            Block::Paragraph(heading, lines) => self.paragraph(heading, lines),
            Block::Heading(heading) => {
                self.gap();
                let heading = self.bold(&console::plain(heading));
                self.put(&heading);
            }
            Block::Line(line, end) => self.faint_end(line, end),
            Block::Frame(Some(number), what, end) => {
                self.faint_end(&format!("  {number:>4}  {what}"), end);
            }
            Block::Frame(None, what, end) => self.faint_end(&format!("        {what}"), end),
            Block::Table(columns, rows) => self.table(columns, rows),
            Block::Gap => self.gap(),
        }
    }

    fn paragraph(&mut self, heading: &str, lines: &[String]) {
        self.gap();
        for (at, line) in lines.iter().enumerate() {
            let heading = if at == 0 { heading } else { "" };
            let padding = INDENT.saturating_sub(heading.len()).max(1);
            let heading = self.bold(heading);
            self.put(&format!("{heading}{:padding$}{}", "", console::plain(line)));
        }
    }

    fn faint_end(&mut self, line: &str, end: &str) {
        let end = console::plain(end);
        let end = if self.has_colours && !end.is_empty() {
            format!("\x1b[2m{end}\x1b[0m")
        } else {
            end
        };
        self.put(&format!("{}{end}", console::plain(line)));
    }

    fn table(&mut self, columns: &[Column], rows: &[Vec<String>]) {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(columns.iter().map(|column| &column.name));
        for row in rows {
            table.add_row(row.iter().map(|cell| console::plain(cell)));
        }
        for (shown, column) in table.column_iter_mut().zip(columns) {
            shown.set_cell_alignment(match column.is_number {
                true => CellAlignment::Right,
                false => CellAlignment::Left,
            });
            shown.set_padding((0, 2));
        }
        let text = table.trim_fmt();
        for line in text.lines() {
            self.put(line);
        }
    }

    fn gap(&mut self) {
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
