//! Series of three full dumps on file systems that can share blocks between files, beside three dumps that know nothing of
//! each other.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::Options;
use super::dump::{Folder, release};
use super::measure::median;
use super::report::machine;
use super::target::Running;
use crate::shell::Cmd;
use crate::tools;

/// Memory that does not repeat itself, in which a hundredth of the pages change within a second.
const PROGRAM: &str = "
import os, random, sys, time
size = int(sys.argv[1]) << 20
memory = bytearray(b''.join(os.urandom(1 << 20) for _ in range(size >> 20)))
print('ready', flush=True)
while True:
    for _ in range(size // 4096 // 1000):
        memory[random.randrange(size)] ^= 1
    time.sleep(0.1)
";

const DUMPS: usize = 3;

/// What was measured of three dumps.
#[derive(Default)]
struct Row {
    /// How long each took, in seconds, in all runs.
    seconds: [Vec<f64>; DUMPS],
    /// How long the process stood for each, in milliseconds, in all runs.
    pauses: [Vec<f64>; DUMPS],
    /// What they took on the disk together, in MiB.
    used: Vec<f64>,
}

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    tools::install_packages(&[
        ("python3", "python3"),
        ("mkfs.xfs", "xfsprogs"),
        ("mkfs.btrfs", "btrfs-progs"),
    ])?;
    Cmd::cargo("build --quiet --release -p firstchance").run()?;
    let mut text = format!(
        "Three full dumps, a second apart, of a program with {} MiB of which a hundredth of the pages changes within a second, in \
         a file system on a loop device; medians of {} runs, all in turn.\n{}.\n\n\
         | | 1st | 2nd | 3rd | on the disk, all three | target stopped for the 1st | for the 3rd |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
        options.mebibytes,
        options.runs,
        machine()
    );
    for make in ["mkfs.xfs", "mkfs.btrfs"] {
        let (mut series, mut single) = (Row::default(), Row::default());
        for _ in 0..options.runs {
            measure(make, true, options, &mut series)?;
            measure(make, false, options, &mut single)?;
        }
        let name = make.trim_start_matches("mkfs.");
        let _ = writeln!(text, "{}", line(&format!("{name}, `-n 3`"), &series));
        let _ = writeln!(
            text,
            "{}",
            line(&format!("{name}, three commands"), &single)
        );
    }
    Ok(text)
}

/// Takes three dumps of a new program in a new file system.
fn measure(make: &str, is_series: bool, options: &Options, row: &mut Row) -> Result<()> {
    let disk = LoopDisk::new(make, ((DUMPS as u64 + 1) * options.mebibytes) << 20)?;
    let mut command = Command::new("python3");
    command.args(["-c", PROGRAM, &options.mebibytes.to_string()]);
    let mut program = Running(command.stdout(Stdio::piped()).spawn()?);
    program.wait_for("ready")?;
    let pid = program.0.id().to_string();
    let before = disk.used()?;
    let said = match is_series {
        true => dump(&pid, &disk.mount, &["-n", "3", "--every", "1s"])?,
        false => (0..DUMPS)
            .map(|_| dump(&pid, &disk.mount, &[]))
            .collect::<Result<_>>()?,
    };
    let complete = said.lines().filter(|line| line.contains(" complete: "));
    for (number, line) in complete.enumerate().take(DUMPS) {
        row.seconds[number].push(number_before(line, " seconds").context("a time")?);
        row.pauses[number].push(number_before(line, " ms").context("a pause")?);
    }
    row.used.push((disk.used()? - before) / f64::from(1 << 20));
    Ok(())
}

fn dump(pid: &str, folder: &Path, switches: &[&str]) -> Result<String> {
    let mut command = Cmd::of(release("firstchance")).arg("dump").arg("--full");
    for switch in switches {
        command = command.arg(switch);
    }
    command.arg(pid).arg("-o").arg(folder).read()
}

/// The number that stands before some words.
fn number_before(line: &str, words: &str) -> Option<f64> {
    let (before, _) = line.split_once(words)?;
    let digits = before.rsplit([' ', '(']).next()?;
    digits.parse().ok()
}

fn line(name: &str, row: &Row) -> String {
    let of = |values: &Vec<f64>| median(values.clone()).unwrap_or_default();
    let seconds = row
        .seconds
        .each_ref()
        .map(|values| format!("{:.2} s", of(values)));
    let pauses = row
        .pauses
        .each_ref()
        .map(|values| format!("{:.0} ms", of(values)));
    format!(
        "| {name} | {} | {:.0} MiB | {} | {} |",
        seconds.join(" | "),
        of(&row.used),
        pauses[0],
        pauses[DUMPS - 1]
    )
}

/// A file system on a loop device. It is unmounted when this is dropped.
struct LoopDisk {
    mount: PathBuf,
    _folder: Folder,
}

impl LoopDisk {
    fn new(make: &str, bytes: u64) -> Result<LoopDisk> {
        let folder = Folder::new()?;
        let (image, mount) = (folder.0.join("image"), folder.0.join("mount"));
        std::fs::create_dir(&mount)?;
        std::fs::File::create(&image)?.set_len(bytes)?;
        Cmd::of(make).arg("-q").arg(&image).read()?;
        let mounting = Cmd::of("mount").arg("-o").arg("loop");
        mounting.arg(&image).arg(&mount).read()?;
        Ok(LoopDisk {
            mount,
            _folder: folder,
        })
    }

    /// The bytes that are in use.
    fn used(&self) -> Result<f64> {
        Cmd::of("sync").arg("-f").arg(&self.mount).read()?;
        let df = Cmd::of("df").arg("--output=used").arg("-B1");
        let said = df.arg(&self.mount).read()?;
        let used = said.lines().last().context("a number")?;
        Ok(used.trim().parse()?)
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let mut command = Command::new("umount");
        let _ = command.arg("--lazy").arg(&self.mount).status();
    }
}
