//! Full dumps of processes that have little memory of a large address space, beside the kernel's own cores of them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::{
    Options,
    dump::{Folder, firstchance, gcore, release},
    measure::{self, Measured, median},
    report::machine,
    target::Target,
};
use crate::shell::Cmd;

/// gcore writes all of a mapping, with its untouched pages: it is left out where that is more than so many bytes.
const MOST_OF_GCORE: usize = 8 << 30;

/// The modes of the victim, and how they are called in the table.
const TARGETS: [(&str, &[&str]); 4] = [
    ("256 MiB, every second page", &["scattered", "65536", "2"]),
    ("256 MiB, every 16th page", &["scattered", "65536", "16"]),
    ("256 MiB, every 256th page", &["scattered", "65536", "256"]),
    ("1 GiB of zeros", &["zeros", "1024"]),
];

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern")?;
    ensure!(
        !pattern.starts_with(['|', '/', '@']),
        "the kernel's own core is wanted in the folder of the process: core_pattern is {pattern}"
    );
    Cmd::cargo("build --quiet --release -p firstchance -p victim").run()?;
    let mut text = format!(
        "Full dumps of processes with little memory of a large address space, beside the kernel's own core of the same process, \
         which is not waited for until it is on the disk. Medians of {} runs in turn; gcore runs once, and not on 64 GiB, which it would write.\n{}.\n\n\
         | process | tool | wall time | on the disk | memory of the tool | wall time, as a ratio | on the disk, as a ratio |\n\
         |---|---|---:|---:|---:|---:|---:|\n",
        options.runs,
        machine()
    );
    for (name, mode) in TARGETS {
        text += &lines(name, mode, options.runs)?;
    }
    Ok(text)
}

/// The lines of one process. The others are compared with the kernel.
fn lines(name: &str, mode: &[&str], runs: usize) -> Result<String> {
    let (mut ours, mut kernels) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        ours.push(dump(mode, firstchance)?);
        kernels.push(core_of_kernel(mode)?);
    }
    let kernel = middle(&kernels);
    let mut rows = vec![("kernel", kernel), ("firstchance", middle(&ours))];
    if mapped(mode) <= MOST_OF_GCORE {
        rows.push(("gcore", dump(mode, gcore)?));
    }
    let line = |(tool, row): (&str, Measured)| {
        let seconds = row.wall.as_secs_f64();
        format!(
            "| {name} | {tool} | {seconds:.2} s | {} MiB | {} MiB | {:.2} | {:.2} |\n",
            row.bytes >> 20,
            row.memory >> 20,
            seconds / kernel.wall.as_secs_f64(),
            row.bytes as f64 / kernel.bytes as f64
        )
    };
    Ok(rows.into_iter().map(line).collect())
}

/// How much a mode of the victim maps, in bytes.
fn mapped(mode: &[&str]) -> usize {
    let numbers = mode.iter().filter_map(|word| word.parse::<usize>().ok());
    match mode[0] {
        "scattered" => numbers.product::<usize>() * 4096,
        _ => numbers.sum::<usize>() << 20,
    }
}

fn middle(runs: &[Measured]) -> Measured {
    let walls = runs.iter().map(|run| run.wall).collect();
    Measured {
        wall: median(walls).unwrap_or_default(),
        bytes: median(runs.iter().map(|run| run.bytes).collect()).unwrap_or_default(),
        memory: runs.iter().map(|run| run.memory).max().unwrap_or_default(),
        ..Measured::default()
    }
}

fn dump(mode: &[&str], tool: fn(&str, &Path) -> Command) -> Result<Measured> {
    let folder = Folder::new()?;
    let target = Target::in_mode(&release("victim"), mode)?;
    let mut measured = measure::run(&mut tool(&target.pid(), &folder.0))?;
    measured.bytes = on_disk(&folder.0)?;
    Ok(measured)
}

/// Has the process end by SIGABRT in an empty folder. The time is that until its parent is told.
fn core_of_kernel(mode: &[&str]) -> Result<Measured> {
    let folder = Folder::new()?;
    let script = format!(
        "ulimit -c unlimited; cd '{}'; exec \"$0\" \"$@\"",
        folder.0.display()
    );
    let victim = release("victim");
    let words = ["-c", &script, &victim.to_string_lossy()];
    let words: Vec<&str> = words.into_iter().chain(mode.iter().copied()).collect();
    let target = Target::in_mode(Path::new("/bin/sh"), &words)?;
    let start = Instant::now();
    target.abort()?;
    let wall: Duration = start.elapsed();
    Ok(Measured {
        wall,
        bytes: on_disk(&folder.0)?,
        ..Measured::default()
    })
}

/// What the only file in a folder takes on the disk, in bytes, when all of it is there.
fn on_disk(folder: &Path) -> Result<u64> {
    let mut files = std::fs::read_dir(folder)?.flatten();
    let path = files.next().context("the tool left no file")?.path();
    std::fs::File::open(&path)?.sync_all()?;
    let text = Cmd::new("du -B1").arg(&path).read()?;
    let bytes = text.split_whitespace().next().context("du told nothing")?;
    Ok(bytes.parse()?)
}
