//! The servers whose clients are measured. Each has a gibibyte of memory, and answers a line with a line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::target::Running;
use crate::shell::root;

/// A server to measure.
pub(super) struct Server {
    pub(super) name: &'static str,
    /// Starts it, and waits until its memory is filled.
    pub(super) start: fn() -> Result<Serves>,
}

/// A server that runs.
pub(super) struct Serves {
    pub(super) running: Running,
    pub(super) port: u16,
    /// What it is asked.
    pub(super) request: &'static [u8],
}

pub(super) const SERVERS: &[Server] = &[
    Server {
        name: "redis, 1 GiB",
        start: redis,
    },
    Server {
        name: "Node.js, 1 GiB",
        start: node,
    },
    Server {
        name: "Java, 1 GiB, 300 threads",
        start: java,
    },
];

/// Fills it by a script in its own language, with values that no page has twice.
const FILL: &[u8] = b"EVAL \"for i=1,16384 do redis.call('set', i, string.rep(redis.sha1hex(tostring(i)), 1638)) end return redis.status_reply('OK')\" 0\r\n";

fn redis() -> Result<Serves> {
    let port = free_port()?;
    let mut command = Command::new("redis-server");
    command.args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]);
    command.args(["--daemonize", "no", "--port", &port.to_string()]);
    let mut running = Running(command.stdout(Stdio::piped()).spawn()?);
    running.wait_for("Ready to accept connections")?;
    let answer = answer_to(port, FILL)?;
    anyhow::ensure!(answer.starts_with("+OK"), "redis said {answer}");
    Ok(Serves {
        running,
        port,
        request: b"SET key value\r\n",
    })
}

fn node() -> Result<Serves> {
    serves(Command::new("node").arg(source("latency.js")))
}

fn java() -> Result<Serves> {
    let mut command = Command::new("java");
    command.args(["-Xms1500m", "-Xmx1500m", "-XX:+UseG1GC"]);
    serves(command.arg(source("Latency.java")))
}

/// A server that prints its port when it is ready.
fn serves(command: &mut Command) -> Result<Serves> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("a pipe")?;
    let running = Running(child);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    Ok(Serves {
        running,
        port: line.trim().parse().context("a port")?,
        request: b"ask\n",
    })
}

fn source(name: &str) -> std::path::PathBuf {
    root().join("xtask/src/bench").join(name)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn answer_to(port: u16, request: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(request)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer)
}
