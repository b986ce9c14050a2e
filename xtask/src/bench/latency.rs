//! How long clients of a server wait at most while a full dump of it is taken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use super::{
    Options,
    dump::{Folder, firstchance, gcore},
    latency_client::PATIENCE,
    latency_dotnet,
    latency_servers::{SERVERS, Server, Serves},
    measure::{self, median},
    report::machine,
};
use crate::shell::Cmd;

const CONNECTIONS: usize = 4;
/// What a client does between an answer and its next request.
const PAUSE: Duration = Duration::from_millis(2);
/// How long it is measured without a dump.
const ALONE: Duration = Duration::from_secs(3);

/// What is done to the server meanwhile.
type Tool = (&'static str, fn(&str) -> Result<Duration>);

const TOOLS: [Tool; 4] = [
    ("none", |_| {
        std::thread::sleep(ALONE);
        Ok(ALONE)
    }),
    ("firstchance", |pid| {
        let folder = Folder::new()?;
        Ok(measure::run(&mut firstchance(pid, &folder.0))?.wall)
    }),
    ("firstchance, `--compress zstd`", |pid| {
        let folder = Folder::new()?;
        let mut command = firstchance(pid, &folder.0);
        Ok(measure::run(command.args(["--compress", "zstd"]))?.wall)
    }),
    ("gcore", |pid| {
        let folder = Folder::new()?;
        Ok(measure::run(&mut gcore(pid, &folder.0))?.wall)
    }),
];

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    Cmd::cargo("build --quiet --release -p firstchance").run()?;
    let mut text = format!(
        "The longest that one of {CONNECTIONS} clients waited for an answer while a full dump was taken, and how long the dump took. A client asks \
         again {} ms after an answer. Medians of {} runs in turn; lost: requests without an answer in {} s, of all runs. PostgreSQL: the dumped process \
         serves one of the clients, and all of them change rows of one table. nginx: its worker, which has so little memory that it is copied while it \
         stands.\n{}.\n\n\
         | server | tool | longest | of it without a dump | dump | lost |\n|---|---|---:|---:|---:|---:|\n",
        PAUSE.as_millis(),
        options.runs,
        PATIENCE.as_secs(),
        machine()
    );
    for server in SERVERS {
        text += &of_server(server, options.runs)?;
    }
    text += &match latency_dotnet::is_there() {
        Ok(()) => of_server(&latency_dotnet::SERVER, options.runs)?,
        Err(why) => format!("\nASP.NET Core is left out here: {why:#}.\n"),
    };
    Ok(text)
}

/// The rows of a server.
fn of_server(server: &Server, runs: usize) -> Result<String> {
    let serves = (server.start)()?;
    let mut rows = TOOLS.map(|_| Vec::new());
    for _ in 0..runs {
        for ((_, tool), row) in TOOLS.iter().zip(&mut rows) {
            row.push(under_load(&serves, tool)?);
        }
    }
    let longest = |runs: &[Run]| milliseconds(runs, |run| run.longest);
    let alone = longest(&rows[0])?;
    let line = |(tool, runs): (&Tool, &Vec<Run>)| {
        Ok(format!(
            "| {} | {} | {:.0} ms | {:.1} | {:.2} s | {} |\n",
            server.name,
            tool.0,
            longest(runs)?,
            longest(runs)? / alone,
            milliseconds(runs, |run| run.took)? / 1e3,
            runs.iter().map(|run| run.lost).sum::<u32>()
        ))
    };
    TOOLS.iter().zip(&rows).map(line).collect()
}

fn milliseconds(runs: &[Run], of: fn(&Run) -> Duration) -> Result<f64> {
    let values = runs.iter().map(|run| of(run).as_secs_f64() * 1e3);
    median(values.collect()).context("at least one run")
}

/// What was seen while something was done to a server.
struct Run {
    longest: Duration,
    took: Duration,
    lost: u32,
}

fn under_load(serves: &Serves, tool: &fn(&str) -> Result<Duration>) -> Result<Run> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ask = |_| scope.spawn(|| ask(serves, &is_over));
        let clients: Vec<_> = (0..CONNECTIONS).map(ask).collect();
        std::thread::sleep(ALONE / 6);
        let took = serves.pid().and_then(|pid| tool(&pid.to_string()));
        std::thread::sleep(ALONE / 6);
        is_over.store(true, Ordering::Relaxed);
        let waits = clients.into_iter().map(ScopedJoinHandle::join);
        let waits: Result<Vec<Waits>, _> = waits.collect();
        let waits = waits.map_err(|_| anyhow!("a client panicked"))?;
        let longest = waits.iter().map(|wait| wait.longest).max();
        Ok(Run {
            took: took?,
            longest: longest.context("a client")?,
            lost: waits.iter().map(|wait| u32::from(wait.is_lost)).sum(),
        })
    })
}

/// How a client fared: it asks no more when an answer does not come.
struct Waits {
    longest: Duration,
    is_lost: bool,
}

/// Asks until it is over.
fn ask(serves: &Serves, is_over: &AtomicBool) -> Waits {
    let mut waits = Waits {
        longest: Duration::ZERO,
        is_lost: false,
    };
    let Ok(mut client) = serves.connect() else {
        waits.is_lost = true;
        return waits;
    };
    while !waits.is_lost && !is_over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        waits.is_lost = client.ask().is_err();
        waits.longest = waits.longest.max(asked.elapsed());
        std::thread::sleep(PAUSE);
    }
    waits
}
