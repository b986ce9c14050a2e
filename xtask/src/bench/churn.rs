//! What it costs a server that starts a process for each connection that every one of them is watched for its crash.

use std::fmt::{self, Display, Formatter};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{
    Options,
    dump::release,
    measure::{cpu_of, median, own_memory},
    postgresql::PostgreSql,
    report::machine,
    throw::watch,
};
use crate::shell::{Cmd, target_dir};

/// Queries of one run, each with a connection of its own, by two clients.
const QUERIES: u32 = 1000;

/// What gdb is told, to stay with a process and all that it starts, and to stop at none of their signals.
pub(super) const FOLLOW_CHILDREN: &str = "\
set confirm off
set pagination off
set detach-on-fork off
set schedule-multiple on
handle all nostop noprint pass
";

/// What it is told then, to stop at crashes alone. It has to be told again to go on at the end of each process.
const GDB: &str = "\
handle SIGSEGV SIGABRT SIGBUS SIGFPE SIGILL stop print
shell echo armed
while 1
  inferior 1
  continue
end
";

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    Cmd::cargo("build --quiet --release -p firstchance").run()?;
    let server = PostgreSql::start(&[])?;
    queries(&server)?;
    let ours = Row::of((0..options.runs).map(|_| pair(&server, ours, "\"effective\"")))?;
    drop(server);
    // gdb leaves breakpoints behind when it is killed: each pair has a server of its own.
    let gdb = Row::of((0..options.runs).map(|_| pair(&PostgreSql::start(&[])?, gdb, "armed")))?;
    Ok(format!(
        "PostgreSQL with a connection, and so a process, for each query; two clients, {QUERIES} queries; medians of {} pairs of runs, without and with a \
         watcher of the server and all its children in turn. gdb has `set detach-on-fork off`, `set schedule-multiple on`, and a loop that continues \
         after each end. gcore is not there: it waits for nothing.\n{}.\n\n\
         | | queries a second | without | of those without | CPU for one process | memory |\n|---|---:|---:|---:|---:|---:|\n\
         | firstchance, `watch PID --children --when 'unhandled exception'` | {ours} |\n\
         | gdb | {gdb} |\n",
        options.runs,
        machine()
    ))
}

/// The medians of several pairs of runs.
struct Row(Vec<Pair>);

impl Row {
    fn of(pairs: impl Iterator<Item = Result<Pair>>) -> Result<Self> {
        pairs.collect::<Result<_>>().map(Self)
    }

    fn middle(&self, of: impl Fn(&Pair) -> f64) -> f64 {
        median(self.0.iter().map(of).collect()).unwrap_or(f64::NAN)
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} | {:.0} | {:.2} | {:.2} ms | {:.0} MiB",
            self.middle(|pair| pair.watched),
            self.middle(|pair| pair.alone),
            self.middle(|pair| pair.watched / pair.alone),
            self.middle(|pair| pair.cpu),
            self.middle(|pair| pair.memory)
        )
    }
}

/// Queries a second, without and with a watcher; its CPU time for one process in milliseconds, and its memory in MiB.
struct Pair {
    alone: f64,
    watched: f64,
    cpu: f64,
    memory: f64,
}

/// A run without, and a run with the watcher that `watcher` makes of a pid. It says `ready` when it watches.
fn pair(server: &PostgreSql, watcher: fn(&str) -> Result<Command>, ready: &str) -> Result<Pair> {
    let alone = queries(server)?;
    let watching = watch(watcher(&server.running.0.id().to_string())?, ready)?;
    let before = cpu_of(watching.0.id())?;
    let watched = queries(server)?;
    let used = cpu_of(watching.0.id())?.saturating_sub(before);
    Ok(Pair {
        alone,
        watched,
        cpu: used.as_secs_f64() * 1e3 / f64::from(QUERIES),
        memory: own_memory(watching.0.id()) as f64 / f64::from(1 << 20),
    })
}

fn ours(pid: &str) -> Result<Command> {
    let mut command = Command::new(release("firstchance"));
    command.args(["watch", "--json", "--children", pid]);
    command.args(["--when", "unhandled exception", "-o"]);
    command.arg(std::env::temp_dir());
    Ok(command)
}

fn gdb(pid: &str) -> Result<Command> {
    let script = target_dir().join("churn.gdb");
    std::fs::write(&script, format!("{FOLLOW_CHILDREN}{GDB}"))?;
    let mut command = Command::new("gdb");
    command
        .args(["-nx", "-q", "-batch", "-p", pid, "-x"])
        .arg(script);
    Ok(command)
}

/// Asks the queries. Returns how many were answered a second.
fn queries(server: &PostgreSql) -> Result<f64> {
    let script = target_dir().join("select.sql");
    std::fs::write(&script, "select 1;\n")?;
    let mut bench = server.client("pgbench")?;
    let each = (QUERIES / 2).to_string();
    bench.args(["-n", "-C", "-c", "2", "-j", "2", "-t", &each]);
    bench.args(["-f", "/dev/stdin", "postgres"]);
    let said = bench.stdin(std::fs::File::open(script)?).output()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let line = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let figure = line.and_then(|line| line.split(' ').next());
    Ok(figure.with_context(|| said.clone())?.parse()?)
}
