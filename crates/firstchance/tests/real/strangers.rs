//! Well-known programs that were not written for these tests. A dump of each opens in gdb, lldb and
//! minidump-stackwalk with every thread, a blocked thread has the same address as in the core of gdb's gcore, and
//! the program goes on.
//!
//! Every program counts the lines that it is given, and answers `pong COUNT`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{
    Child, Core, Firstchance, Postgres, Program, compile, files_in, folder, judge, lldb,
    proc_status, stackwalk, threads_of, wait_until,
};

/// A Python script for gdb that prints the innermost frame of each thread that has registers.
const NEWEST_FRAMES: &str = "
import gdb
for thread in gdb.selected_inferior().threads():
    thread.switch()
    try:
        frame = gdb.newest_frame()
        print('frame %d %x %s' % (thread.ptid[1] or thread.ptid[2], frame.pc(), frame.name()))
    except gdb.error:
        pass
";

/// The address of the current instruction, by the thread's id.
type Places = BTreeMap<u32, u64>;

/// The innermost frame, with address and function, by the thread's id.
type Frames = BTreeMap<u32, (u64, String)>;

/// A running program that answers.
struct Stranger {
    child: Child,
    pid: u32,
    question: &'static str,
    count: u32,
}

impl Stranger {
    /// Starts a program, and waits until it is ready.
    fn start(command: &mut Command) -> Stranger {
        let child = Child::start(command);
        assert_eq!(child.line(), "ready");
        let pid = child.pid();
        Stranger {
            child,
            pid,
            question: "ping",
            count: 0,
        }
    }

    /// Asserts that it answers, with the right count.
    fn assert_alive(&mut self) {
        self.child.tell(self.question);
        assert_eq!(self.child.line(), format!("pong {}", self.count));
        self.count += 1;
        let traced = |tid: &u32| proc_status(*tid, "TracerPid").is_some_and(|pid| pid != "0");
        wait_until("no thread is traced", || {
            !threads_of(self.pid).iter().any(traced)
        });
        // Go's monitor sleeps for some microseconds at a time until all else has been idle for a while.
        let is_napping = |tid: &u32| {
            let call = std::fs::read_to_string(format!("/proc/{tid}/syscall"));
            let nap = format!("{} ", libc::SYS_nanosleep);
            call.is_ok_and(|call| call.starts_with("running") || call.starts_with(&nap))
        };
        wait_until("its threads are idle", || {
            !threads_of(self.pid).iter().any(is_napping)
        });
    }

    /// The path under which the test can open its program file.
    fn exe(&self) -> PathBuf {
        std::fs::read_link(format!("/proc/{}/exe", self.pid)).expect("a process of ours")
    }
}

/// Asserts all of this for `stranger`, which must have at least `blocked` blocked threads.
fn assert_opens_everywhere(mut stranger: Stranger, blocked: usize) {
    let (pid, exe, folder) = (stranger.pid, stranger.exe(), folder());
    stranger.assert_alive();
    let lasting = threads_of(pid);
    let live = frames(&run_gdb(&["-p", &pid.to_string()], folder.path()));
    stranger.assert_alive();
    let (full, mini) = dump(pid, folder.path());
    stranger.assert_alive();
    let theirs = frames_of(&gcore(pid, folder.path()), &exe, folder.path());
    stranger.assert_alive();
    let now = threads_of(pid);
    let lasting: Vec<u32> = lasting.into_iter().filter(|t| now.contains(t)).collect();
    let ours = frames_of(&full, &exe, folder.path());
    assert_places_agree(&lasting, &ours, &full, &mini, &exe);
    let is_blocked = |tid: &&u32| live.contains_key(tid) && live.get(tid) == theirs.get(tid);
    let asleep: Vec<&u32> = lasting.iter().filter(is_blocked).collect();
    assert!(asleep.len() >= blocked, "{asleep:?} of {theirs:#x?}");
    for tid in asleep {
        assert_eq!(ours.get(tid), theirs.get(tid), "thread {tid}");
    }
}

