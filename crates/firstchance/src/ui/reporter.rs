//! Shows the steps of a dump: one line for each step, a bar while memory is copied, and rows of
//! status at the foot of the terminal.

use super::{
    LineWriter, console, debug_log,
    wording::{Weight, Wording, pause},
};
use ::console::Term;
use collector::{Step, Written};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use snapshot::WallTime;
use std::{
    cell::Cell,
    io::{IsTerminal, Write},
};

/// Which stream lines are printed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Standard output.
    Stdout,
    /// Standard error, because a dump or JSON goes to standard output.
    Stderr,
}

/// Shows the steps of a dump as lines, and on a terminal as a progress bar.
pub(crate) struct Reporter {
    output: Output,
    /// Draws the progress bar at the foot of the terminal.
    foot: MultiProgress,
    bar: Option<ProgressBar>,
    /// Rows of status that are on the terminal now.
    status: Cell<usize>,
    terminal: Term,
    /// Takes the lines if they go to a pipe, whose reader may stop reading.
    writer: Option<LineWriter>,
    /// Whether another program writes to the terminal, so that nothing there may be replaced.
    is_shared: bool,
    wording: Wording,
    /// Whether the lines about dumps name their processes.
    names_processes: bool,
}

impl Reporter {
    /// Prints lines to `output`, and draws a bar on standard error if that is a terminal.
    pub(crate) fn new(output: Output) -> Self {
        Self {
            output,
            foot: MultiProgress::new(),
            bar: None,
            status: Cell::new(0),
            terminal: Term::buffered_stderr(),
            writer: None,
            is_shared: false,
            wording: Wording::default(),
            names_processes: false,
        }
    }

    /// The same, in these words.
    pub(crate) fn worded(self, wording: Wording) -> Self {
        Self { wording, ..self }
    }

    /// The same, naming the process in each line about a dump, if there are several.
    pub(crate) fn naming_processes(self, names_processes: bool) -> Self {
        Self {
            names_processes,
            ..self
        }
    }

    /// The end of a line about a dump that names the process, where that has to be said.
    pub(crate) fn which(&self, pid: u32) -> String {
        match self.names_processes {
            true => format!(" (process {pid})"),
            false => String::new(),
        }
    }

    /// The same, beside a program that writes to the same terminal.
    pub(crate) fn shared(self) -> Self {
        Self {
            is_shared: true,
            ..self
        }
    }

    /// As [`Reporter::new`], but printing into a pipe never waits for the reader.
    pub(crate) fn never_waiting(output: Output) -> Self {
        let piped = output == Output::Stdout && !std::io::stdout().is_terminal();
        Self {
            writer: piped.then(|| LineWriter::to(console::print)),
            ..Self::new(output)
        }
    }

    /// Whether standard error is a terminal on which lines can be replaced: not while the debug log
    /// is printed there.
    pub(crate) fn is_live(&self) -> bool {
        let is_ours = !self.is_shared && platform::has_terminal();
        is_ours && std::io::stderr().is_terminal() && !debug_log::is_on_stderr()
    }

    /// Width of the terminal in columns; 80 if it is unknown.
    pub(crate) fn width(&self) -> usize {
        platform::terminal_width().unwrap_or(80)
    }

    /// Replaces the lines at the foot of the terminal by these, each cut to one row.
    ///
    /// They are not drawn by the library of the progress bar: it leaves the cursor at the end of a
    /// full row, so that the `^C` which a terminal prints there moves everything down by a row.
    pub(crate) fn status(&mut self, lines: &[String]) {
        self.clear_status();
        if !self.is_live() || self.bar.is_some() {
            return;
        }
        let width = self.width().saturating_sub(1);
        for line in lines {
            let _ = self
                .terminal
                .write_line(&console::cut(&console::plain(line), width));
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

    /// Shows a step of a dump.
    pub(crate) fn step(&mut self, step: &Step) {
        match step {
            Step::Deleted { path } => {
                let path = console::plain(&path.display().to_string());
                self.line(&format!("Old dump deleted to keep the limits: {path}"));
            }
            Step::Initiated { number, path } => {
                let path = path.as_ref().map(|path| path.display().to_string());
                let path = path.unwrap_or_else(|| "standard output".to_owned());
                let text = self.wording.initiated(*number, &console::plain(&path));
                text.iter().for_each(|text| self.line(text));
            }
            Step::Writing {
                number,
                kind,
                bytes,
            } => {
                let text = self.wording.writing(*number, *kind, *bytes);
                text.iter().for_each(|text| self.line(text));
            }
            Step::Copied { done, total, .. } => self.progress(*done, *total),
            Step::Released { .. } => self.end_bar(),
            Step::Complete(written) => self.complete(written),
        }
    }

    /// Prints a line with the time before it.
    pub(crate) fn line(&self, text: &str) {
        self.plain_line(&self.wording.stamped(Weight::Info, text));
    }

    /// Prints a line with the time of what it tells before it.
    pub(crate) fn line_at(&self, time: WallTime, text: &str) {
        self.plain_line(&self.wording.stamped_at(time, Weight::Info, text));
    }

    /// Prints a line that says what is not as it was asked for, with the time before it.
    pub(crate) fn warning_line(&self, text: &str) {
        self.plain_line(&self.wording.stamped(Weight::Warn, text));
    }

    /// Prints a line that says what failed, with the time before it.
    pub(crate) fn error_line(&self, text: &str) {
        self.plain_line(&self.wording.stamped(Weight::Error, text));
    }

    /// Prints a line as it is.
    pub(crate) fn plain_line(&self, line: &str) {
        self.clear_status();
        if let Some(writer) = &self.writer {
            return writer.say(|dropped| after_dropped(dropped, line));
        }
        // A closed pipe is no reason to give up a dump.
        let write = || match self.output {
            Output::Stdout => writeln!(std::io::stdout(), "{line}"),
            Output::Stderr => writeln!(std::io::stderr(), "{line}"),
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
        let dump = self.wording.dump(written.number);
        let which = self.which(written.record.pid);
        let path = written.path.as_ref().map(|path| path.display().to_string());
        let path = console::plain(&path.unwrap_or_else(|| "standard output".to_owned()));
        if written.record.complete {
            let text = self.wording.complete(written, &path);
            self.line(&(text + &which));
        } else {
            let pause = pause(written);
            self.error_line(&format!("{dump} incomplete: {path} ({pause}){which}"));
        }
        if written.record.gap_count > 0 {
            let (count, bytes) = (
                written.record.gap_count,
                console::size(written.record.gap_bytes),
            );
            self.line(&format!(
                "{dump} has {}: {bytes} of memory are not in it",
                policy::print_count(count, "gap")
            ));
        }
        for file in &written.record.absent_files {
            self.line(&format!(
                "{dump} lacks a mapped file of {}: {}",
                console::size(file.bytes),
                console::plain(&file.path)
            ));
        }
        for warning in &written.record.warnings {
            self.line(&format!("{dump} warning: {}", console::plain(warning)));
        }
    }
}

fn after_dropped(dropped: u64, line: &str) -> String {
    match dropped {
        0 => line.to_owned(),
        _ => format!("({dropped} lines were dropped: nobody read them in time)\n{line}"),
    }
}
