//! The servers whose clients are measured. All but nginx have a gibibyte of memory.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{
    dump::Folder,
    latency_client::{Asks, Client, HTTP, LINES},
    postgresql::PostgreSql,
    target::{Running, free_port},
};
use crate::shell::{Cmd, root};

/// A server to measure.
pub(super) struct Server {
    pub(super) name: &'static str,
    /// Starts it, and waits until its memory is filled.
    pub(super) start: fn() -> Result<Serves>,
}

/// A server that runs.
pub(super) struct Serves {
    running: Running,
    /// Another client, whose answers nobody times.
    beside: Option<Running>,
    /// What its files are in: it goes when the server has ended.
    pub(super) folder: Option<Folder>,
    /// The dumped process is its first child whose command line contains this; `None`: the server itself.
    child: Option<&'static str>,
    port: u16,
    asks: Asks,
}

pub(super) const SERVERS: &[Server] = &[
    Server {
        name: "redis, 1 GiB",
        start: redis,
    },
    Server {
        name: "redis, 2 GiB, beside redis-benchmark",
        start: busy_redis,
    },
    Server {
        name: "Node.js, 1 GiB",
        start: node,
    },
    Server {
        name: "Java, 1 GiB, 300 threads",
        start: java,
    },
    Server {
        name: "Java with ZGC, 1 GiB, 300 threads",
        start: java_with_zgc,
    },
    Server {
        name: "PostgreSQL, 1 GiB of shared buffers",
        start: postgresql,
    },
    Server {
        name: "nginx",
        start: nginx,
    },
];

impl Serves {
    /// The pid of the dumped process.
    ///
    /// # Errors
    /// If the server has no such process.
    pub(super) fn pid(&self) -> Result<u32> {
        let pid = self.running.0.id();
        let Some(words) = self.child else {
            return Ok(pid);
        };
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let is_it = |pid: &&str| {
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
            line.is_ok_and(|line| line.contains(words))
        };
        let child = children.split_whitespace().find(is_it);
        Ok(child.with_context(|| format!("no {words:?}"))?.parse()?)
    }

    /// Connects a client.
    ///
    /// # Errors
    /// If the server does not answer.
    pub(super) fn connect(&self) -> Result<Client> {
        Client::connect(self.port, self.asks)
    }

    /// Waits until the server takes connections.
    fn wait(self) -> Result<Self> {
        for _ in 0..100 {
            if self.connect().is_ok() {
                return Ok(self);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        anyhow::bail!("the server does not answer on port {}", self.port)
    }
}

/// A server that is killed would leave its children behind: it ends them at SIGTERM.
impl Drop for Serves {
    fn drop(&mut self) {
        let _ = Cmd::new("kill -TERM")
            .arg(self.running.0.id().to_string())
            .read();
        for _ in 0..100 {
            match self.running.0.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(100)),
                _ => return,
            }
        }
    }
}

fn redis() -> Result<Serves> {
    redis_with(16384)
}

/// Twice as large, and twenty more clients keep it busy, who change it as well.
fn busy_redis() -> Result<Serves> {
    let mut serves = redis_with(32768)?;
    let mut command = Command::new("redis-benchmark");
    command.args(["-p", &serves.port.to_string(), "-c", "20", "-l", "-q"]);
    command.args(["-r", "32768", "setrange", "__rand_int__", "0", "changed"]);
    serves.beside = Some(Running(command.stdout(Stdio::null()).spawn()?));
    Ok(serves)
}

/// Fills it by a script in its own language, with so many values of 64 KiB that no page has twice.
fn redis_with(values: u32) -> Result<Serves> {
    let port = free_port()?;
    let mut command = Command::new("redis-server");
    command.args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]);
    command.args(["--daemonize", "no", "--port", &port.to_string()]);
    let mut running = Running(command.stdout(Stdio::piped()).spawn()?);
    running.wait_for("Ready to accept connections")?;
    let request = b"SET key value\r\n";
    let serves = alone(running, port, Asks { request, ..LINES });
    let fill = format!(
        "EVAL \"for i=1,{values} do redis.call('set', string.format('%012d', i), string.rep(redis.sha1hex(tostring(i)), 1638)) end return redis.status_reply('OK')\" 0\r\n"
    );
    let answer = serves.connect()?.answer_to(fill.as_bytes())?;
    let said = String::from_utf8_lossy(&answer);
    anyhow::ensure!(said.starts_with("+OK"), "redis said {said}");
    Ok(serves)
}