/// Asserts that gdb, lldb and minidump-stackwalk find each of these threads, at the same address.
fn assert_places_agree(tids: &[u32], gdb: &Frames, full: &Path, mini: &Path, exe: &Path) {
    let judges = [
        ("lldb, the core", lldb_places(full, Some(exe))),
        ("lldb, the minidump", lldb_places(mini, None)),
        ("minidump-stackwalk", stackwalk_places(mini)),
    ];
    for tid in tids {
        let place = gdb.get(tid).map(|(pc, _)| *pc);
        assert!(place.is_some(), "gdb does not see {tid}: {gdb:#x?}");
        for (judge, places) in &judges {
            assert_eq!(places.get(tid).copied(), place, "{judge}, thread {tid}");
        }
    }
}

/// Takes a full and a mini dump in one capture. Returns their paths.
fn dump(pid: u32, folder: &Path) -> (PathBuf, PathBuf) {
    let place = folder.join("ours");
    std::fs::create_dir(&place).expect("our own folder");
    let place = format!("{}/", place.display());
    let args = ["dump", "--full", "--mini", &pid.to_string(), "-o", &place];
    let run = Firstchance::new(&args).run_well();
    let files = files_in(Path::new(&place));
    let with = |ending: &str| {
        let file = files
            .iter()
            .find(|f| f.extension() == Some(ending.as_ref()));
        file.unwrap_or_else(|| panic!("no {ending}: {run:#?}"))
            .clone()
    };
    (with("core"), with("dmp"))
}

/// Takes a core of a process with gdb's gcore.
pub(crate) fn gcore(pid: u32, folder: &Path) -> PathBuf {
    judge("gcore", "gdb");
    let prefix = folder.join("theirs");
    let mut gcore = Command::new("gcore");
    let output = gcore.arg("-o").arg(&prefix).arg(pid.to_string()).output();
    let output = output.expect("gcore");
    let core = prefix.with_extension(pid.to_string());
    assert!(core.is_file(), "{output:?}");
    core
}

/// The innermost frames in a core, as gdb sees them.
fn frames_of(core: &Path, exe: &Path, folder: &Path) -> Frames {
    let script = frames_script(folder);
    frames(&Core::new(core, exe).gdb(&[&script]))
}

