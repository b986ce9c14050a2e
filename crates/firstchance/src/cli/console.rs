//! What a person sees: lines, progress, figures. Everything that comes from a target is shown
//! without its control characters.

use super::outlet::Outlet;
use ::console::Term;
use collector::{Step, Written};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use platform::ProcessEntry;
use snapshot::WallTime;
use std::{
    cell::Cell,
    io::{IsTerminal, Write},
    time::Duration,
};

/// Longest command line that is shown in a table.
const LONGEST_COMMAND: usize = 100;

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// Standard output.
    Out,
    /// Standard error, because the output is a dump or JSON.
    Error,
}

/// Shows the steps of a dump as lines, and on a terminal as a bar.
pub(crate) struct Reporter {
    lines: Lines,
    /// What stays at the foot of the terminal.
    foot: MultiProgress,
    bar: Option<ProgressBar>,
    /// Rows of status that are shown.
    status: Cell<usize>,
    terminal: Term,
    /// Takes the lines for standard output where their reader may stop reading.
    outlet: Option<Outlet>,
}

impl Reporter {
    /// Lines to that place; a bar on standard error if that is a terminal.
    pub(crate) fn new(lines: Lines) -> Self {
        Self {
            lines,
            foot: MultiProgress::new(),
            bar: None,
            status: Cell::new(0),
            terminal: Term::buffered_stderr(),
            outlet: None,
        }
    }

    /// The same, for a program that must go on when nobody reads what it prints into a pipe.
    pub(crate) fn never_waiting(lines: Lines) -> Self {
        let piped = lines == Lines::Out && !std::io::stdout().is_terminal();
        Self {
            outlet: piped.then(|| Outlet::to(print)),
            ..Self::new(lines)
        }
    }

