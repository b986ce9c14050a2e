//! Tests of the engine as timelines: a text says what happens when, and which commands must follow.

use super::*;
use crate::{Identity, parse_duration, parse_size};
use snapshot::{EndStatus, Exception, Measure, Sample, TargetEvent};
use std::{collections::HashMap, time::Duration};

mod levels;
mod of_limit;
mod random;
mod series;
mod share;
mod state;
mod storm;
mod timelines;

/// Runs a timeline with one rule. Each line has a time, an event, and after `=>` the commands that must
/// follow. The events are:
///
/// `found PID` and `started PID [as NAME] [under PARENT]`, where PID may be `7/2` for the second
/// process of that number; `7 exited`; `7 cpu 50%` (of one processor, since the last sample),
/// `7 used 5s` (cumulative), `7 memory 2GiB`, `7 handles 5`, `7 hang 1` …, several with commas;
/// `7 throws NAME`, `7 dies of NAME`, `7 counted N NAME`, `7 ends STATUS`, `7 gets SIGNAL`,
/// `7 reaches PLACE`, `7 prints TEXT`, `7 loads PATH`; `written ID`, `failed ID`, `cancelled ID`;
/// `tick`, and `due`, which is a tick exactly at the engine's deadline.
fn check(rule: &str, timeline: &str) {
    run(&[rule], 1, false, timeline);
}

/// The end of each process that a rule is about has to be reported, also if nothing else has.
#[test]
fn every_process_of_a_rule_is_watched_once() {
    for rule in [
        "on 7, when every 1h, do none",
        "on 7, when exit, do mini dump",
    ] {
        let mut machine = Machine::new(&[rule, rule], 1);
        let commands = machine.handle(Time::default(), "found 7");
        let is_watch = |command: &&Command| **command == Command::Watch(key("7"));
        assert_eq!(commands.iter().filter(is_watch).count(), 1, "{commands:?}");
    }
}

#[test]
fn n58_each_file_of_a_dump_has_a_number_of_its_own() {
    let mut machine = Machine::new(&["on app, when signal SIGUSR1, do mini and full dump"], 1);
    machine.handle(Time::default(), "found 7");
    let mut number = |second, event: &str| {
        let commands = machine.handle(Time::from_secs(second), event);
        commands.iter().find_map(|command| match command {
            Command::Dump(request) => Some(request.number),
            _ => None,
        })
    };
    assert_eq!(number(1, "7 gets SIGUSR1"), Some(1));
    assert_eq!(number(2, "written 1"), None);
    assert_eq!(number(3, "7 gets SIGUSR1"), Some(3));
    assert_eq!(number(4, "failed 2"), None);
    assert_eq!(
        number(5, "7 gets SIGUSR1"),
        Some(3),
        "as the one that failed"
    );
}

/// As `check`, and also expects the commands that say what to sample and to attach to.
fn check_needs(rule: &str, timeline: &str) {
    run(&[rule], 1, true, timeline);
}

/// Runs a timeline with several rules on a machine with `cpus` processors. `needs`: as in `check_needs`.
fn run(rules: &[&str], cpus: u32, needs: bool, timeline: &str) {
    let mut machine = Machine::new(rules, cpus);
    for line in timeline
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (given, expected) = line.split_once("=>").unwrap_or((line, ""));
        let (at, event) = given.trim().split_once(' ').unwrap();
        let now = Time(parse_duration(at).unwrap());
        let commands = machine.handle(now, event.trim());
        let is_expected = |c: &&Command| !matches!(c, Command::Watch(_)) && (needs || !is_need(c));
        let texts: Vec<_> = commands
            .iter()
            .filter(is_expected)
            .map(ToString::to_string)
            .collect();
        assert_eq!(texts.join("; "), expected.trim(), "at `{line}`");
    }
}

fn is_need(command: &Command) -> bool {
    matches!(
        command,
        Command::Sample { .. } | Command::Attach { .. } | Command::Detach(_)
    )
}

/// An engine, and the counters of the processes it watches.
struct Machine {
    rules: RuleSet,
    /// For each process, the time of its last sample and the CPU time it had used then.
    cpu: HashMap<ProcessKey, (Time, Duration)>,
}

impl Machine {
    fn new(rules: &[&str], cpus: u32) -> Self {
        let mut set = RuleSet::new(Settings {
            storm: 10,
            ..Settings::new(cpus)
        });
        for rule in rules {
            let rule = rule.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(set.add(Time::default(), rule).1, []);
        }
        Self {
            rules: set,
            cpu: HashMap::new(),
        }
    }

    fn handle(&mut self, now: Time, event: &str) -> Vec<Command> {
        if event == "due" {
            assert_eq!(self.rules.next_deadline(), Some(now), "the deadline");
        }
        let event = self.event(now, event);
        let commands = self.rules.handle(now, event);
        let deadline = self.rules.next_deadline();
        assert!(
            deadline.is_none_or(|deadline| deadline > now),
            "a deadline in the past"
        );
        commands
    }

