//! Shows events to people, or passes them on to `json.rs`.

use super::{Header, Job, json, monitors::Monitors, summary::RunSummary};
use crate::ui::{LineWriter, Output, Reporter, Wording, console};
use collector::{ExceptionRow, LeftOver, ProgramStep, RunEvent};
use policy::{
    ClauseStatus, FinishReason, Follow, Rule, RuleId, SuppressReason, Suppressed, Target,
};
use snapshot::{EndStatus, ProcessKey};
use std::{collections::BTreeMap, time::Duration};

/// The most lines of live status. If there are more, only their number is shown.
const MOST_LINES: usize = 20;

/// Shows the events of one run.
pub(crate) struct Show {
    reporter: Reporter,
    /// Where events are printed as JSON, if they are.
    json: Option<LineWriter>,
    /// For each rule, whether it has a number of dumps to reach.
    has_number: BTreeMap<u32, bool>,
    /// For each rule that is over, why.
    finished: BTreeMap<u32, FinishReason>,
    header: Option<Header>,
    monitors: Monitors,
    wording: Wording,
    /// Whether a process is waited for, so that it is told when it is found.
    waits: bool,
    /// Whether one process is watched, so that lines need not name it.
    single: bool,
    /// For each process and name of an exception, the stack of its first occurrence.
    stacks: BTreeMap<(ProcessKey, String), Vec<String>>,
}

impl Show {
    /// Shows the rules of `job` if its wording asks for that. Takes the header out of `job`.
    pub(crate) fn new(job: &mut Job) -> Self {
        let output = if job.json {
            Output::Stderr
        } else {
            Output::Stdout
        };
        let reporter = match job.launch {
            Some(_) => Reporter::never_waiting(output).shared(),
            None => Reporter::never_waiting(output),
        };
        let reporter = reporter.worded(job.wording);
        if job.wording == Wording::Sentences && !job.json {
            for (rule, _) in &job.rules {
                reporter.plain_line(&sentence(rule));
            }
        }
        let has_number = job.rules.iter().enumerate();
        let has_number = has_number
            .map(|(at, (rule, _))| (at as u32, is_limited(rule)))
            .collect();
        let single = matches!(&job.rules[..], [(rule, _)] if !rule.is_about_several());
        let names_processes = !single && job.wording != Wording::ProcDumpForLinux;
        let reporter = reporter.naming_processes(names_processes);
        let mut follows = job.rules.iter().map(|(rule, _)| rule.follow);
        let waits = job.wait || follows.any(|follow| follow == Follow::Next);
        let header = job.header.take();
        Self {
            reporter,
            json: job.json.then(|| LineWriter::to(console::print_json)),
            has_number,
            finished: BTreeMap::new(),
            header,
            monitors: Monitors::new(job.wording, !single),
            wording: job.wording,
            waits: waits && job.wording == Wording::Sentences,
            single,
            stacks: BTreeMap::new(),
        }
    }

    /// Shows lines about what is waited for, and the header if it is about no single process.
    pub(crate) fn begin(&mut self, waiting: &[String]) {
        if self.json.is_some() {
            return;
        }
        waiting
            .iter()
            .for_each(|text| self.reporter.plain_line(text));
        if let Some(text) = self.header.as_ref().and_then(|header| header(None)) {
            self.reporter.plain_line(&text);
            self.header = None;
        }
    }

    /// How often the status of all conditions is shown: at each sample on a terminal, seldom as JSON, where
    /// each trigger is an event anyway, and otherwise never (`None`).
    pub(crate) fn status_every(&self, poll: Duration) -> Option<Duration> {
        match self.json {
            Some(_) => Some(json::STATUS_EVERY.max(poll)),
            None => self.reporter.is_live().then_some(poll),
        }
    }