    /// Whether there is a terminal for lines that change.
    pub(crate) fn is_live(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// Columns of the terminal.
    pub(crate) fn width(&self) -> usize {
        platform::terminal_width().unwrap_or(80)
    }

    /// Shows these lines at the foot of the terminal, in place of those before; cut, so that none
    /// takes two rows.
    ///
    /// They are drawn here and not by the library of the bar: that one leaves the cursor at the end
    /// of a row that it fills, where the `^C` that a terminal shows moves everything by a row.
    pub(crate) fn status(&mut self, lines: &[String]) {
        self.clear_status();
        if !self.is_live() || self.bar.is_some() {
            return;
        }
        let width = self.width().saturating_sub(1);
        for line in lines {
            let _ = self.terminal.write_line(&cut(&plain(line), width));
        }
        self.status.set(lines.len());
        let _ = self.terminal.flush();
    }

    fn clear_status(&self) {
        let rows = self.status.take();
        if rows > 0 {
            let _ = self.terminal.clear_line();
            let _ = self.terminal.clear_last_lines(rows);
            let _ = self.terminal.flush();
        }
    }

    /// Shows a step.
    pub(crate) fn step(&mut self, step: &Step) {
        match step {
            Step::Deleted { path } => {
                let path = plain(&path.display().to_string());
                self.line(&format!("Old dump deleted to keep the limits: {path}"));
            }
            Step::Initiated { number, path } => {
                let path = path.as_ref().map(|path| path.display().to_string());
                let path = path.unwrap_or_else(|| "standard output".to_owned());
                self.line(&format!("Dump {number} initiated: {}", plain(&path)));
            }
            Step::Writing { number, bytes } => {
                self.line(&format!("Dump {number} writing: {} to write", size(*bytes)));
            }
            Step::Copied { done, total, .. } => self.progress(*done, *total),
            Step::Released { .. } => self.end_bar(),
            Step::Complete(written) => self.complete(written),
        }
    }

    /// One line with the time before it.
    pub(crate) fn line(&self, text: &str) {
        self.plain_line(&format!("[{}] {text}", time(now())));
    }

    /// One line as it is.
    pub(crate) fn plain_line(&self, line: &str) {
        self.clear_status();
        if let Some(outlet) = &self.outlet {
            return outlet.say(|dropped| after_dropped(dropped, line));
        }
        // A closed pipe is no reason to lose a dump.
        let write = || match self.lines {
            Lines::Out => writeln!(std::io::stdout(), "{line}"),
            Lines::Error => writeln!(std::io::stderr(), "{line}"),
        };
        let _ = self.foot.suspend(write);
    }

    fn progress(&mut self, done: u64, total: u64) {
        if self.bar.is_none() && self.is_live() {
            self.clear_status();
            let bar = ProgressBar::new(total);
            let style = ProgressStyle::with_template(
                "{wide_bar} {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.bar = Some(self.foot.add(bar));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    fn end_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn complete(&mut self, written: &Written) {
        self.end_bar();
        let number = written.number;
        let seconds = written.took.as_secs_f64();
        let pause = written.record.pause_ms;
        let pause = match (pause, &written.record.method[..]) {
            (Some(ms), _) => format!("target paused {}", milliseconds(ms)),
            (None, "clone") => "from a clone of the target".to_owned(),
            (None, _) => "target not stopped".to_owned(),
        };
        let bytes = size(written.bytes);
        if written.record.complete {
            self.line(&format!(
                "Dump {number} complete: {bytes} written in {seconds:.1} seconds ({pause})"
            ));
        } else {
            let path = written.path.as_ref().map(|path| path.display().to_string());
            let path = path.unwrap_or_else(|| "standard output".to_owned());
            self.line(&format!(
                "Dump {number} incomplete: {} ({pause})",
                plain(&path)
            ));
        }
        if written.record.gap_count > 0 {
            let (count, bytes) = (written.record.gap_count, size(written.record.gap_bytes));
            self.line(&format!(
                "Dump {number} has {count} gaps: {bytes} of memory could not be read"
            ));
        }
        for warning in &written.record.warnings {
            self.line(&format!("Dump {number} warning: {}", plain(warning)));
        }
    }
}

fn after_dropped(dropped: u64, line: &str) -> String {
    match dropped {
        0 => line.to_owned(),
        _ => format!("({dropped} lines were left out: nobody read them)\n{line}"),
    }
}

/// Text on standard output; a reader that has gone (`| head`) is no failure.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let lines = text
        .lines()
        .try_for_each(|line| writeln!(out, "{}", line.trim_end()));
    match lines.and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// A table without lines; the columns of these numbers are figures.
pub(crate) fn table(headers: &[&str], figures: &[usize]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headers);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if figures.contains(&at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

/// `12 ms`, `1.3 s`, `0.4 ms`.
pub(crate) fn milliseconds(ms: f64) -> String {
    match ms {
        _ if ms >= 1000.0 => format!("{:.1} s", ms / 1000.0),
        _ if ms >= 10.0 => format!("{ms:.0} ms"),
        _ => format!("{ms:.1} ms"),
    }
}

/// `62 MB`: decimal units, two or three digits.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 9.95 { 0 } else { 1 };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// `3:07:12`, `12.3 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!(
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        ),
    }
}

/// Text from a target, without control characters (an ESC in a thread's name would be obeyed by
/// the terminal).
pub(crate) fn plain(text: &str) -> String {
    let visible = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(visible).collect()
}

/// A process's command line for a table.
pub(crate) fn command(entry: &ProcessEntry) -> String {
    let text = if entry.command_line.is_empty() {
        format!("[{}]", entry.name)
    } else {
        entry.command_line.join(" ")
    };
    // Servers that write what they do over their arguments leave blanks behind it.
    cut(&plain(text.trim_end()), LONGEST_COMMAND)
}

/// At most so many characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars()
        .take(most.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// `2026-11-22 23:01:42`, local.
pub(crate) fn date_time(when: WallTime) -> String {
    zoned(when).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `23:01:42`, local.
pub(crate) fn time(when: WallTime) -> String {
    zoned(when).strftime("%H:%M:%S").to_string()
}

/// Now, with date and offset.
pub(crate) fn now_rfc3339() -> String {
    rfc3339(now())
}

/// `2026-11-22T23:01:42.123+01:00`, local.
pub(crate) fn rfc3339(when: WallTime) -> String {
    zoned(when).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

fn zoned(when: WallTime) -> jiff::Zoned {
    let time = jiff::Timestamp::from_nanosecond(i128::from(when.0)).unwrap_or_default();
    time.to_zoned(jiff::tz::TimeZone::system())
}

fn now() -> WallTime {
    WallTime(jiff::Timestamp::now().as_nanosecond() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_have_units() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(62_400_000), "62 MB");
        assert_eq!(size(1_234_000_000), "1.2 GB");
        assert_eq!(size(999_600), "1.0 MB");
        assert_eq!(milliseconds(0.42), "0.4 ms");
        assert_eq!(duration(Duration::from_secs(3725)), "1:02:05");
    }

    #[test]
    fn a_title_padded_with_blanks_is_shown_without_them() {
        let entry = ProcessEntry {
            command_line: vec![format!("nginx: worker process{}", " ".repeat(200))],
            ..ProcessEntry::default()
        };
        assert_eq!(command(&entry), "nginx: worker process");
    }

    #[test]
    fn e1_control_characters_are_shown_not_obeyed() {
        assert_eq!(plain("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\nb");
    }
}
