//! Timelines of a runner on a simulated machine: who ends when, which orders cross which ends.
//!
//! The threads are real, time is not: each test waits for what is told, never for a time.

mod dumps;
mod ends;
mod starts;

use super::{DumpOptions, RunEvent, Runner, Setup};
use crate::Destination;
use platform::{Cancel, Existing, HoldOptions, Stop, sim::SimMachine};
use policy::{Rule, Settings};
use snapshot::{DumpFormat, EndStatus, Measure, ProcessKey, TargetEvent};
use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

/// Real time after which a test that waits in vain fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A runner on a simulated machine, and what it has told.
struct Timeline {
    machine: SimMachine,
    runner: Runner,
    folder: tempfile::TempDir,
    cancel: Cancel,
    /// What was told, as short lines: `7 trigger: …`, `dump 1 failed`.
    told: Vec<String>,
    read: usize,
}

impl Timeline {
    fn new() -> Self {
        let machine = SimMachine::default();
        let (host, cancel) = (machine.clone(), Cancel::default());
        let runner = Runner::new(Setup {
            settings: Settings::new(1),
            status: None,
            machine: Arc::new(move || host.host()),
            holds: HoldOptions::default(),
            cancel: cancel.clone(),
        });
        let runner = runner.expect("a runner");
        look_now_and_then(&runner);
        Self {
            machine,
            runner,
            folder: tempfile::tempdir().expect("a folder"),
            cancel,
            told: Vec::new(),
            read: 0,
        }
    }

    /// Puts rules to work that must have their processes.
    fn add(&mut self, rules: &[&str]) {
        let parsed = rules.iter().map(|rule| {
            let rule: Rule = rule.parse().unwrap_or_else(|error| panic!("{error}"));
            (rule, self.options())
        });
        let parsed = parsed.collect();
        self.runner.add(parsed, false).expect("processes");
    }

    fn options(&self) -> DumpOptions {
        DumpOptions {
            destination: Destination::Folder(self.folder.path().to_owned()),
            existing: Existing::NextName,
            comment: None,
            command_line: None,
            timeout: None,
            stop: Stop::Threads,
            max_pause: None,
            format: |_| DumpFormat::Core,
            kill_after: false,
            numbers_each_process: false,
            windows: crate::WindowsOptions::default(),
        }
    }

    /// Goes on until a line is told that begins like this, and returns it; lines that were told
    /// before the last call do not count.
    fn until(&mut self, beginning: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let new = self.told[self.read..].iter();
            if let Some(at) = { new }.position(|line| line.starts_with(beginning)) {
                self.read += at + 1;
                return self.told[self.read - 1].clone();
            }
            assert!(
                Instant::now() < end,
                "`{beginning}` in vain: {:#?}",
                self.told
            );
            self.step();
        }
    }

    /// Goes on until this holds of the machine.
    fn wait(&mut self, what: &str, holds: impl Fn(&SimMachine) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(&self.machine) {
            assert!(Instant::now() < end, "{what} in vain: {:#?}", self.told);
            self.step();
        }
    }

    /// Goes on until the run is over, ends it, and returns everything that it has told.
    fn finish(mut self) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        while !self.runner.is_over() {
            assert!(Instant::now() < end, "it goes on: {:#?}", self.told);
            self.step();
        }
        let mut told = self.told;
        self.runner.close(&mut |event| told.extend(line(&event)));
        told
    }

    fn step(&mut self) {
        let events = self.runner.step();
        self.told.extend(events.iter().filter_map(line));
    }

    /// Time goes on, and the runner looks at it.
    fn advance(&mut self, by: Duration) {
        self.machine.advance(by);
        self.runner.handle().look();
    }

    /// A process has so many threads from its next sample on, which comes now.
    fn threads(&mut self, process: ProcessKey, count: u32) {
        self.machine.set(process, Measure::Threads, count.into());
        self.advance(Duration::from_secs(1));
    }
}

/// So that a test that waits in vain fails instead of hanging.
fn look_now_and_then(runner: &Runner) {
    let handle = runner.handle();
    std::thread::spawn(move || {
        for _ in 0..2 * PATIENCE.as_millis() / 100 {
            std::thread::sleep(Duration::from_millis(100));
            handle.look();
        }
    });
}

fn line(event: &RunEvent) -> Option<String> {
    let mut line = String::new();
    let _ = match event {
        RunEvent::Watching(process) => write!(line, "{process} watched"),
        RunEvent::Armed(process) => write!(line, "{process} armed"),
        RunEvent::Effective => write!(line, "effective"),
        RunEvent::Exited { process, .. } => write!(line, "{process} exited"),
        RunEvent::Refused { process, error } => write!(line, "{process} refused: {error}"),
        RunEvent::Trigger { process, trigger } => write!(line, "{process} trigger: {trigger}"),
        RunEvent::Dumped(dumps) => write!(line, "{} dumped", dumps.len()),
        RunEvent::DumpFailed { number, error, .. } => write!(line, "dump {number} failed: {error}"),
        RunEvent::RuleFinished { rule, why, dumps } => {
            write!(line, "rule {rule} finished: {why}, {dumps} written")
        }
        RunEvent::Missed { pid, name } => write!(line, "{name} {pid} missed"),
        RunEvent::Unseen(count) => write!(line, "{count} unseen"),
        RunEvent::Nameless(count) => write!(line, "{count} nameless"),
        RunEvent::Log { process, text, .. } => write!(line, "{process} log: {text}"),
        RunEvent::Failed(error) => write!(line, "failed: {error}"),
        RunEvent::Stack { process, .. } => write!(line, "{process} stack"),
        RunEvent::Suppressed(suppressed) => write!(line, "{suppressed}"),
        _ => return None,
    };
    Some(line)
}

fn count(told: &[String], beginning: &str) -> usize {
    told.iter()
        .filter(|line| line.starts_with(beginning))
        .count()
}

fn exiting(code: u32) -> TargetEvent {
    TargetEvent::Exiting {
        status: EndStatus::Code(code),
        sender: None,
    }
}

fn gone() -> TargetEvent {
    let at = snapshot::WallTime(0);
    TargetEvent::Exited { status: None, at }
}

fn usr1() -> TargetEvent {
    TargetEvent::Signal {
        number: 10,
        thread: 7,
        sender: None,
    }
}