    /// Shows an event. `status` is how a process ended that firstchance launched, if the event is its end and
    /// does not tell that itself.
    pub(crate) fn show(&mut self, event: &RunEvent, status: Option<EndStatus>) {
        if let RunEvent::RuleFinished {
            rule: RuleId(rule),
            why,
            ..
        } = event
        {
            self.finished.insert(*rule, *why);
        }
        if let Some(writer) = &self.json {
            json::print_event(writer, event, status);
            return;
        }
        match event {
            RunEvent::Step(step) => self.reporter.step(step),
            RunEvent::Trigger { process, trigger } => {
                let which = self.which(*process);
                self.line(&self.wording.trigger(trigger, *process, &which));
            }
            RunEvent::Exited { process, .. } if self.monitors.had_stopped(*process) => {}
            RunEvent::Exited {
                process,
                status: seen,
            } => {
                self.exited(*process, seen.or(status));
                self.stopped(*process);
                // It is remembered no longer.
                self.monitors.had_stopped(*process);
            }
            RunEvent::DumpFailed {
                number,
                process,
                error,
            } => {
                let text = self.wording.failed(*number, error);
                let which = self.reporter.which(process.pid);
                self.reporter.error_line(&(text + &which));
            }
            RunEvent::Suppressed(suppressed) => self.suppressed(suppressed),
            RunEvent::Status(status) => {
                let lines = status_lines(status, self.reporter.width());
                self.reporter.status(&lines);
            }
            RunEvent::FirstStack {
                process,
                name,
                frames,
            } => {
                let of = (*process, name.clone());
                self.stacks.insert(of, frames.clone());
            }
            RunEvent::Exceptions { process, table } => self.exceptions(*process, table),
            RunEvent::Log {
                process,
                text,
                came,
            } => {
                let text = format!("{}{}", console::plain(text), self.which(*process));
                self.reporter.line_at(console::at(*came), &text);
            }
            RunEvent::Storm {
                active: true, rate, ..
            } => self.line(&format!(
                "{rate} exceptions a second: until they become fewer, they are only counted"
            )),
            RunEvent::Storm { active: false, .. } => {
                self.line("Exceptions are fewer again: each is judged.")
            }
            RunEvent::Program {
                process,
                pid,
                program,
                step,
            } => self.line(&format!(
                "Program {pid} {}: {}{}",
                program_step(step),
                console::plain(program),
                self.which(*process)
            )),
            RunEvent::Failed(error) | RunEvent::Refused { error, .. } => {
                self.reporter.error_line(&self.wording.error(error));
            }
            RunEvent::Remark(text) => self.line(&format!("Note: {text}")),
            RunEvent::Missed { pid, name } => self.line(&format!(
                "{} (pid {pid}) ended before it could be looked at",
                console::plain(name)
            )),
            RunEvent::Unseen(count) => {
                let processes = if *count == 1 { "process" } else { "processes" };
                self.line(&format!(
                    "{count} {processes} had ended before being watched: what they did, and died of, was not seen"
                ));
            }
            RunEvent::Nameless(count) => self.line(&nameless(*count)),
            RunEvent::Effective => {
                if self.wording == Wording::Sentences {
                    self.reporter.plain_line(
                        "Press Ctrl-C to end monitoring without terminating the process.",
                    );
                }
            }
            RunEvent::Notice { process, lines } => {
                for text in lines {
                    self.line(&format!(
                        "Note: {}{}",
                        console::plain(text),
                        self.which(*process)
                    ));
                }
            }
            RunEvent::Stack { lines, .. } => {
                lines
                    .iter()
                    .for_each(|text| self.line(&console::plain(text)));
            }
            RunEvent::Watching(process) if self.waits => {
                self.line(&format!("Found process {process}."));
            }
            RunEvent::Watching(process) => {
                if let Some(text) = self.header.take().and_then(|header| header(Some(*process))) {
                    self.reporter.plain_line(&text);
                }
                let started = self.monitors.start(*process);
                started.iter().for_each(|text| self.line(text));
            }
            RunEvent::Done(process) => self.stopped(*process),
            RunEvent::Armed(_) | RunEvent::Dumped(_) | RunEvent::RuleFinished { .. } => {}
        }
    }

    /// Shows what cannot be had, though the run goes on.
    pub(crate) fn warning(&self, error: &platform::Error) {
        let text = console::plain(&self.wording.warning(error));
        match &self.json {
            // Not among the lines for programs.
            Some(_) => console::complain(&text),
            None => self.reporter.warning_line(&text),
        }
    }

    /// Shows what became of a file that an earlier run had left behind when it was killed.
    pub(crate) fn cleared(&self, left: &LeftOver) {
        let (what, path) = match left {
            LeftOver::Deleted(path) => ("deleted", path),
            LeftOver::Named(path) => ("whole, and named now", path),
        };
        let path = path.display().to_string();
        match &self.json {
            Some(writer) => json::print_cleared(writer, left, &path),
            None => self.line(&format!(
                "Left behind by a run that was killed, {what}: {}",
                console::plain(&path)
            )),
        }
    }

