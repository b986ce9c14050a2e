//! What it costs a server under load that each of its throws is looked at, and how many dumps of throws show the thread
//! at its throw.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{
    Options,
    dump::{Folder, release},
    measure::median,
    report::machine,
    target::{Running, Target},
    throw::{compile, gdb_that_catches, watch},
};
use crate::shell::Cmd;

/// Requests a second, the connections, and the seconds of one run.
const RATE: &str = "1000";
const CONNECTIONS: &str = "4";
const SECONDS: &str = "3";
/// The number of dumps of which it is looked where their thread stands.
const DUMPS: usize = 20;

/// How the server is watched.
#[derive(Clone, Copy)]
enum Watcher {
    /// A condition, and that nothing is done when it is met.
    Ours(&'static str),
    Gdb,
}

const WATCHERS: [(&str, Watcher); 4] = [
    (
        "firstchance, `exception \"no such text\"`",
        Watcher::Ours("exception \"no such text\""),
    ),
    (
        "firstchance, `exception = \"NotFound\"`, `none`",
        Watcher::Ours("exception = \"NotFound\""),
    ),
    (
        "firstchance, `exception`, `none`",
        Watcher::Ours("exception"),
    ),
    ("gdb, `catch throw` with a condition", Watcher::Gdb),
];

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    Cmd::cargo("build --quiet --release -p firstchance").run()?;
    let program = compile("g++ -O1 -g -pthread", "server.cpp")?;
    let mut text = format!(
        "A C++ server that throws and catches for each request; {CONNECTIONS} connections ask it {RATE} times a second. \
         Medians of {} pairs of runs of {SECONDS} s, without and with a watcher in turn.\n{}.\n\n\
         | | answers a second | of those without | slowest of a hundred |\n|---|---:|---:|---:|\n",
        options.runs,
        machine()
    );
    for (name, watcher) in WATCHERS {
        text += &line(name, &pairs(&program, watcher, options.runs)?)?;
    }
    text += &format!(
        "\n{DUMPS} triage dumps of its throws under the same load: in how many the thread stands at its throw, as gdb sees it. \
         gcore is not there: it takes no dump at an event. Nor is gdb: its `catch throw` stops the process at each throw, and a dump of it would be \
         there too, at the cost that the table above shows.\n\n\
         | connections | at the throw |\n|---:|---:|\n"
    );
    for connections in ["1", "2", "4"] {
        let count = at_the_throw(&program, connections)?;
        text += &format!("| {connections} | {count} of {DUMPS} |\n");
    }
    Ok(text)
}

/// Answers a second and the latency of the slowest of a hundred requests, in milliseconds.
type Load = (f64, f64);

fn line(name: &str, pairs: &[(Load, Load)]) -> Result<String> {
    let middle = |of: &dyn Fn(&(Load, Load)) -> f64| {
        median(pairs.iter().map(of).collect()).context("at least one run")
    };
    let rate = middle(&|(_, watched)| watched.0)?;
    let ratio = middle(&|(alone, watched)| watched.0 / alone.0)?;
    let (before, after) = (
        middle(&|(alone, _)| alone.1)?,
        middle(&|(_, watched)| watched.1)?,
    );
    Ok(format!(
        "| {name} | {rate:.0} | {ratio:.2} | {after:.2} ms, without {before:.2} ms |\n"
    ))
}

fn pairs(program: &Path, watcher: Watcher, runs: usize) -> Result<Vec<(Load, Load)>> {
    let pair = |_| {
        // Each pair has a server of its own: one that gdb has watched dies of gdb's breakpoints when gdb is killed.
        let server = Target::in_mode(program, &[])?;
        let alone = load(program, &server.ready)?;
        let watching = begin(watcher, &server.pid())?;
        let watched = load(program, &server.ready)?;
        drop(watching);
        Ok((alone, watched))
    };
    (0..runs).map(pair).collect()
}

fn load(program: &Path, port: &str) -> Result<Load> {
    let said = Cmd::new(&program.display().to_string())
        .arg(port)
        .arg(CONNECTIONS)
        .arg(RATE)
        .arg(SECONDS)
        .read()?;
    let figures = said.trim().strip_prefix("load ").context("a load")?;
    let (rate, micros) = figures.split_once(' ').context("two numbers")?;
    Ok((rate.parse()?, micros.parse::<f64>()? / 1e3))
}

fn begin(watcher: Watcher, pid: &str) -> Result<Running> {
    match watcher {
        Watcher::Ours(condition) => {
            let mut command = Command::new(release("firstchance"));
            command.args(["watch", "--json", pid, "--when", condition]);
            watch(command_doing(command, "none"), "\"armed\"")
        }
        Watcher::Gdb => watch(gdb_that_catches(pid), "armed"),
    }
}

fn command_doing(mut command: Command, action: &str) -> Command {
    command.args(["--do", action, "-n", "0", "-o"]);
    command.arg(std::env::temp_dir());
    command
}

/// Takes dumps of throws under load. Returns in how many gdb finds the first thread in the function that throws.
fn at_the_throw(program: &Path, connections: &str) -> Result<usize> {
    let folder = Folder::new()?;
    let dumps = dumps_of_throws(program, connections, &folder.0)?;
    let stands = |file: &&PathBuf| stands_at_throw(program, file).unwrap_or(false);
    Ok(dumps.iter().filter(stands).count())
}

fn dumps_of_throws(program: &Path, connections: &str, folder: &Path) -> Result<Vec<PathBuf>> {
    let server = Target::in_mode(program, &[])?;
    let mut client = Command::new(program);
    client.args([&server.ready, connections, RATE, "120"]);
    let _client = Running(client.spawn()?);
    let mut command = Command::new(release("firstchance"));
    command.args([
        "watch",
        &server.pid(),
        "--when",
        "exception = \"NotFound\" first chance",
    ]);
    command.args([
        "--do",
        "triage dump",
        "--format",
        "core",
        "-n",
        &DUMPS.to_string(),
        "-o",
    ]);
    let status = command
        .arg(folder)
        .stdout(std::process::Stdio::null())
        .status()?;
    anyhow::ensure!(status.success(), "the dumps failed: {status}");
    let files = std::fs::read_dir(folder)?;
    files.map(|entry| Ok(entry?.path())).collect()
}

fn stands_at_throw(program: &Path, dump: &Path) -> Result<bool> {
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-q", "-ex", "bt 4"])
        .arg(program)
        .arg(dump);
    let said = String::from_utf8_lossy(&gdb.output()?.stdout).into_owned();
    Ok(said.contains("__cxa_throw") && said.contains("find"))
}
