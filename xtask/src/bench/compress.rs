//! Full dumps that are compressed while they are written, beside plain ones that zstd compresses afterwards.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Options;
use super::dump::{Folder, release};
use super::measure::{self, Measured, median};
use super::report::machine;
use super::target::Running;
use crate::shell::Cmd;
use crate::tools;

/// A heap of a real program: objects, texts that are alike, and some bytes that nothing compresses.
const PROGRAM: &str = "
import os, random, sys, time
random.seed(1)
words = [''.join(random.choices('abcdefghijklmnopqrstuvwxyz', k=random.randint(3, 9))) for _ in range(5000)]
kept = []
while len(kept) < int(sys.argv[1]) * 1024:
    number = len(kept)
    kept.append({'id': number, 'name': ' '.join(random.choices(words, k=12)), 'mail': f'{number}@example.org', 'key': os.urandom(128)})
print('ready', flush=True)
time.sleep(100000)
";

/// The switches of a dump of ours.
const DUMPS: &[(&str, &[&str])] = &[
    ("plain", &[]),
    ("`--compress zstd`", &["--compress", "zstd"]),
    ("`--compress zstd:3`", &["--compress", "zstd:3"]),
    ("plain, `--hold`", &["--hold"]),
    (
        "`--compress zstd --hold`",
        &["--compress", "zstd", "--hold"],
    ),
];

/// The name of the row of zstd itself.
const ZSTD: &str = "`zstd -T0 -1` on the plain dump, afterwards";

/// What was measured of one way, in all runs.
#[derive(Default)]
struct Row {
    runs: Vec<Measured>,
}

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    tools::install_packages(&[("zstd", "zstd"), ("python3", "python3")])?;
    Cmd::cargo("build --quiet --release -p firstchance").run()?;
    let program = start(options)?;
    let pid = program.0.id().to_string();
    let mut rows: Vec<Row> = DUMPS.iter().map(|_| Row::default()).collect();
    let mut zstd = Row::default();
    let mut content = 0;
    for _ in 0..options.runs {
        for ((_, switches), row) in DUMPS.iter().zip(&mut rows) {
            let folder = Folder::new()?;
            row.runs.push(dump(&pid, switches, &folder.0)?);
            if switches.is_empty() {
                content = measure::size_of_file_in(&folder.0)?;
                zstd.runs.push(by_zstd(&folder.0)?);
            }
        }
    }
    let names = DUMPS.iter().map(|(name, _)| *name).chain([ZSTD]);
    let rows = rows.iter().chain([&zstd]);
    Ok(text(names.zip(rows), content, options))
}

fn start(options: &Options) -> Result<Running> {
    let mut command = Command::new("python3");
    command.args(["-c", PROGRAM, &options.mebibytes.to_string()]);
    let mut running = Running(command.stdout(Stdio::piped()).spawn()?);
    running.wait_for("ready")?;
    Ok(running)
}

fn dump(pid: &str, switches: &[&str], folder: &Path) -> Result<Measured> {
    let mut command = Command::new(release("firstchance"));
    command.args(["dump", "--full", pid]).args(switches);
    let mut measured = measure::run(command.arg("-o").arg(folder.join("x.core")))?;
    measured.bytes = measure::size_of_file_in(folder)?;
    let file = std::fs::read_dir(folder)?.flatten().next();
    let file = file.context("a dump")?.path();
    measured.pause = Some(pause_of(&file)?);
    Ok(measured)
}

/// How long the record of a dump says that the target stood.
fn pause_of(dump: &Path) -> Result<Duration> {
    let shown = Cmd::of(release("firstchance")).arg("inspect").arg("--json");
    let json = shown.arg(dump).read()?;
    let rest = json.split_once("\"pause-ms\":").context("a pause")?.1;
    let number = rest.split([',', '}']).next().unwrap_or_default().trim();
    Ok(Duration::from_secs_f64(number.parse::<f64>()? / 1e3))
}

fn by_zstd(folder: &Path) -> Result<Measured> {
    let packed = folder.join("x.zst");
    let mut command = Command::new("zstd");
    command.args(["-q", "-T0", "-1", "-f"]);
    let mut measured = measure::run(command.arg(folder.join("x.core")).arg("-o").arg(&packed))?;
    measured.bytes = packed.metadata()?.len();
    Ok(measured)
}

fn text<'r>(
    rows: impl Iterator<Item = (&'r str, &'r Row)>,
    content: u64,
    options: &Options,
) -> String {
    let mut text = format!(
        "Full dumps of a Python program with {} MiB of objects; medians of {} runs, all in turn. MB/s are those of the \
         plain dump, {} MiB.\n{}.\n\n\
         | | wall time | MB/s | file | ratio | target stopped | memory |\n|---|---:|---:|---:|---:|---:|---:|\n",
        content >> 20,
        options.runs,
        content >> 20,
        machine()
    );
    for (name, row) in rows {
        let _ = writeln!(text, "{}", line(name, row, content));
    }
    text
}

fn line(name: &str, row: &Row, content: u64) -> String {
    let of = |value: fn(&Measured) -> f64| {
        median(row.runs.iter().map(value).collect()).unwrap_or_default()
    };
    let seconds = of(|run| run.wall.as_secs_f64());
    let bytes = of(|run| run.bytes as f64);
    let pauses = row.runs.iter().filter_map(|run| run.pause);
    let pause = median(pauses.map(|pause| pause.as_secs_f64() * 1e3).collect());
    let pause = pause.map_or("–".to_owned(), |pause| format!("{pause:.0} ms"));
    let memory = row.runs.iter().map(|run| run.memory).max().unwrap_or(0);
    format!(
        "| {name} | {seconds:.2} s | {:.0} | {:.0} MiB | {:.2} | {pause} | {} MiB |",
        content as f64 / 1e6 / seconds.max(f64::MIN_POSITIVE),
        bytes / f64::from(1 << 20),
        content as f64 / bytes.max(1.0),
        memory >> 20,
    )
}
