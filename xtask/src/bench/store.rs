//! A folder with very many dumps: how long it takes to list them, and to apply limits.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{
    Options,
    dump::{Folder, release},
    measure::{self, Measured, median},
    report::machine,
};
use crate::shell::Cmd;

const DUMPS: usize = 100_000;
/// How much of each dump is written, in bytes; the rest is a hole.
const HEAD: usize = 16 << 10;
const SIZE: u64 = 1 << 30;

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    Cmd::cargo("build --quiet --release -p firstchance").run()?;
    let folder = Folder::new()?;
    fill(&folder.0)?;
    let mut text = format!(
        "A folder with {DUMPS} dumps of 1 GiB each (sparse files with the head of a real one), in the \
         page cache; medians of {} runs.\n{}.\n\n\
         | | wall time | memory |\n|---|---:|---:|\n",
        options.runs,
        machine()
    );
    for (name, words) in [
        ("`dumps list`", &["list"][..]),
        ("`dumps list --json`", &["list", "--json"]),
        ("`dumps prune`", &["prune"]),
    ] {
        text += &line(name, words, &folder.0, options.runs)?;
    }
    Ok(text)
}

fn line(name: &str, words: &[&str], folder: &Path, runs: usize) -> Result<String> {
    let run = || {
        let mut command = Command::new(release("firstchance"));
        measure::run(command.arg("dumps").args(words).arg("--folder").arg(folder))
    };
    let all: Vec<Measured> = (0..runs).map(|_| run()).collect::<Result<_>>()?;
    let wall = median(all.iter().map(|run| run.wall).collect()).context("at least one run")?;
    let memory = all.iter().map(|run| run.memory).max().unwrap_or(0);
    let (seconds, memory) = (wall.as_secs_f64(), memory >> 20);
    Ok(format!("| {name} | {seconds:.2} s | {memory} MiB |\n"))
}

fn fill(folder: &Path) -> Result<()> {
    let one = folder.join("one.dmp");
    let mut sleeper = Command::new("sleep").arg("60").spawn()?;
    let dump = Command::new(release("firstchance"))
        .args(["dump", "--mini", &sleeper.id().to_string(), "-o"])
        .arg(&one)
        .output();
    sleeper.kill()?;
    sleeper.wait()?;
    anyhow::ensure!(dump?.status.success(), "firstchance took no dump");
    let head = std::fs::read(&one)?;
    std::fs::remove_file(one)?;
    for at in 0..DUMPS {
        let path = folder.join(format!("app_{at}.dmp"));
        std::fs::write(&path, &head[..HEAD.min(head.len())])?;
        File::options().write(true).open(path)?.set_len(SIZE)?;
    }
    Ok(())
}
