//! How much a program that handles 10,000 signals a second is slowed down while it is watched for
//! crashes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{
    Options,
    dump::release,
    measure::median,
    report::machine,
    target::{Running, Target},
    throw::{compile, watch},
};
use crate::shell::Cmd;

/// A program that watches, and how it is started.
const WATCHERS: [(&str, Watcher); 4] = [
    ("native", Watcher::Nobody),
    (
        "firstchance, `unhandled exception`",
        Watcher::Ours("unhandled exception"),
    ),
    (
        "firstchance, `signal SIGUSR2`: by tracing",
        Watcher::Ours("signal SIGUSR2"),
    ),
    (
        "gdb, attached, `handle all nostop noprint pass`",
        Watcher::Gdb,
    ),
];

#[derive(Clone, Copy)]
enum Watcher {
    Nobody,
    Ours(&'static str),
    Gdb,
}

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    Cmd::cargo("build --quiet --release -p firstchance").run()?;
    let program = compile("gcc -O1", "signaller.c")?;
    let mut text = format!(
        "A program that works for a second while a timer sends it 10,000 signals, which it handles; \
         medians of {} rounds, \
         all four in turn.\n{}.\n\n\
         | | signals that came | work done, of native |\n|---|---:|---:|\n",
        options.runs,
        machine()
    );
    let started = WATCHERS
        .iter()
        .map(|(_, watcher)| start(&program, *watcher));
    let mut watched = started.collect::<Result<Vec<Watched>>>()?;
    let mut rounds = Vec::new();
    for _ in 0..options.runs {
        let round: Result<Vec<(f64, f64)>> = watched.iter_mut().map(second).collect();
        rounds.push(round?);
    }
    for (at, (name, _)) in WATCHERS.iter().enumerate() {
        let column = |of: fn(&[(f64, f64)], usize) -> f64| {
            let all = rounds.iter().map(|round| of(round, at)).collect();
            median(all).context("at least one run")
        };
        let signals = column(|round, at| round[at].1)?;
        let part = column(|round, at| round[at].0 / round[0].0 * 100.0)?;
        text += &format!("| {name} | {signals:.0} | {part:.0} % |\n");
    }
    Ok(text)
}

/// A target, and the program that watches it.
type Watched = (Target, Option<Running>);

fn start(program: &Path, watcher: Watcher) -> Result<Watched> {
    let target = Target::in_mode(program, &[])?;
    let watching = begin(watcher, &target.pid())?;
    Ok((target, watching))
}

/// The work that was done and the signals that were handled in a second.
fn second((target, _): &mut Watched) -> Result<(f64, f64)> {
    target.tell("go")?;
    let line = target.line_after("work ")?;
    let (work, signals) = line.split_once(' ').context("two numbers")?;
    Ok((work.parse()?, signals.parse()?))
}

fn begin(watcher: Watcher, pid: &str) -> Result<Option<Running>> {
    match watcher {
        Watcher::Nobody => Ok(None),
        Watcher::Ours(condition) => {
            let mut command = Command::new(release("firstchance"));
            command.args(["watch", "--json", pid, "--when", condition, "-o"]);
            command.arg(std::env::temp_dir());
            watch(command, "\"armed\"").map(Some)
        }
        Watcher::Gdb => {
            let mut command = Command::new("gdb");
            command.args(["-nx", "-q", "-batch", "-p", pid]);
            let pass = "handle all nostop noprint pass";
            command.args(["-ex", pass, "-ex", "shell echo armed", "-ex", "continue"]);
            watch(command, "armed").map(Some)
        }
    }
}
