//! What a start of the program costs, and a list of many processes.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::{Options, dump::release, measure::median, report::machine};
use crate::shell::Cmd;

/// How often each is run; in turn, so that a slow moment of the machine affects all.
const RUNS: usize = 50;

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    Cmd::cargo("build --quiet --release -p firstchance").run()?;
    let sleepers = Sleepers::start(options.processes)?;
    let pid = sleepers.0.first().context("a process")?.id().to_string();
    let program = release("firstchance");
    let program = program.to_str().context("a plain path")?;
    let rows: [(&str, Vec<&str>); 6] = [
        ("`true`", vec!["true"]),
        ("`firstchance --version`", vec![program, "--version"]),
        ("`firstchance dump --help`", vec![program, "dump", "--help"]),
        (
            "`firstchance dump --triage` of `sleep`, to a pipe",
            vec![program, "dump", "--triage", &pid, "-o", "-"],
        ),
        ("`ps aux`", vec!["ps", "aux"]),
        ("`firstchance ps`", vec![program, "ps"]),
    ];
    let mut times = vec![Vec::new(); rows.len()];
    for _ in 0..RUNS {
        for ((_, words), times) in rows.iter().zip(&mut times) {
            times.push(time(words)?);
        }
    }
    let mut text = format!(
        "From the start of a program to its end, beside {} processes that sleep; medians of {RUNS} runs in turn.\n{}.\n\n\
         | | time | more than `true` | of `true` |\n|---|---:|---:|---:|\n",
        options.processes,
        machine()
    );
    let medians: Vec<f64> = times
        .into_iter()
        .map(|times| median(times).unwrap_or_default())
        .collect();
    for ((name, _), time) in rows.iter().zip(&medians) {
        let (more, ratio) = (time - medians[0], time / medians[0]);
        text += &format!("| {name} | {time:.1} ms | {more:.1} ms | {ratio:.1} |\n");
    }
    Ok(text)
}

/// For how many milliseconds a program ran.
fn time(words: &[&str]) -> Result<f64> {
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().with_context(|| format!("{words:?}"))?;
    anyhow::ensure!(status.success(), "{words:?}: {status}");
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// Processes that sleep until this is dropped.
struct Sleepers(Vec<Child>);

impl Sleepers {
    fn start(count: usize) -> Result<Sleepers> {
        let mut sleepers = Sleepers(Vec::new());
        for _ in 0..count {
            sleepers.0.push(Command::new("sleep").arg("1000").spawn()?);
        }
        // Until the last of them has executed its program.
        std::thread::sleep(Duration::from_millis(200));
        Ok(sleepers)
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
