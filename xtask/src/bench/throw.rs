//! The cost of C++ throws that no rule asks for: without a watcher, with firstchance, and under
//! gdb.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::{
    Options,
    dump::release,
    measure::median,
    report::machine,
    target::{Running, Target},
};
use crate::shell::{Cmd, root, target_dir};

/// One throwing thread, and as many as a large server has; and how many throws each has.
const LOADS: [(u32, u32); 2] = [(20_000, 1), (50, 1000)];
/// The number of throws under gdb. Each of them stops the program, so that fewer are enough.
const FEWER: u32 = 20;

/// A program that watches.
#[derive(Clone, Copy)]
enum Watcher {
    Nobody,
    Ours,
    Gdb,
}

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    Cmd::cargo("build --quiet --release -p firstchance").run()?;
    let program = compile("g++ -O1 -pthread", "thrower.cpp")?;
    let mut text = format!(
        "One C++ `throw` and its `catch`, of a type that the filter does not want; nanoseconds of \
         the throwing thread's own time, medians of {} runs, native and watched in turn.\n{}.\n\n\
         | | 1 thread | more than native | 1,000 threads | more than native |\n\
         |---|---:|---:|---:|---:|\n",
        options.runs,
        machine()
    );
    let mut native = [0.0; LOADS.len()];
    for (name, watcher) in [
        ("native", Watcher::Nobody),
        ("firstchance, `exception = \"Wanted\"`", Watcher::Ours),
        ("gdb, `catch throw` with a condition", Watcher::Gdb),
    ] {
        let costs = costs(&program, watcher, options.runs)?;
        if matches!(watcher, Watcher::Nobody) {
            native = costs;
        }
        text += &line(name, costs, native);
    }
    Ok(text)
}

fn line(name: &str, costs: [f64; 2], native: [f64; 2]) -> String {
    let cells = costs.iter().zip(native).map(|(cost, native)| {
        let more = cost - native;
        format!(" {cost:.0} ns | {more:.0} ns |")
    });
    format!("| {name} |{}\n", cells.collect::<String>())
}

/// Compiles a source file of this folder; the program has its name without the extension.
///
/// # Errors
/// If it cannot be compiled.
pub(super) fn compile(compiler: &str, source: &str) -> Result<PathBuf> {
    let source = root().join("xtask/src/bench").join(source);
    let program = target_dir().join(source.file_stem().context("a name")?);
    let line = Cmd::new(compiler).arg("-o").arg(&program).arg(source);
    line.run()?;
    Ok(program)
}

fn costs(program: &Path, watcher: Watcher, runs: usize) -> Result<[f64; 2]> {
    let mut target = Target::in_mode(program, &[])?;
    // The libraries' lazy work is no throw's.
    cost(&mut target, 100, 1)?;
    let _watching = begin(watcher, &target.pid())?;
    let mut costs = [0.0; 2];
    for (cell, (count, threads)) in costs.iter_mut().zip(LOADS) {
        let count = if matches!(watcher, Watcher::Gdb) {
            count.min(FEWER)
        } else {
            count
        };
        let all: Result<Vec<f64>> = (0..runs)
            .map(|_| cost(&mut target, count, threads))
            .collect();
        *cell = median(all?).context("at least one run")?;
    }
    Ok(costs)
}

fn cost(target: &mut Target, count: u32, threads: u32) -> Result<f64> {
    target.tell(&format!("{count} {threads}"))?;
    Ok(target.line_after("cost ")?.parse()?)
}

fn begin(watcher: Watcher, pid: &str) -> Result<Option<Running>> {
    match watcher {
        Watcher::Nobody => Ok(None),
        Watcher::Ours => watch(ours(pid), "\"armed\"").map(Some),
        Watcher::Gdb => watch(gdb_that_catches(pid), "armed").map(Some),
    }
}

/// Starts a watcher and waits until it says that it is ready.
///
/// # Errors
/// If it does not say so.
pub(super) fn watch(mut command: Command, ready: &str) -> Result<Running> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut running = Running(command.stderr(Stdio::null()).spawn()?);
    running.wait_for(ready)?;
    Ok(running)
}

fn ours(pid: &str) -> Command {
    let mut command = Command::new(release("firstchance"));
    let condition = "exception = \"Wanted\" first chance";
    command.args(["watch", "--json", pid, "--when", condition, "-o"]);
    command.arg(std::env::temp_dir());
    command
}

/// gdb with a condition that is never true: it stops the program at each throw to find that out.
pub(super) fn gdb_that_catches(pid: &str) -> Command {
    let mut command = Command::new("gdb");
    command.args(["-nx", "-q", "-batch", "-p", pid]);
    for line in [
        "set breakpoint pending on",
        "catch throw",
        "condition 1 $_thread == 0",
        // Its own words would stay in its buffer.
        "shell echo armed",
        "continue",
    ] {
        command.args(["-ex", line]);
    }
    command
}
