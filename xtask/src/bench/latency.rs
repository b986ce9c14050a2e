//! How long clients of a server wait at most while a full dump of it is taken.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::{
    Options,
    dump::{Folder, firstchance, gcore},
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

const TOOLS: [Tool; 3] = [
    ("none", |_| {
        std::thread::sleep(ALONE);
        Ok(ALONE)
    }),
    ("firstchance", |pid| {
        let folder = Folder::new()?;
        Ok(measure::run(&mut firstchance(pid, &folder.0))?.wall)
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
         again {} ms after an answer. Medians of {} runs in turn; lost: requests without an answer, of all runs.\n{}.\n\n\
         | server | tool | longest | of it without a dump | dump | lost |\n|---|---|---:|---:|---:|---:|\n",
        PAUSE.as_millis(),
        options.runs,
        machine()
    );
    for server in SERVERS {
        text += &of_server(server, options.runs)?;
    }
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
        let took = tool(&serves.running.0.id().to_string());
        std::thread::sleep(ALONE / 6);
        is_over.store(true, Ordering::Relaxed);
        let waits = clients.into_iter().map(|client| client.join().ok());
        let waits: Vec<_> = waits.map(Option::unwrap_or_default).collect();
        Ok(Run {
            took: took?,
            longest: waits.iter().flatten().copied().max().unwrap_or_default(),
            lost: waits.iter().map(|wait| u32::from(wait.is_none())).sum(),
        })
    })
}

/// Asks until it is over. Returns the longest wait, or `None` if an answer did not come.
fn ask(serves: &Serves, is_over: &AtomicBool) -> Option<Duration> {
    let mut stream = TcpStream::connect(("127.0.0.1", serves.port)).ok()?;
    stream.set_nodelay(true).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .ok()?;
    let mut answers = BufReader::new(stream.try_clone().ok()?);
    let (mut longest, mut answer) = (Duration::ZERO, String::new());
    while !is_over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        stream.write_all(serves.request).ok()?;
        answer.clear();
        answers.read_line(&mut answer).ok().filter(|got| *got > 0)?;
        longest = longest.max(asked.elapsed());
        std::thread::sleep(PAUSE);
    }
    Some(longest)
}