    /// Shows the last line: whether every rule took all its dumps.
    pub(crate) fn end(&mut self, summary: &RunSummary) {
        self.reporter.status(&[]);
        if let Some(writer) = &self.json {
            json::print_end(writer, summary);
            return;
        }
        for text in self.monitors.stop_all() {
            self.line(&text);
        }
        let text = match () {
            () if summary.cancelled => "Monitoring was cancelled.",
            () if summary.cancelled_by_pid => self.wording.ended_by_pid(),
            () if !self.has_number.values().any(|has_number| *has_number) => {
                "Monitoring has ended."
            }
            () if self.all_reached() && summary.gave_up.is_none() => "Dump count reached.",
            () => "Dump count not reached.",
        };
        self.line(text);
    }

    /// Whether every rule took all the dumps that it was to take. A rule without a number to reach
    /// did, unless it could do nothing: its processes may not be touched, or every dump failed.
    pub(crate) fn all_reached(&self) -> bool {
        self.has_number
            .iter()
            .all(|(rule, has_number)| match self.finished.get(rule) {
                Some(FinishReason::Refused | FinishReason::Failed) => false,
                finished => !has_number || finished == Some(&FinishReason::CountReached),
            })
    }

    fn stopped(&mut self, process: ProcessKey) {
        let stopped = self.monitors.stop(process);
        stopped.iter().for_each(|text| self.line(text));
    }

    fn exited(&self, process: ProcessKey, status: Option<EndStatus>) {
        let status = status.map(|status| format!(" ({status})"));
        let status = status.unwrap_or_default();
        let which = self.which(process);
        let text = self.wording.exited(process, &status, &which);
        self.reporter.warning_line(&text);
    }

    /// Shows that a trigger did nothing. In ProcDump's words, that the time between two dumps is kept (`-s`) is shown once in
    /// this time, and that each threshold of a list takes one dump only is not shown.
    fn suppressed(&self, suppressed: &Suppressed) {
        let text = match (suppressed.why, suppressed.times) {
            (SuppressReason::Window(_, opens_in), 1) if self.wording.is_of_procdump() => self
                .wording
                .paused(&suppressed.trigger, suppressed.process, opens_in),
            (SuppressReason::Window(..) | SuppressReason::ClauseLimit(_), _)
                if self.wording.is_of_procdump() =>
            {
                return;
            }
            _ => suppressed_text(suppressed),
        };
        self.line(&text);
    }

    /// Shows the exceptions of a process, most frequent first, each with the stack of its first occurrence.
    fn exceptions(&self, process: ProcessKey, table: &[ExceptionRow]) {
        // A single exception was shown when it happened.
        if table.iter().map(|row| row.count).sum::<u64>() < 2 {
            return;
        }
        self.line(&format!("Exceptions:{}", self.which(process)));
        self.line("     count  unhandled  first     last      name");
        for row in table {
            let (first, last) = (console::time(row.first), console::time(row.last));
            let (count, unhandled) = (row.count, row.unhandled);
            let name = console::plain(&row.name);
            self.line(&format!(
                "{count:>10} {unhandled:>10}  {first}  {last}  {name}"
            ));
            for frame in self
                .stacks
                .get(&(process, row.name.clone()))
                .into_iter()
                .flatten()
            {
                self.line(&format!("{:43}{}", "", console::plain(frame)));
            }
        }
    }

    /// The end of a line that names the process; empty if only one is watched.
    fn which(&self, process: ProcessKey) -> String {
        if self.single {
            String::new()
        } else {
            format!(" (process {process})")
        }
    }

    fn line(&self, text: &str) {
        self.reporter.line(text);
    }
}

/// What a program did that a rule has started.
fn program_step(step: &ProgramStep) -> String {
    match step {
        ProgramStep::Started => "started".to_owned(),
        ProgramStep::GoesOn => "goes on without firstchance".to_owned(),
        ProgramStep::Ended {
            status,
            took,
            last_line,
        } => {
            let status = status.map_or("it is not known how".to_owned(), |s| s.to_string());
            let last = match last_line.is_empty() {
                true => String::new(),
                false => format!(", \"{}\"", console::plain(last_line)),
            };
            format!("ended after {:.1} s ({status}{last})", took.as_secs_f64())
        }
    }
}

/// Whether a rule has a number of dumps to reach.
fn is_limited(rule: &Rule) -> bool {
    rule.limits.max_dumps.is_some() || rule.clauses.iter().any(|clause| clause.limit.is_some())
}

