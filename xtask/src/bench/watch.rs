//! The cost of watching many processes, and how soon a change in one of them is noticed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{
    Options,
    dump::release,
    measure::{cpu_of, own_memory},
    report::machine,
    target::{Running, Target},
};
use crate::shell::{Cmd, target_dir};

/// For how long the cost is measured.
const WINDOW: Duration = Duration::from_secs(20);
/// The time before the measurement, for the start.
const WARM_UP: Duration = Duration::from_secs(4);
/// The name of the processes; no others on a machine that runs tests have it.
const NAME: &str = "bench-watched";
/// The memory of each process; one that grows has twice as much then.
const MEBIBYTES: &str = "3";
/// The number of spikes; each comes at another moment between two samples.
const SPIKES: u32 = 5;

/// The folder for the rules and the dumps of a run.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Folder> {
        let folder = target_dir().join(format!("bench-watch-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Folder(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The CPU time in percent of one core, the memory in MB.
struct Cost {
    cpu: f64,
    memory: f64,
}

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    Cmd::cargo("build --quiet --release -p firstchance -p victim").run()?;
    let folder = Folder::make()?;
    let program = folder.0.join(NAME);
    std::fs::copy(release("victim"), &program)?;
    let start = |_| Target::in_mode(&program, &["leak", MEBIBYTES]);
    let targets: Result<Vec<Target>> = (0..options.processes).map(start).collect();
    let mut targets = targets?;
    let mut ours = watch_all(&folder.0)?;
    let told = lines_of(&mut ours)?;
    let peer = peer(&targets[0].pid());
    sleep(WARM_UP);
    let before = (used(&ours)?, peer.as_ref().and_then(|peer| used(peer).ok()));
    sleep(WINDOW);
    let cost = cost_of(&ours, before.0)?;
    let theirs = peer.as_ref().zip(before.1);
    let theirs = theirs.and_then(|(peer, before)| cost_of(peer, before).ok());
    expect_silence(&told)?;
    let noticed = spikes(&told, &mut targets)?;
    Ok(section(options, &cost, theirs.as_ref(), noticed))
}

/// The rules: one clause, for each process.
fn watch_all(folder: &Path) -> Result<Running> {
    let rules = folder.join("rules.toml");
    let text = format!(
        "[[rule]]\nname = \"bench\"\ntarget = \"{NAME}\"\nfollow = \"each\"\nmax-dumps = 0\n\
         folder = '{}'\n[[rule.on]]\nwhen = \"cpu > 99% for 10s or memory > 5MiB\"\n\
         do = \"triage dump\"\nlimit-per-process = 1\n",
        folder.display()
    );
    std::fs::write(&rules, text)?;
    let child = Command::new(release("firstchance"))
        .args(["watch", "--json", "--rules"])
        .arg(&rules)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    Ok(Running(child.context("cannot start firstchance")?))
}

/// Reads its output from the start: it would stand still at a full pipe.
fn lines_of(ours: &mut Running) -> Result<Receiver<String>> {
    let out = ours.0.stdout.take().context("piped")?;
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    Ok(told)
}

/// Debian's procdump, which watches one process; `None` if it is not installed.
fn peer(pid: &str) -> Option<Running> {
    let child = Command::new("procdump")
        .args(["-C", "99", "-M", "4000", "-p", pid])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.ok().map(Running)
}

fn used(program: &Running) -> Result<Duration> {
    cpu_of(program.0.id())
}

/// Its figures since it had used the CPU time `before`.
fn cost_of(program: &Running, before: Duration) -> Result<Cost> {
    let used = used(program)?.saturating_sub(before);
    Ok(Cost {
        cpu: used.as_secs_f64() / WINDOW.as_secs_f64() * 100.0,
        memory: own_memory(program.0.id()) as f64 / 1e6,
    })
}

/// Fails if a process is reported before any was told to grow.
fn expect_silence(told: &Receiver<String>) -> Result<()> {
    match told.try_iter().find(|line| is_trigger(line)) {
        Some(line) => bail!("a trigger before any spike: {line}"),
        None => Ok(()),
    }
}

fn is_trigger(line: &str) -> bool {
    line.contains("\"event\":\"trigger\"")
}

/// Lets some of the targets grow, one after the other; returns the longest time until that was
/// reported.
fn spikes(told: &Receiver<String>, targets: &mut [Target]) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    let apart = targets.len() / SPIKES as usize;
    for (at, target) in targets.iter_mut().step_by(apart.max(1)).enumerate() {
        // What was noticed, was at a sample: the next one begins at another distance from it.
        sleep(Duration::from_secs(1) * at as u32 / SPIKES);
        longest = longest.max(spike(told, target)?);
    }
    Ok(longest)
}

fn spike(told: &Receiver<String>, target: &mut Target) -> Result<Duration> {
    let pid = format!("\"pid\":{},", target.pid());
    let start = Instant::now();
    target.tell("more")?;
    loop {
        let line = told.recv_timeout(Duration::from_secs(30));
        let line = line.context("the spike was missed")?;
        if is_trigger(&line) {
            anyhow::ensure!(line.contains(&pid), "another one has grown: {line}");
            return Ok(start.elapsed());
        }
    }
}

fn section(options: &Options, ours: &Cost, theirs: Option<&Cost>, noticed: Duration) -> String {
    let row = |name: &str, processes: usize, cost: &Cost| {
        format!(
            "| {name} | {processes} | {:.2} | {:.4} | {:.1} |",
            cost.cpu,
            cost.cpu / processes as f64,
            cost.memory
        )
    };
    let theirs = theirs.map_or(
        "| procdump 1.2 | not installed | – | – | – |".to_owned(),
        |c| row("procdump 1.2", 1, c),
    );
    format!(
        "Watching once a second for CPU and memory, measured over {} s in one run. {SPIKES} of the \
         {} processes grew, each at another moment between two samples; the last of them to be \
         noticed was said {:.2} s after it was told to.\n{}.\n\n\
         | tool | processes watched | CPU, % of one core | of it for one process | memory, MB |\n\
         |---|---:|---:|---:|---:|\n{}\n{theirs}\n",
        WINDOW.as_secs(),
        options.processes,
        noticed.as_secs_f64(),
        machine(),
        row("firstchance", options.processes, ours),
    )
}