fn node() -> Result<Serves> {
    prints_its_port(Command::new("node").arg(source("latency.js")), LINES)
}

fn java() -> Result<Serves> {
    java_with("-XX:+UseG1GC")
}

/// Its heap is shared memory, which is mapped three times.
fn java_with_zgc() -> Result<Serves> {
    java_with("-XX:+UseZGC")
}

fn java_with(collector: &str) -> Result<Serves> {
    let mut command = Command::new("java");
    command.args(["-Xms1500m", "-Xmx1500m", collector]);
    let program = root().join("crates/firstchance/tests/programs/Serves.java");
    prints_its_port(command.arg(program).arg("1024"), LINES)
}

/// Fills the shared buffers from a table. It is not logged, so that they are filled fast.
const TABLE: &[&str] = &[
    "create extension pg_prewarm",
    "create unlogged table filled (id int, text text)",
    "alter table filled alter text set storage plain",
    "insert into filled select i, repeat(md5(i::text), 60) from generate_series(1, 500000) i",
    "create unique index on filled (id)",
    "create table counts (id int primary key, count int)",
    "insert into counts select i, 0 from generate_series(1, 100) i",
    "vacuum analyze",
    "select pg_prewarm('filled')",
];

/// The startup message of a client, and a message `Query` of a transaction that reads a row of the table and changes one
/// of another. Each message has its length in front, and the end of an answer is `ReadyForQuery` outside of a transaction
/// (PostgreSQL's documentation, "Message Formats").
const TRANSACTIONS: Asks = Asks {
    hello: b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0",
    request: b"Q\0\0\0\xa7select length(text) from filled where id = (select 1 + (random() * 499999)::int); \
               update counts set count = count + 1 where id = (select 1 + (random() * 99)::int)\0",
    end: b"Z\0\0\0\x05I",
};

/// The dumped process is one of those that serve the clients. The one that starts them would not show what a client sees:
/// it has no part in transactions. What is changed is not waited for on the disk, where the dump is written.
fn postgresql() -> Result<Serves> {
    let server = PostgreSql::start(&["shared_buffers=1GB", "fsync=off"])?;
    server.execute(TABLE)?;
    Ok(Serves {
        running: server.running,
        beside: None,
        folder: Some(server.folder),
        child: Some(" 127.0.0.1("),
        port: server.port,
        asks: TRANSACTIONS,
    })
}

/// An answer that needs no file. By default a connection has 1,000 requests.
const NGINX: &str = "daemon off; worker_processes 1; error_log stderr; pid nginx.pid;
events {}
http {
    access_log off;
    keepalive_requests 1000000000;
    server { listen 127.0.0.1:PORT; location / { return 200 \"done\\n\"; } }
}
";

fn nginx() -> Result<Serves> {
    let folder = Folder::temporary("nginx")?;
    let port = free_port()?;
    let settings = folder.0.join("nginx.conf");
    std::fs::write(&settings, NGINX.replace("PORT", &port.to_string()))?;
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-p").arg(&folder.0).arg("-c").arg(&settings);
    Serves {
        running: Running(command.stderr(Stdio::null()).spawn()?),
        beside: None,
        folder: Some(folder),
        child: Some("worker process"),
        port,
        asks: HTTP,
    }
    .wait()
}

/// A server that prints its port when it is ready.
///
/// # Errors
/// If it cannot be started, or prints something else.
pub(super) fn prints_its_port(command: &mut Command, asks: Asks) -> Result<Serves> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("a pipe")?;
    let running = Running(child);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let port = line
        .trim()
        .parse()
        .with_context(|| format!("no port: {line:?}"))?;
    Ok(alone(running, port, asks))
}

/// A server that is one process.
fn alone(running: Running, port: u16, asks: Asks) -> Serves {
    Serves {
        running,
        beside: None,
        folder: None,
        child: None,
        port,
        asks,
    }
}

/// A source file beside this one.
pub(super) fn source(name: &str) -> std::path::PathBuf {
    root().join("xtask/src/bench").join(name)
}