fn suppressed_text(suppressed: &Suppressed) -> String {
    let Suppressed {
        trigger,
        process,
        why,
        times,
        ..
    } = suppressed;
    let times = match times {
        1 => String::new(),
        times => format!(" ({times} times)"),
    };
    format!("No dump for \"{trigger}\" of process {process}: {why}{times}")
}

/// One line for each condition: its value, the condition, how long it has held, and the number of dumps. What
/// matters least comes last, because a narrow terminal cuts lines off.
fn status_lines(status: &[ClauseStatus], width: usize) -> Vec<String> {
    let shown = &status[..status.len().min(MOST_LINES)];
    let texts: Vec<String> = shown.iter().map(|s| s.condition.to_string()).collect();
    let longest = texts.iter().map(|text| text.chars().count()).max();
    let column = longest
        .unwrap_or(0)
        .min(width.saturating_sub(OTHER_COLUMNS).max(NARROWEST));
    let lines = shown.iter().zip(&texts);
    let mut lines: Vec<String> = lines
        .map(|(status, text)| status_line(status, &console::cut(text, column), column))
        .collect();
    if status.len() > lines.len() {
        lines.push(format!("… and {} more", status.len() - lines.len()));
    }
    lines
}

/// The width of a line without its condition, in columns.
const OTHER_COLUMNS: usize = 47;
/// The least width of a condition, in columns: less of it would not be understood.
const NARROWEST: usize = 19;

fn status_line(status: &ClauseStatus, condition: &str, column: usize) -> String {
    let value = match &status.value[..] {
        "" => "-",
        value => value,
    };
    let (pid, held) = (status.process.pid, status.held.as_secs());
    let dumps = policy::print_count(status.dumps.into(), "dump");
    format!("{pid:>7}  {value:>9}  {condition:<column$}  held {held:>4} s  {dumps}")
}

/// The rule as a sentence; a program that we start is named as the user named it, without the mark that its text in a
/// file has.
fn sentence(rule: &Rule) -> String {
    let text = rule.to_string();
    match &rule.target {
        Target::Launch(program) => text.replacen(&rule.target.to_string(), program, 1),
        _ => text,
    }
}

/// That so many programs had ended before their names could be read.
fn nameless(count: u64) -> String {
    match count {
        1 => "1 program ended before its name could be read: whether it was meant is not known"
            .to_owned(),
        _ => format!(
            "{count} programs ended before their names could be read: whether they were meant is not known"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_shows_value_and_condition() {
        let when = policy::parse_when("memory > 3000MiB and threads > 10 for 20s");
        let status = ClauseStatus {
            rule: RuleId(0),
            clause: 0,
            process: ProcessKey { pid: 7, start: 0 },
            condition: when.expect("a condition").remove(0),
            value: "4.00MiB, 1".to_owned(),
            held: Duration::ZERO,
            dumps: 1,
        };
        let line = |width| status_lines(std::slice::from_ref(&status), width).remove(0);
        assert!(line(40).starts_with("      7  4.00MiB, 1  memory > 3000MiB a…  held"));
        assert!(line(200).ends_with("threads > 10 for 20s  held    0 s  1 dump"));
    }

    #[test]
    fn n43_one_program_is_no_plural() {
        assert!(nameless(1).starts_with("1 program ended before its name "));
        assert!(nameless(2).starts_with("2 programs ended before their names "));
    }

    #[test]
    fn n43_a_program_that_is_started_is_named_without_a_mark() {
        let rule: Rule = "on launch:../grow, when exit, do mini dump"
            .parse()
            .expect("a rule");
        assert_eq!(sentence(&rule), "on ../grow, when exit, do mini dump");
    }

    #[test]
    fn figures_read_as_a_sentence() {
        let suppressed = |why| Suppressed {
            process: ProcessKey { pid: 7, start: 0 },
            rule: RuleId(0),
            clause: 0,
            trigger: policy::Trigger::Manual,
            why,
            times: 1,
        };
        let resting = SuppressReason::Resting(Duration::from_nanos(1_003_307_581));
        for (why, told) in [
            (
                SuppressReason::RuleLimit(1),
                "limit of 1 dump of the rule reached",
            ),
            (
                SuppressReason::ClauseLimit(2),
                "limit of 2 times for this condition reached",
            ),
            (resting, "the last dump failed, the next try is in 1100ms"),
        ] {
            let told = format!("No dump for \"Manual dump\" of process 7: {told}");
            assert_eq!(suppressed_text(&suppressed(why)), told);
        }
    }
}
