//! How fast a process that writes to all its memory goes on while a full dump of it is taken, and afterwards.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use victim::{Slot, State};

use super::{
    Options,
    dump::{Folder, firstchance, gcore, release},
    measure::{self, median},
    report::machine,
    target::Target,
};
use crate::shell::Cmd;

/// How long it is measured before the dump, and after it.
const BEFORE: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_secs(60);

/// How the pages are called in the table, and the victim's argument.
const PAGES: [(&str, &str); 2] = [("4 KiB", ""), ("2 MiB", "huge")];

/// A tool's command for a pid and the folder of the dump.
type Tool = fn(&str, &Path) -> Command;

const TOOLS: [(&str, Tool); 2] = [("firstchance", firstchance), ("gcore", gcore)];

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    Cmd::cargo("build --quiet --release -p firstchance -p victim").run()?;
    let mut text = format!(
        "A process of {} MiB whose only thread writes a word to each 4 KiB of its memory in turn, as fast as it can: millions of writes a second before a full \
         dump, from the start of the tool to its end, and in the {} s after. Each page that it writes while it is dumped from a clone is copied by \
         the kernel once. Medians of {} runs in turn.\n{}.\n\n\
         | pages | tool | before | during the dump | of before | after | of before | dump |\n|---|---|---:|---:|---:|---:|---:|---:|\n",
        options.mebibytes,
        AFTER.as_secs(),
        options.runs,
        machine()
    );
    for (pages, argument) in PAGES {
        let mut rows = TOOLS.map(|_| Vec::new());
        for _ in 0..options.runs {
            for ((_, tool), row) in TOOLS.iter().zip(&mut rows) {
                row.push(rates(*tool, argument, options.mebibytes)?);
            }
        }
        for ((tool, _), row) in TOOLS.iter().zip(&rows) {
            text += &format!("| {pages} | {tool} | {}", line(row)?);
        }
    }
    Ok(text)
}

/// Writes a second, and how long the dump took.
struct Rates {
    before: f64,
    during: f64,
    after: f64,
    dump: Duration,
}

fn line(runs: &[Rates]) -> Result<String> {
    let middle =
        |of: fn(&Rates) -> f64| median(runs.iter().map(of).collect()).context("at least one run");
    Ok(format!(
        "{:.2} | {:.2} | {:.0} % | {:.2} | {:.0} % | {:.2} s |\n",
        middle(|run| run.before / 1e6)?,
        middle(|run| run.during / 1e6)?,
        middle(|run| run.during / run.before * 1e2)?,
        middle(|run| run.after / 1e6)?,
        middle(|run| run.after / run.before * 1e2)?,
        middle(|run| run.dump.as_secs_f64())?
    ))
}

/// Takes one dump of a new target.
fn rates(tool: Tool, pages: &str, mebibytes: u64) -> Result<Rates> {
    let (own, dumps) = (Folder::temporary("writer")?, Folder::new()?);
    let file = own.0.join("state");
    let target = writer(&file, pages, mebibytes)?;
    let state = State::open(&file)?;
    let (before, _) = rate_during(&state, || {
        std::thread::sleep(BEFORE);
        Ok(())
    })?;
    let mut command = tool(&target.pid(), &dumps.0);
    let (during, dump) = rate_during(&state, || measure::run(&mut command).map(drop))?;
    let (after, _) = rate_during(&state, || {
        std::thread::sleep(AFTER);
        Ok(())
    })?;
    Ok(Rates {
        before,
        during,
        after,
        dump,
    })
}

/// A victim that counts its writes in a file.
fn writer(file: &Path, pages: &str, mebibytes: u64) -> Result<Target> {
    let state = format!("VICTIM_STATE={}", file.display());
    let victim = release("victim");
    let victim = victim.to_str().context("a plain path")?;
    let words = [&state, victim, "write", &mebibytes.to_string(), pages];
    Target::in_mode(Path::new("env"), &words)
}

/// Writes a second while `work` is done, and how long that took.
fn rate_during(state: &State, work: impl FnOnce() -> Result<()>) -> Result<(f64, Duration)> {
    let (start, written) = (Instant::now(), state.get(Slot::Counter));
    work()?;
    let writes = state.get(Slot::Counter) - written;
    let took = start.elapsed();
    Ok((writes as f64 / took.as_secs_f64(), took))
}
