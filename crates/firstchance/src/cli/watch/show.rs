//! What a person sees of rules at work.

use super::{Header, Job, json};
use crate::cli::console::{self, Lines, Reporter};
use collector::{Ended, Happening};
use policy::{
    ClauseStatus, Command, Finish, Follow, Rule, RuleId, Suppressed, Why, print_duration,
};
use snapshot::ProcessKey;
use std::{collections::BTreeMap, time::Duration};

/// Most lines of live status; the rest is told as a number.
const MOST_LINES: usize = 20;

/// Shows what happens.
pub(crate) struct Show {
    reporter: Reporter,
    json: bool,
    /// Whether each rule has a number of dumps to reach, and how it ended.
    wanted: BTreeMap<u32, bool>,
    finished: BTreeMap<u32, Finish>,
    header: Option<Header>,
    /// One process is watched, so that lines need not say which.
    single: bool,
}

impl Show {
    pub(crate) fn new(job: &mut Job) -> Self {
        let lines = if job.json { Lines::Error } else { Lines::Out };
        let reporter = Reporter::new(lines);
        if job.sentences && !job.json {
            for (rule, _) in &job.rules {
                reporter.plain_line(&rule.to_string());
            }
            reporter.plain_line("Press Ctrl-C to end monitoring without terminating the process.");
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
            json: job.json,
            wanted,
            finished: BTreeMap::new(),
            header,
            single,
        }
    }

    /// Shows one happening.
    pub(crate) fn show(&mut self, happening: &Happening) {
        if let Happening::RuleFinished {
            rule: RuleId(rule),
            why,
            ..
        } = happening
        {
            self.finished.insert(*rule, *why);
        }
        if self.json {
            json::print(happening);
            return;
        }
        match happening {
            Happening::Step(step) => self.reporter.step(step),
            Happening::Trigger { process, reason } => {
                self.line(&format!("Trigger: {reason}{}", self.which(*process)));
            }
            Happening::Exited { process, status } => {
                let status = status.map_or(String::new(), status_text);
                self.line(&format!(
                    "The process has exited{status}.{}",
                    self.which(*process)
                ));
            }
            Happening::DumpFailed { number, error } => {
                self.line(&format!("Dump {number} error: {error}"));
            }
            Happening::Suppressed(suppressed) => self.line(&suppressed_text(suppressed)),
            Happening::Status(status) => self.reporter.status(&status_lines(status)),
            Happening::Command(command) => self.command(command),
            Happening::Failed(error) => self.line(&format!("Error: {error}")),
            Happening::Watching(process) => {
                let header = self.header.take().and_then(|header| header(*process));
                header
                    .iter()
                    .for_each(|text| self.reporter.plain_line(text));
            }
            Happening::Dumped(_) | Happening::RuleFinished { .. } => {}
        }
    }

    /// The last line: whether what was asked for was done.
    pub(crate) fn end(&mut self, ended: &Ended) {
        self.reporter.status(&[]);
        if self.json {
            json::end(ended);
            return;
        }
        let text = match () {
            () if ended.cancelled => "Monitoring was cancelled.",
            () if ended.cancelled_by_pid => "Monitoring was ended by `firstchance cancel`.",
            () if self.all_reached() => "Dump count reached.",
            () => "Dump count not reached.",
        };
        self.line(text);
    }

    /// Whether every rule took all the dumps it was to take, or had no number to reach.
    pub(crate) fn all_reached(&self) -> bool {
        self.wanted
            .iter()
            .all(|(rule, wanted)| !wanted || self.finished.get(rule) == Some(&Finish::CountReached))
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Log { text, .. } => self.line(&console::plain(text)),
            Command::Storm {
                active: true, rate, ..
            } => self.line(&format!(
                "{rate} exceptions a second: they are only counted until it is fewer"
            )),
            Command::Storm { active: false, .. } => self.line("Exceptions are looked at again."),
            _ => {}
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

fn status_text(status: i32) -> String {
    if status < 0 {
        format!(" by signal {}", -status)
    } else {
        format!(" with code {status}")
    }
}

/// `1 dump`, `2 dumps`.
fn counted(number: u32, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Rounded up: nobody waits for nanoseconds.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

fn suppressed_text(suppressed: &Suppressed) -> String {
    let why = match suppressed.why {
        Why::ClauseLimit(times) => format!("this condition has acted {}", counted(times, "time")),
        Why::RuleLimit(dumps) => format!("the rule has its {}", counted(dumps, "dump")),
        Why::Window(window) => {
            format!(
                "{} in {} will do",
                counted(window.count, "dump"),
                print_duration(window.within)
            )
        }
        Why::Busy => "a dump of the process is still being written".to_owned(),
        Why::Resting(rest) => {
            format!(
                "the last dump failed, the next try is in {}",
                print_duration(whole_seconds(rest))
            )
        }
        Why::Storm => "exceptions come too fast to look at each".to_owned(),
    };
    let times = if suppressed.times > 1 {
        format!(" ({} times)", suppressed.times)
    } else {
        String::new()
    };
    format!(
        "No dump for \"{}\" of process {}: {why}{times}",
        suppressed.reason, suppressed.process
    )
}

/// One line a condition: what, how it stands, how long it has held, dumps so far.
fn status_lines(status: &[ClauseStatus]) -> Vec<String> {
    let mut lines: Vec<String> = status.iter().take(MOST_LINES).map(status_line).collect();
    if status.len() > lines.len() {
        lines.push(format!("… and {} more", status.len() - lines.len()));
    }
    lines
}

fn status_line(status: &ClauseStatus) -> String {
    let value = if status.value.is_empty() {
        "-"
    } else {
        &status.value
    };
    let held = status.held.as_secs();
    let dumps = if status.dumps == 1 {
        "1 dump".to_owned()
    } else {
        format!("{} dumps", status.dumps)
    };
    let condition = status.condition.to_string();
    format!(
        "{:>7}  {condition:<36}  now {value:<10}  held {held:>4} s  {dumps}",
        status.process.pid
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_a_sentence() {
        let suppressed = |why| Suppressed {
            process: ProcessKey { pid: 7, start: 0 },
            rule: RuleId(0),
            clause: 0,
            reason: "now".to_owned(),
            why,
            times: 1,
        };
        let resting = Why::Resting(Duration::from_nanos(1_003_307_581));
        for (why, told) in [
            (Why::RuleLimit(1), "the rule has its 1 dump"),
            (Why::ClauseLimit(2), "this condition has acted 2 times"),
            (resting, "the last dump failed, the next try is in 2s"),
        ] {
            let told = format!("No dump for \"now\" of process 7: {told}");
            assert_eq!(suppressed_text(&suppressed(why)), told);
        }
    }
}