/// The output of the script above in gdb, which is started with these arguments.
fn run_gdb(args: &[&str], folder: &Path) -> String {
    judge("gdb", "gdb");
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-q", "-iex", "set debuginfod enabled off"])
        .args(args)
        .args(["-ex", &frames_script(folder)]);
    let output = gdb.output().expect("gdb");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn frames_script(folder: &Path) -> String {
    let file = folder.join("frames.py");
    std::fs::write(&file, NEWEST_FRAMES).expect("a script for gdb");
    format!("source {}", file.display())
}

/// Reads the output of [`NEWEST_FRAMES`].
fn frames(answer: &str) -> Frames {
    let lines = answer
        .lines()
        .filter_map(|line| line.strip_prefix("frame "));
    let frames = lines.filter_map(|line| {
        let mut words = line.splitn(3, ' ');
        let tid = words.next()?.parse().ok()?;
        let pc = u64::from_str_radix(words.next()?, 16).ok()?;
        Some((tid, (pc, words.next()?.to_owned())))
    });
    frames.collect()
}

/// Reads the output of lldb: `thread #1: tid = 4242, 0x00007f… libc.so.6…`.
fn lldb_places(dump: &Path, exe: Option<&Path>) -> Places {
    let answer = lldb(dump, exe, &["thread list"]);
    let lines = answer.lines().filter_map(|line| line.split_once("tid = "));
    let places = lines.filter_map(|(_, rest)| {
        let (tid, rest) = rest.split_once(", 0x")?;
        let pc = rest.split_whitespace().next()?;
        let pc = u64::from_str_radix(pc, 16).ok()?;
        Some((tid.parse().ok()?, pc))
    });
    places.collect()
}

fn stackwalk_places(dump: &Path) -> Places {
    let answer = stackwalk(dump);
    let threads = answer["threads"].as_array().expect("a list of threads");
    let places = threads.iter().filter_map(|thread| {
        let pc = thread["frames"][0]["offset"].as_str()?;
        let pc = u64::from_str_radix(pc.trim_start_matches("0x"), 16).ok()?;
        Some((thread["thread_id"].as_u64()? as u32, pc))
    });
    places.collect()
}

#[test]
fn python_with_threads() {
    const SCRIPT: &str = "
import sys, threading
event = threading.Event()
for _ in range(4):
    threading.Thread(target=event.wait, daemon=True).start()
print('ready', flush=True)
for count, line in enumerate(sys.stdin):
    print('pong', count, flush=True)
";
    judge("python3", "python3");
    let python = Stranger::start(Command::new("python3").args(["-c", SCRIPT]));
    assert_eq!(threads_of(python.pid).len(), 5);
    assert_opens_everywhere(python, 5);
}

#[test]
fn node() {
    const SCRIPT: &str = "
let count = 0;
const lines = require('readline').createInterface({ input: process.stdin });
lines.on('line', () => console.log(`pong ${count++}`));
console.log('ready');
";
    judge("node", "nodejs");
    let node = Stranger::start(Command::new("node").args(["-e", SCRIPT]));
    assert_opens_everywhere(node, 5);
}

#[test]
fn a_java_virtual_machine() {
    judge("java", "default-jdk-headless");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/Idle.java");
    // With little address space, because gcore writes all of it.
    let small = [
        "-Xmx64m",
        "-XX:CompressedClassSpaceSize=16m",
        "-XX:ReservedCodeCacheSize=16m",
        "-Xshare:off",
    ];
    let java = Stranger::start(Command::new("java").args(small).arg(program));
    // The main thread, four that sleep, and those of the virtual machine.
    assert!(threads_of(java.pid).len() >= 10);
    assert_opens_everywhere(java, 8);
}

#[test]
fn a_go_program() {
    const IDLE: Program = Program::go("idle.go");
    let go = Stranger::start(&mut Command::new(compile(&IDLE)));
    assert_opens_everywhere(go, 4);
}

#[test]
fn a_static_musl_program() {
    const TALK: Program = Program::musl("talk.c");
    let musl = Stranger::start(&mut Command::new(compile(&TALK)));
    assert_opens_everywhere(musl, 4);
}

#[test]
fn a_cpp_program_of_two_hundred_threads() {
    const THREADS: Program = Program::cpp("threads.cpp");
    let mut small = Command::new("prlimit");
    // gcore writes the whole of each stack.
    small.arg("--stack=262144").arg(compile(&THREADS));
    let cpp = Stranger::start(&mut small);
    assert_eq!(threads_of(cpp.pid).len(), 201);
    assert_opens_everywhere(cpp, 201);
}

/// In a pid namespace the C library tells gdb other thread ids. gdb then lists both, for gcore's core as for
/// ours.
#[test]
fn a_process_in_its_own_pid_and_mount_namespace() {
    const TALK: Program = Program::c("talk.c");
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--pid", "--mount", "--fork"]);
    unshare.args(["--mount-proc", "--kill-child"]);
    let mut inner = Stranger::start(unshare.arg(compile(&TALK)));
    let starter = inner.pid;
    let children = std::fs::read_to_string(format!("/proc/{starter}/task/{starter}/children"));
    inner.pid = children.unwrap().trim().parse().expect("one child");
    assert_eq!(threads_of(inner.pid).len(), 4);
    let pids = proc_status(inner.pid, "NSpid").unwrap();
    assert_eq!(pids.split_whitespace().last(), Some("1"));
    assert_opens_everywhere(inner, 4);
}

/// Opens a session. The process is the one of the server that serves it.
fn session(postgres: &Postgres) -> Stranger {
    let mut psql = postgres.client("psql");
    let mut child = Child::start(psql.args(["-X", "-q", "-A", "-t", "-d", "postgres"]));
    child.tell("create temporary sequence beats minvalue 0;");
    child.tell("select pg_backend_pid();");
    let pid = child.line().parse().expect("a pid");
    Stranger {
        child,
        pid,
        question: "select 'pong ' || nextval('beats');",
        count: 0,
    }
}

#[test]
fn postgres_in_the_middle_of_a_session() {
    let postgres = Postgres::start(&[]);
    assert_opens_everywhere(session(&postgres), 1);
}

#[test]
fn postgres_itself() {
    let postgres = Postgres::start(&[]);
    let mut itself = session(&postgres);
    itself.pid = postgres.server.pid();
    assert_opens_everywhere(itself, 1);
    // The server accepts new sessions as before.
    session(&postgres).assert_alive();
}
