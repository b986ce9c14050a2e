//! Servers that are dumped while clients use them: every request is answered, once, and no answer is wrong.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::support::{Child, Firstchance, Postgres, folder, judge, must, threads_of, wait_until};

/// How many dumps are taken of each.
const DUMPS: usize = 5;
const CLIENTS: usize = 4;

/// Takes full dumps of a process until `is_over`, and at least [`DUMPS`]. Returns how each was taken.
fn dump(pid: u32, options: &[&str], mut is_over: impl FnMut() -> bool) -> Vec<String> {
    let folder = folder();
    let path = folder.path().join("x.core");
    let mut methods = Vec::new();
    while methods.len() < DUMPS || !is_over() {
        let options = [&["--full", "--overwrite", "--json"], options].concat();
        let run = Firstchance::dump(pid, &options, &path).run_well();
        let record: serde_json::Value = serde_json::from_str(&run.stdout).expect("a record");
        assert_eq!(record["complete"], true, "{record}");
        methods.push(record["method"].as_str().expect("a word").to_owned());
    }
    methods
}

/// Whether a program of ours has ended.
fn has_ended(child: &Child) -> bool {
    crate::support::state_of(child.pid()) == 'Z'
}

fn program(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/programs")
        .join(name)
}

#[test]
fn redis_loses_no_request_of_redis_benchmark() {
    judge("redis-server", "redis-server");
    let folder = folder();
    let socket = folder.path().join("socket");
    let mut command = Command::new("redis-server");
    command.args([
        "--port",
        "0",
        "--save",
        "",
        "--enable-debug-command",
        "local",
    ]);
    command
        .arg("--unixsocket")
        .arg(&socket)
        .arg("--dir")
        .arg(folder.path());
    let server = Child::start(&mut command);
    wait_until("redis has its socket", || socket.exists());
    let client = |program: &str| {
        let mut command = Command::new(program);
        command.arg("-s").arg(&socket);
        command
    };
    must(client("redis-cli").args(["debug", "populate", "200000", "key", "1024"]));
    let mut benchmark = client("redis-benchmark");
    benchmark.args(["-n", "100000", "-c", "20", "-q", "incr", "counted"]);
    let mut load = Child::start(&mut benchmark);
    let methods = dump(server.pid(), &[], || has_ended(&load));
    assert!(load.wait().success());
    assert!(
        methods.iter().all(|method| method == "clone"),
        "{methods:?}"
    );
    let output = client("redis-cli").args(["get", "counted"]).output();
    assert_eq!(
        output.expect("redis-cli").stdout,
        b"100000\n",
        "each one once"
    );
    let output = client("redis-cli").args(["info", "stats"]).output();
    let stats = String::from_utf8(output.expect("redis-cli").stdout).expect("text");
    assert!(stats.contains("total_error_replies:0"), "{stats}");
}

#[test]
fn postgres_loses_no_transaction_of_pgbench() {
    let postgres = Postgres::start(&["shared_buffers=256MB", "fsync=off"]);
    must(
        postgres
            .client("pgbench")
            .args(["-i", "-q", "-s", "10", "postgres"]),
    );
    let mut pgbench = postgres.client("pgbench");
    pgbench.args(["-n", "-c", "4", "-t", "10000", "postgres"]);
    let load = Child::start(&mut pgbench);
    let serving = || {
        let children = children_of(postgres.server.pid()).into_iter();
        children
            .filter(|pid| line_of(*pid).contains("[local]"))
            .collect::<Vec<u32>>()
    };
    wait_until("it serves all clients", || serving().len() == CLIENTS);
    let methods = dump(serving()[0], &["--clone"], || true);
    assert_eq!(methods, ["clone"; DUMPS]);
    let itself = dump(postgres.server.pid(), &["--clone"], || true);
    assert_eq!(itself, ["clone"; DUMPS]);
    wait_until("pgbench has ended", || has_ended(&load));
    let said = load.last_lines().join("\n");
    assert!(said.contains("processed: 40000/40000"), "{said}");
    assert!(said.contains("failed transactions: 0"), "{said}");
}

fn children_of(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    children.split_whitespace().flat_map(str::parse).collect()
}

fn line_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

#[test]
fn node_answers_each_line() {
    judge("node", "nodejs");
    answers_each_line(Command::new("node").arg(program("serves.js")));
}

#[test]
fn java_with_three_hundred_threads_answers_each_line() {
    judge("java", "default-jdk-headless");
    for collector in ["-XX:+UseG1GC", "-XX:+UseZGC"] {
        let mut java = Command::new("java");
        java.args(["-Xms300m", "-Xmx300m", collector]);
        let server = answers_each_line(java.arg(program("Serves.java")).arg("200"));
        assert!(threads_of(server.pid()).len() > 300);
    }
}

/// Has several clients send lines to a server while dumps are taken of it. Each answer is the number of lines that it was sent.
fn answers_each_line(command: &mut Command) -> Child {
    let server = Child::start(command);
    let port: u16 = server.line().parse().expect("its port");
    let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let highest = std::thread::scope(|scope| {
        let ask = |_| scope.spawn(|| ask(port, &is_over, &sent));
        let clients: Vec<_> = (0..CLIENTS).map(ask).collect();
        dump(server.pid(), &[], || true);
        is_over.store(true, Ordering::Relaxed);
        let highest = clients
            .into_iter()
            .map(|client| client.join().expect("no panic"));
        highest.max().expect("clients")
    });
    assert_eq!(highest, sent.into_inner(), "each one once");
    server
}

/// Sends lines until it `is_over`, and counts them. Returns the last answer.
fn ask(port: u16, is_over: &AtomicBool, sent: &AtomicU64) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let mut answers = BufReader::new(stream.try_clone().expect("a socket"));
    let mut last = 0;
    while !is_over.load(Ordering::Relaxed) {
        stream.write_all(b"line\n").expect("it is read");
        sent.fetch_add(1, Ordering::Relaxed);
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("an answer");
        let number = answer.trim().parse().expect("a number");
        assert!(number > last, "{number} after {last}");
        last = number;
    }
    last
}
