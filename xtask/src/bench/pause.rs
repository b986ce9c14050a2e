//! For how long a process stands for a small dump, by its threads and its memory.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{
    Options,
    dump::{Folder, release},
    measure::median,
    report::machine,
    target::Target,
};
use crate::shell::{Cmd, root};

/// The modes of the victim, and how they are called in the table.
const TARGETS: [(&str, [&str; 2]); 6] = [
    ("1 thread, 64 MiB", ["pause", "64"]),
    ("1 thread, 1 GiB", ["pause", "1024"]),
    ("1 thread, 8 GiB", ["pause", "8192"]),
    ("2 threads", ["threads", "1"]),
    ("201 threads", ["threads", "200"]),
    ("2,001 threads", ["threads", "2000"]),
];

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    Cmd::cargo("build --quiet --release -p firstchance -p victim").run()?;
    let folder = Folder::new()?;
    let loop_alone = folder.0.join("seizes");
    Cmd::new("gcc -O1 -o")
        .arg(&loop_alone)
        .arg(root().join("crates/firstchance/tests/programs/seizes.c"))
        .run()?;
    let mut text = format!(
        "For how long a process stands for a small dump, and for the least that stopping it can be: a program in C that seizes \
         each thread, interrupts it, and reads its registers. Medians of {} runs in turn.\n{}.\n\n\
         | process | the least | `--mini` | of the least | `--triage` | of the least |\n|---|---:|---:|---:|---:|---:|\n",
        options.runs,
        machine()
    );
    for (name, mode) in TARGETS {
        text += &line(name, &mode, &loop_alone, &folder.0, options.runs)?;
    }
    Ok(text)
}

fn line(name: &str, mode: &[&str], least: &Path, folder: &Path, runs: usize) -> Result<String> {
    let target = Target::in_mode(&release("victim"), mode)?;
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..runs {
        times[0].push(
            Cmd::of(least)
                .arg(target.pid())
                .read()?
                .trim()
                .parse::<f64>()?
                / 1e3,
        );
        times[1].push(pause("--mini", &target, folder)?);
        times[2].push(pause("--triage", &target, folder)?);
    }
    let [least, mini, triage] = times.map(|times| median(times).unwrap_or_default());
    Ok(format!(
        "| {name} | {least:.1} ms | {mini:.1} ms | {:.1} | {triage:.1} ms | {:.1} |\n",
        mini / least,
        triage / least
    ))
}

/// What the record of a dump says, in milliseconds.
fn pause(kind: &str, target: &Target, folder: &Path) -> Result<f64> {
    let mut command = Command::new(release("firstchance"));
    command.args(["dump", kind, "--json", "--overwrite", &target.pid(), "-o"]);
    let output = command.arg(folder.join("x.core")).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rest = text.split("\"pause-ms\":").nth(1);
    let number = rest.and_then(|rest| rest.split([',', '}', '\n']).next());
    let number = number.with_context(|| format!("no dump: {text}"))?;
    Ok(number.trim().parse()?)
}
