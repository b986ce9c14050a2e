//! A full dump of a process with much memory.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::Options;
use super::measure::{self, Measured};
use super::target::Target;
use crate::shell::{Cmd, target_dir};

/// A tool, and the figures of its runs.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) runs: Vec<Measured>,
}

/// A tool that is compared.
struct Tool {
    name: &'static str,
    /// Its command for the target's pid and an empty folder for the dump.
    command: fn(&str, &Path) -> Command,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "firstchance",
        command: firstchance,
    },
    Tool {
        name: "gcore",
        command: gcore,
    },
    Tool {
        name: "procdump 1.2",
        command: procdump,
    },
];

pub(super) fn firstchance(pid: &str, folder: &Path) -> Command {
    let mut command = Command::new(release("firstchance"));
    command
        .args(["dump", "--full", pid, "-o"])
        .arg(folder.join("dump.core"));
    command
}

pub(super) fn gcore(pid: &str, folder: &Path) -> Command {
    let mut command = Command::new("gcore");
    command.arg("-o").arg(folder.join("dump")).arg(pid);
    command
}

fn procdump(pid: &str, folder: &Path) -> Command {
    let mut command = Command::new("procdump");
    command.args(["-p", pid, "-o"]).arg(folder);
    command
}

pub(crate) fn release(program: &str) -> PathBuf {
    target_dir().join("release").join(program)
}

/// Runs all tools in turn, so that a slow minute of the machine affects all of them.
///
/// # Errors
/// If a tool fails.
pub(crate) fn run(options: &Options) -> Result<Vec<Row>> {
    Cmd::cargo("build --release -p firstchance -p victim").run()?;
    let mut rows: Vec<Row> = Vec::new();
    rows.extend(TOOLS.iter().map(|tool| Row {
        name: tool.name,
        runs: Vec::new(),
    }));
    let mut disk = Row {
        name: "dd oflag=direct",
        runs: Vec::new(),
    };
    for round in 1..=options.runs {
        for (tool, row) in TOOLS.iter().zip(&mut rows) {
            let measured = run_tool(tool, options)?;
            println!("run {round}, {}: {measured:.2?}", tool.name);
            row.runs.push(measured);
        }
        disk.runs.push(run_dd(options)?);
    }
    rows.push(disk);
    Ok(rows)
}

/// Takes one dump of a new target.
fn run_tool(tool: &Tool, options: &Options) -> Result<Measured> {
    let folder = Folder::new()?;
    let mut target = Target::start(&release("victim"), options.mebibytes)?;
    let before = target.fork()?;
    let mut measured = measure::run(&mut (tool.command)(&target.pid(), &folder.0))?;
    measured.fork = Some((before + target.fork()?) / 2);
    measured.pause = Some(target.end()?);
    measured.bytes = measure::size_of_file_in(&folder.0)?;
    if measured.bytes < options.mebibytes << 20 {
        bail!("{} wrote {} bytes only", tool.name, measured.bytes);
    }
    Ok(measured)
}

/// Writes as many bytes with dd: what the disk itself needs.
fn run_dd(options: &Options) -> Result<Measured> {
    let folder = Folder::new()?;
    let file = folder.0.join("zeros");
    let mut command = Command::new("dd");
    command.args(["if=/dev/zero", "oflag=direct", "conv=fsync", "bs=4M"]);
    command.arg(format!("count={}", options.mebibytes.div_ceil(4)));
    command.arg(format!("of={}", file.display()));
    let mut measured = measure::run(&mut command)?;
    measured.bytes = measure::size_of_file_in(&folder.0)?;
    Ok(measured)
}

/// An empty folder; it is deleted when this is dropped.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    /// The folder for dumps, under the target folder.
    pub(super) fn new() -> Result<Folder> {
        Folder::at(target_dir().join("bench"))
    }

    /// A folder for the files of a server, where other users may have their own.
    pub(super) fn temporary(name: &str) -> Result<Folder> {
        let name = format!("bench-{name}-{}", std::process::id());
        Folder::at(std::env::temp_dir().join(name))
    }

    fn at(folder: PathBuf) -> Result<Folder> {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        Ok(Folder(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
