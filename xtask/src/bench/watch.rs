//! What it costs to watch many processes, and how soon a change in one is noticed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{
    Options,
    dump::release,
    measure::{cpu_of, own_memory},
    report::machine,
    target::Target,
};
use crate::shell::Cmd;

/// How long the cost is measured.
const WINDOW: Duration = Duration::from_secs(20);
/// Getting under way does not count.
const WARM_UP: Duration = Duration::from_secs(4);

/// A program that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The section of the page.
pub(super) fn run(options: &Options) -> Result<String> {
    Cmd::cargo("build --quiet --release -p firstchance -p victim").run()?;
    let victim = release("victim");
    let start = |_| Target::in_mode(&victim, &["leak", "2"]);
    let targets: Result<Vec<Target>> = (0..options.processes).map(start).collect();
    let mut targets = targets?;
    let mut ours = watch_all()?;
    let told = lines_of(&mut ours)?;
    let peer = peer(&targets[0].pid());
    sleep(WARM_UP);
    let before = (
        cpu_of(ours.0.id())?,
        peer.as_ref().and_then(|p| cpu_of(p.0.id()).ok()),
    );
    sleep(WINDOW);
    let share =
        |now: Duration, then: Duration| (now - then).as_secs_f64() / WINDOW.as_secs_f64() * 100.0;
    let cpu = share(cpu_of(ours.0.id())?, before.0);
    let memory = own_memory(ours.0.id()) as f64 / 1e6;
    let theirs = peer.as_ref().zip(before.1).and_then(|(peer, then)| {
        let memory = own_memory(peer.0.id()) as f64 / 1e6;
        Some((share(cpu_of(peer.0.id()).ok()?, then), memory))
    });
    let noticed = spike(&told, &mut targets)?;
    Ok(section(options, cpu, memory, theirs, noticed))
}

fn watch_all() -> Result<Running> {
    let child = Command::new(release("firstchance"))
        .args([
            "watch",
            "--all",
            "victim",
            "--do",
            "triage dump",
            "-n",
            "1",
            "-o",
        ])
        .arg(std::env::temp_dir())
        .args(["--when", "cpu > 99% for 10s", "--when", "memory > 3MiB"])
        .args(["--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    Ok(Running(child.context("cannot start firstchance")?))
}

/// What it prints, from the start: a pipe that nobody reads would hold it.
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

/// Debian's procdump, watching one; nothing where it is not installed.
fn peer(pid: &str) -> Option<Running> {
    let child = Command::new("procdump")
        .args(["-C", "99", "-M", "4000", "-p", pid])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.ok().map(Running)
}

/// Lets one of the targets grow; how long until it is said.
fn spike(told: &Receiver<String>, targets: &mut [Target]) -> Result<Duration> {
    while told.try_recv().is_ok() {}
    let middle = targets.len() / 2;
    let pid = format!("\"pid\":{}", targets[middle].pid());
    let start = Instant::now();
    targets[middle].tell("more")?;
    loop {
        let line = told
            .recv_timeout(Duration::from_secs(30))
            .context("the spike was missed")?;
        if line.contains("\"trigger\"") && line.contains(&pid) {
            return Ok(start.elapsed());
        }
        if start.elapsed() > Duration::from_secs(30) {
            bail!("the spike was missed");
        }
    }
}

fn section(
    options: &Options,
    cpu: f64,
    memory: f64,
    theirs: Option<(f64, f64)>,
    noticed: Duration,
) -> String {
    let theirs = theirs.map_or("| procdump 1.2 | not installed | - | - |".to_owned(), |t| {
        format!("| procdump 1.2 | 1 | {:.2} | {:.1} |", t.0, t.1)
    });
    format!(
        "Watching once a second for CPU and memory, measured over {} s in one run. One of the {} \
         processes grew and was noticed after {:.2} s.\n{}.\n\n\
         | tool | processes watched | CPU, % of one core | memory, MB |\n\
         |---|---:|---:|---:|\n\
         | firstchance | {} | {cpu:.2} | {memory:.1} |\n{theirs}\n",
        WINDOW.as_secs(),
        options.processes,
        noticed.as_secs_f64(),
        machine(),
        options.processes,
    )
}
