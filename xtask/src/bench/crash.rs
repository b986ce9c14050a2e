//! The time from a crash to its complete core: with the kernel's own file, systemd-coredump, and
//! firstchance.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::{
    Options,
    collectors::{self, Collector},
    dump::release,
    measure::{median, own_memory},
    report::machine,
    target::Target,
};
use crate::shell::Cmd;

/// The time between two looks at the files.
const LOOK: Duration = Duration::from_millis(1);
/// How long a core is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// The times and the memory of one crash.
#[derive(Clone, Copy)]
struct Crash {
    /// The time until the file was complete under its final name.
    complete: Duration,
    /// The time until the parent was told that the process ended.
    held: Duration,
    /// The most memory that the collector's processes had at once, in bytes.
    memory: u64,
    bytes: u64,
}

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    Cmd::cargo("build --quiet --release -p firstchance -p victim").run()?;
    let mut text = format!(
        "A process with {} MiB of random content that gets SIGABRT; medians of {} runs. Complete: the \
         file has its name and all its bytes, for this program and systemd-coredump on the disk, for \
         the kernel's own file in the page cache. Held: its parent's `waitpid` returns. \
         systemd-coredump is started by `systemd-socket-activate` where systemd does not run.\n{}.\n\n\
         | | complete | held | memory | file | complete, as a ratio | held, as a ratio |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
        options.mebibytes,
        options.runs,
        machine()
    );
    let mut first = None;
    for collector in collectors::all()? {
        let crashes: Vec<Crash> = (0..options.runs)
            .map(|_| crash(&collector, options.mebibytes))
            .collect::<Result<_>>()?;
        let middle = middle(&crashes);
        text += &line(collector.name, &middle, first.get_or_insert(middle));
        println!("{}: {:.2?} until complete", collector.name, middle.complete);
    }
    Ok(text)
}

fn middle(crashes: &[Crash]) -> Crash {
    let of = |value: fn(&Crash) -> Duration| {
        median(crashes.iter().map(value).collect()).unwrap_or_default()
    };
    let figure =
        |value: fn(&Crash) -> u64| median(crashes.iter().map(value).collect()).unwrap_or_default();
    Crash {
        complete: of(|crash| crash.complete),
        held: of(|crash| crash.held),
        memory: figure(|crash| crash.memory),
        bytes: figure(|crash| crash.bytes),
    }
}

fn line(name: &str, crash: &Crash, first: &Crash) -> String {
    let ratio = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64();
    let memory = match crash.memory {
        0 => "–".to_owned(),
        bytes => format!("{} MiB", bytes >> 20),
    };
    format!(
        "| {name} | {:.2} s | {:.2} s | {memory} | {:.1} MiB | {:.2} | {:.2} |\n",
        crash.complete.as_secs_f64(),
        crash.held.as_secs_f64(),
        crash.bytes as f64 / f64::from(1 << 20),
        ratio(crash.complete, first.complete),
        ratio(crash.held, first.held),
    )
}

fn crash(collector: &Collector, mebibytes: u64) -> Result<Crash> {
    collector.clear()?;
    let _at_work = collector.start()?;
    let target = target(mebibytes)?;
    // What earlier runs left to be written is no part of this one.
    Cmd::new("sync").run_quietly(" ")?;
    let (ended, start) = (AtomicBool::new(false), Instant::now());
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| watch(collector, &ended, start));
        target.abort()?;
        let held = start.elapsed();
        ended.store(true, Ordering::Relaxed);
        let (file, complete, memory) = watch.join().expect("no panic there")?;
        let bytes = file.metadata()?.len();
        std::fs::remove_file(file)?;
        Ok(Crash {
            complete,
            held,
            memory,
            bytes,
        })
    })
}

/// Sets the limit that keeps the kernel from writing a file; it does not affect the other
/// collectors.
fn target(mebibytes: u64) -> Result<Target> {
    let victim = release("victim");
    let victim = victim.to_str().context("a plain path")?;
    let words = ["--core=unlimited", victim, "pause", &mebibytes.to_string()];
    Target::in_mode(Path::new("prlimit"), &words)
}

/// Waits for the file. Returns the file, the time until it was there, and the collector's memory
/// until the file was there and the process had ended.
fn watch(
    collector: &Collector,
    ended: &AtomicBool,
    start: Instant,
) -> Result<(PathBuf, Duration, u64)> {
    let (mut found, mut memory) = (None, 0);
    while start.elapsed() < PATIENCE {
        let has_ended = ended.load(Ordering::Relaxed);
        if found.is_none() && (has_ended || !collector.at_the_end) {
            found = collector.file().map(|file| (file, start.elapsed()));
        }
        memory = memory.max(collector.memory(own_memory));
        if let Some((file, complete)) = found.take_if(|_| has_ended) {
            return Ok((file, complete, memory));
        }
        std::thread::sleep(LOOK);
    }
    found
        .map(|(file, complete)| (file, complete, memory))
        .with_context(|| format!("{} left no core", collector.name))
}