    fn event(&mut self, now: Time, text: &str) -> Event {
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        let id = || DumpId(rest.parse().unwrap());
        match first {
            "found" => Event::Found(identity(rest)),
            "started" => Event::Started(identity(rest)),
            "written" => finished(id(), Outcome::Written),
            "failed" => finished(id(), Outcome::Failed("disk full".to_owned())),
            "skipped" => finished(id(), Outcome::Skipped),
            "cancelled" => finished(id(), Outcome::Cancelled("deadline".to_owned())),
            "tick" | "due" => Event::Tick,
            process => self.of_process(now, key(process), rest),
        }
    }

    fn of_process(&mut self, now: Time, process: ProcessKey, text: &str) -> Event {
        let (verb, object) = text.split_once(' ').unwrap_or((text, ""));
        let event = match verb {
            "exited" => return Event::Exited(process),
            "refused" => return Event::Refused(process),
            "throws" => exception(object, true),
            "dies" => exception(object.strip_prefix("of ").unwrap(), false),
            "ends" => TargetEvent::Exiting {
                status: status(object.parse().unwrap()),
                sender: None,
            },
            "gets" => TargetEvent::Signal {
                number: snapshot::signal_number(object).unwrap(),
                thread: 70,
                sender: Some(99),
            },
            "reaches" => TargetEvent::Breakpoint {
                place: object.parse().unwrap(),
                thread: 70,
                ends: None,
            },
            "prints" => TargetEvent::DebugString {
                text: object.to_owned(),
            },
            "loads" => TargetEvent::ModuleLoad {
                path: object.to_owned(),
                base: 0,
            },
            "counted" => {
                let (count, name) = object.split_once(' ').unwrap();
                let counts = vec![(name.to_owned(), count.parse().unwrap())];
                return Event::Counted(process, counts);
            }
            _ => return Event::Sample(process, self.sample(now, process, text)),
        };
        Event::Target(process, event)
    }

    fn sample(&mut self, now: Time, process: ProcessKey, text: &str) -> Sample {
        let mut sample = Sample {
            at: now,
            ..Sample::default()
        };
        for part in text.split(", ") {
            let (what, value) = part.split_once(' ').unwrap();
            let number = || match parse_size(value) {
                Ok(bytes) => bytes as f64,
                Err(_) => value.parse().unwrap(),
            };
            let measure = match what {
                "cpu" => {
                    let (then, used) = self.cpu.entry(process).or_default();
                    let rate: f64 = value.strip_suffix('%').unwrap().parse().unwrap();
                    *used += now.since(*then).mul_f64(rate / 100.0);
                    *then = now;
                    sample.cpu = Some(*used);
                    continue;
                }
                "used" => {
                    sample.cpu = Some(parse_duration(value).unwrap());
                    continue;
                }
                "memory" => Measure::Memory,
                "group" => Measure::MemoryOfLimit,
                "limit" => Measure::CpuLimit,
                "rss" => Measure::Rss,
                "threads" => Measure::Threads,
                "handles" => Measure::Handles,
                "hang" => Measure::Hang,
                "http" => Measure::Http("http://u".to_owned()),
                counter => Measure::Counter(counter.to_owned()),
            };
            sample.values.push((measure, number()));
        }
        sample
    }
}

fn finished(id: DumpId, outcome: Outcome) -> Event {
    Event::DumpFinished { id, outcome }
}

fn exception(text: &str, first_chance: bool) -> TargetEvent {
    let (name, message) = text.split_once(' ').unwrap_or((text, ""));
    TargetEvent::Exception(Exception {
        thread: 70,
        name: name.to_owned(),
        message: message.to_owned(),
        first_chance,
        ..Exception::default()
    })
}

fn key(text: &str) -> ProcessKey {
    let (pid, start) = text.split_once('/').unwrap_or((text, "1"));
    ProcessKey {
        pid: pid.parse().unwrap_or_else(|_| panic!("`{text}` is no pid")),
        start: start.parse().unwrap(),
    }
}

fn identity(text: &str) -> Identity {
    let (text, parent) = text.split_once(" under ").unwrap_or((text, "1"));
    let (pid, name) = text.split_once(" as ").unwrap_or((text, "app"));
    Identity {
        key: key(pid),
        parent: parent.parse().unwrap(),
        group: 44,
        name: name.to_owned(),
        ..Identity::default()
    }
}

/// The exit code, or minus a signal.
fn status(number: i32) -> EndStatus {
    match number {
        -64..=-1 => EndStatus::Signal(-number),
        code => EndStatus::Code(code as u32),
    }
}
