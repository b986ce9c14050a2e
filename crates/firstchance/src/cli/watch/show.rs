//! What a person sees of rules at work.

use super::{Header, Job, Voice, ended::Ended, json};
use crate::ui::{LineWriter, Output, Reporter, console};
use collector::{ExceptionRow, RunEvent};
use policy::{ClauseStatus, Finish, Follow, Rule, RuleId, Suppressed, Why};
use snapshot::ProcessKey;
use std::{collections::BTreeMap, path::Path, time::Duration};

/// Most lines of live status; the rest is told as a number.
const MOST_LINES: usize = 20;

/// Shows what happens.
pub(crate) struct Show {
    reporter: Reporter,
    /// Where events for programs go.
    json: Option<LineWriter>,
    /// Whether each rule has a number of dumps to reach, and how it ended.
    wanted: BTreeMap<u32, bool>,
    finished: BTreeMap<u32, Finish>,
    header: Option<Header>,
    voice: Voice,
    /// One process is watched, so that lines need not say which.
    single: bool,
    /// Where exceptions came from first, by process and name.
    stacks: BTreeMap<(ProcessKey, String), Vec<String>>,
}

impl Show {
    pub(crate) fn new(job: &mut Job) -> Self {
        let output = if job.json {
            Output::Stderr
        } else {
            Output::Stdout
        };
        let reporter = Reporter::never_waiting(output);
        if job.voice == Voice::Sentences && !job.json {
            for (rule, _) in &job.rules {
                reporter.plain_line(&rule.to_string());
            }
        }
        let wanted = job.rules.iter().enumerate();
        let wanted = wanted
            .map(|(at, (rule, _))| (at as u32, has_number(rule)))
            .collect();
        let single =
            matches!(&job.rules[..], [(rule, _)] if rule.follow != Follow::Each && !rule.children);
        let header = job.header.take();
        Self {
            reporter,
            json: job.json.then(|| LineWriter::to(console::print)),
            wanted,
            finished: BTreeMap::new(),
            header,
            voice: job.voice,
            single,
            stacks: BTreeMap::new(),
        }
    }

    /// How often it wants to know how every condition stands: at each poll on a terminal, seldom
    /// for programs, who are told each trigger anyway.
    pub(crate) fn status_every(&self, poll: Duration) -> Option<Duration> {
        match self.json {
            Some(_) => Some(json::STATUS_EVERY.max(poll)),
            None => self.reporter.is_live().then_some(poll),
        }
    }

    /// Shows one event; of the end of a process that we launched, with its status.
    pub(crate) fn show(&mut self, event: &RunEvent, status: Option<i32>) {
        if let RunEvent::RuleFinished {
            rule: RuleId(rule),
            why,
            ..
        } = event
        {
            self.finished.insert(*rule, *why);
        }
        if let Some(writer) = &self.json {
            json::tell(writer, event, status);
            return;
        }
        match event {
            RunEvent::Step(step) => self.reporter.step(step),
            RunEvent::Trigger { process, trigger } => {
                self.line(&format!("Trigger: {trigger}{}", self.which(*process)));
            }
            RunEvent::Exited(process) => self.exited(*process, status),
            RunEvent::DumpFailed { number, error, .. } => {
                self.line(&format!("Dump {number} error: {error}"));
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
            RunEvent::Log { text, .. } => self.line(&console::plain(text)),
            RunEvent::Storm {
                active: true, rate, ..
            } => self.line(&format!(
                "{rate} exceptions a second: they are only counted until it is fewer"
            )),
            RunEvent::Storm { active: false, .. } => self.line("Exceptions are looked at again."),
            RunEvent::Failed(error) | RunEvent::Refused { error, .. } => {
                self.line(&format!("Error: {error}"));
            }
            RunEvent::Effective => {
                if self.voice == Voice::Sentences {
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
            RunEvent::Watching(process) => {
                let header = self.header.take().and_then(|header| header(*process));
                header
                    .iter()
                    .for_each(|text| self.reporter.plain_line(text));
            }
            RunEvent::Armed(_) | RunEvent::Dumped(_) | RunEvent::RuleFinished { .. } => {}
        }
    }

    /// Says that a file was removed that a run which was killed had left.
    pub(crate) fn cleared(&self, path: &Path) {
        let path = path.display().to_string();
        match &self.json {
            Some(writer) => json::cleared(writer, &path),
            None => self.line(&format!(
                "Left behind by a run that was killed, deleted: {}",
                console::plain(&path)
            )),
        }
    }

    /// The last line: whether what was asked for was done.
    pub(crate) fn end(&mut self, ended: &Ended) {
        self.reporter.status(&[]);
        if let Some(writer) = &self.json {
            json::end(writer, ended);
            return;
        }
        let text = match () {
            () if ended.cancelled => "Monitoring was cancelled.",
            () if ended.cancelled_by_pid => "Monitoring was ended by `firstchance cancel`.",
            () if !self.wanted.values().any(|wanted| *wanted) => "Monitoring has ended.",
            () if self.all_reached() => "Dump count reached.",
            () => "Dump count not reached.",
        };
        self.line(text);
    }

    /// Whether every rule took all the dumps it was to take. A rule without a number to reach did,
    /// unless it could do nothing: its processes may not be touched, or every dump failed.
    pub(crate) fn all_reached(&self) -> bool {
        self.wanted
            .iter()
            .all(|(rule, wanted)| match self.finished.get(rule) {
                Some(Finish::Refused | Finish::Failed) => false,
                finished => !wanted || finished == Some(&Finish::CountReached),
            })
    }

    fn exited(&self, process: ProcessKey, status: Option<i32>) {
        let status = status.filter(|_| self.voice != Voice::ProcDump);
        let status = status.map(|status| format!(" ({})", policy::print_exit_status(status)));
        let status = status.unwrap_or_default();
        let which = self.which(process);
        self.line(&format!("The process has exited{status}.{which}"));
    }

    /// That a pause between two dumps is kept (`-s`), and that each of a list of thresholds takes
    /// one, ProcDump does not say.
    fn suppressed(&self, suppressed: &Suppressed) {
        let expected = matches!(suppressed.why, Why::Window(_) | Why::ClauseLimit(_));
        if !(expected && self.voice == Voice::ProcDump) {
            self.line(&suppressed_text(suppressed));
        }
    }

    /// What a process has thrown, most frequent first, each with where it came from first.
    fn exceptions(&self, process: ProcessKey, table: &[ExceptionRow]) {
        // A single one has been told already.
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

    /// Which process a line is about, where that is not clear.
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

fn has_number(rule: &Rule) -> bool {
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

/// One line a condition: how it stands, what, how long it has held, dumps so far. What matters
/// least comes last, where a narrow terminal cuts.
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

/// What a line takes beside its condition.
const OTHER_COLUMNS: usize = 47;
/// Less of a condition tells nothing.
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
    fn figures_read_as_a_sentence() {
        let suppressed = |why| Suppressed {
            process: ProcessKey { pid: 7, start: 0 },
            rule: RuleId(0),
            clause: 0,
            trigger: policy::Trigger::Manual,
            why,
            times: 1,
        };
        let resting = Why::Resting(Duration::from_nanos(1_003_307_581));
        for (why, told) in [
            (Why::RuleLimit(1), "limit of 1 dump of the rule reached"),
            (
                Why::ClauseLimit(2),
                "limit of 2 times for this condition reached",
            ),
            (resting, "the last dump failed, the next try is in 1100ms"),
        ] {
            let told = format!("No dump for \"Manual dump\" of process 7: {told}");
            assert_eq!(suppressed_text(&suppressed(why)), told);
        }
    }
}
