//! Java in dumps: its methods, threads and locks, judged by the JDK's own reader of cores (`jhsdb jstack`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cause::death::cored;
use crate::strangers::gcore;
use crate::support::{Child, Firstchance, Program, compile, file_in, folder, judge};
use serde_json::Value;

const STACKS: Program = Program::java("JavaStacks.java");

/// Threads that only wait, besides those of the program that do something else.
const MANY: &str = "200";

/// gdb copies all that the machine has reserved, which is a quarter of the computer's memory for the heap, and 1 GB for classes.
const SMALL: [&str; 2] = ["-Xmx64m", "-XX:CompressedClassSpaceSize=64m"];

/// A thread: its name, its state, and its methods with their lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    name: String,
    state: Option<String>,
    methods: Vec<(String, Option<u64>)>,
}

/// The JDKs of this machine that have the judge.
fn jdks() -> BTreeSet<PathBuf> {
    judge("jhsdb", "openjdk-17-jdk-headless");
    let folders = std::fs::read_dir("/usr/lib/jvm").expect("Java is installed");
    let binaries = folders.flatten().map(|jdk| jdk.path().join("bin"));
    let with_judge = binaries.filter(|bin| bin.join("jhsdb").exists());
    let found: BTreeSet<PathBuf> = with_judge
        .filter_map(|bin| bin.canonicalize().ok())
        .collect();
    assert!(!found.is_empty());
    found
}

/// Starts the program with so many threads that only wait, and returns when all of its threads stand.
fn start(bin: &Path, options: &[&str], many: &str) -> Child {
    let mut java = Command::new(bin.join("java"));
    java.args(options).arg("-cp").arg(compile(&STACKS));
    let child = Child::start(java.args(["JavaStacks", many]));
    child.lines_until("ready");
    child
}

fn inspected(path: &Path) -> Value {
    let run = Firstchance::new(&["inspect", "--json"])
        .arg(path)
        .run_well();
    serde_json::from_str(&run.stdout).expect("JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], |list| list)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn own(thread: &Value) -> Told {
    let frames = list(&thread["frames"]).iter();
    let methods = frames.flat_map(|frame| list(&frame["language"]));
    let method = |method: &Value| {
        let name = text(&method["function"]).unwrap_or_default();
        (name, method["line"].as_u64())
    };
    Told {
        name: text(&thread["java-name"]).unwrap_or_default(),
        state: text(&thread["java-state"]),
        methods: methods.map(method).collect(),
    }
}

/// What the judge says of each thread, by its number, and in all.
fn judged(bin: &Path, core: &Path) -> (BTreeMap<u64, Told>, String) {
    let mut judge = Command::new(bin.join("jhsdb"));
    judge.arg("jstack").arg("--exe").arg(bin.join("java"));
    let output = judge.arg("--core").arg(core).output().expect("jhsdb runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut threads: BTreeMap<u64, Told> = BTreeMap::new();
    let mut current = None;
    for line in said.lines() {
        if let Some((name, facts)) = line.strip_prefix('"').and_then(|l| l.rsplit_once('"')) {
            // The judge's list of deadlocks has names of threads, too, and no numbers.
            current = number(facts);
            if let Some(id) = current {
                threads.entry(id).or_default().name = name.to_owned();
            }
        } else if line.is_empty() {
            current = None;
        } else if let Some(told) = current.and_then(|id| threads.get_mut(&id)) {
            told.add(line.trim_start());
        }
    }
    (threads, said)
}

/// The thread's number, which older versions write in hexadecimal digits.
fn number(facts: &str) -> Option<u64> {
    let words = facts
        .split(' ')
        .find_map(|word| word.strip_prefix("nid="))?;
    match words.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => words.parse().ok(),
    }
}

impl Told {
    /// `- Shop.checkout(int) @bci=3, line=12 (Interpreted frame)`. The judge writes the names of lambdas as they are in memory.
    fn add(&mut self, line: &str) {
        if let Some(state) = line.strip_prefix("java.lang.Thread.State: ") {
            self.state = Some(state.to_owned());
        }
        let method = line
            .strip_prefix("- ")
            .and_then(|rest| rest.split_once(" @bci="));
        let Some((method, rest)) = method else {
            return;
        };
        let name = method.split('(').next().unwrap_or_default();
        let line = rest.split_once("line=").map(|(_, line)| line);
        let line = line.and_then(|line| line.split(' ').next()?.parse().ok());
        let name = name.replace("+0x", "/0x").replace(".0x", "/0x");
        self.methods.push((name, line));
    }
}

/// Each thread has the name, the state and the methods with lines that the judge tells, whatever the collector of garbage.
#[test]
fn methods_names_and_states_are_those_of_the_jdk_s_own_reader() {
    for bin in jdks() {
        for options in [
            &["-Xbatch"][..],
            &["-XX:+UseSerialGC", "-XX:-UseCompressedOops", "-Xint"],
        ] {
            let folder = folder();
            let path = file_in(&folder, "x.core");
            let child = start(&bin, options, MANY);
            Firstchance::dump(child.pid(), &["--full", "--format", "core"], &path).run_well();
            let (told, said) = judged(&bin, &path);
            assert!(told.len() >= 210, "{said}");
            let dump = inspected(&path);
            let threads = list(&dump["threads"]);
            let own: BTreeMap<u64, Told> = threads
                .iter()
                .map(|thread| (thread["id"].as_u64().expect("a number"), self::own(thread)))
                .collect();
            for (id, told) in &told {
                assert_eq!(&own[id], told, "{bin:?} {options:?}, thread {id}");
            }
            let with_methods = threads.iter().filter(|t| !self::own(t).methods.is_empty());
            for thread in with_methods {
                assert_eq!(thread["whole"], true, "{thread}");
            }
        }
    }
}

/// Compiled code has the methods that were inlined in it.
#[test]
fn compiled_code_has_its_inlined_methods() {
    for bin in jdks() {
        let folder = folder();
        let path = file_in(&folder, "x.core");
        let child = start(
            &bin,
            &[
                "-Xbatch",
                "-XX:CompileCommand=quiet",
                "-XX:CompileCommand=dontinline,JavaStacks::pause",
            ],
            "0",
        );
        Firstchance::dump(child.pid(), &["--plus", "--format", "core"], &path).run_well();
        let dump = inspected(&path);
        let mut threads = list(&dump["threads"]).iter();
        let thread = threads
            .find(|thread| thread["java-name"] == "compiled")
            .expect("the thread");
        let frames = list(&thread["frames"])
            .iter()
            .map(|frame| list(&frame["language"]));
        let inlined = frames.filter(|methods| methods.len() > 1).flatten();
        let inlined: Vec<String> = inlined
            .filter_map(|method| text(&method["function"]))
            .collect();
        assert!(
            inlined.contains(&"JavaStacks.middle".to_owned()),
            "{:?}",
            own(thread)
        );
    }
}

/// Who waits for each other by monitors, by locks of `java.util.concurrent`, and by `join`, whatever the collector of garbage.
#[test]
fn java_deadlocks_are_the_verdict() {
    for bin in jdks() {
        for options in [
            &["-XX:+UseG1GC"][..],
            &["-XX:+UseZGC"],
            &["-XX:+UseParallelGC"],
        ] {
            let folder = folder();
            let path = file_in(&folder, "x.core");
            let child = start(&bin, options, "0");
            Firstchance::dump(child.pid(), &["--full", "--format", "core"], &path).run_well();
            assert_eq!(circles(&path), expected(), "{bin:?} {options:?}");
            assert_page(&path);
        }
    }
}

#[test]
fn java_deadlocks_are_told_in_dumps_of_all_kinds() {
    for bin in jdks() {
        let folder = folder();
        let child = start(&bin, &SMALL, "0");
        let mut dumps = dumps(&child, &folder);
        dumps.push(core_of_the_kernel(&bin, folder.path()));
        for dump in dumps {
            assert_eq!(circles(&dump), expected(), "{bin:?} {dump:?}");
        }
    }
}

/// A core that the kernel writes where the process ends itself.
fn core_of_the_kernel(bin: &Path, folder: &Path) -> PathBuf {
    let classes = compile(&STACKS);
    let program = ["-cp", classes.to_str().expect("a path"), "JavaStacks"];
    cored(&bin.join("java"), &[&SMALL, &program[..]].concat(), folder)
}

/// Dumps of a process that runs: gdb's and small ones.
fn dumps(child: &Child, folder: &tempfile::TempDir) -> Vec<PathBuf> {
    let pid = child.pid();
    let own = [
        ("core", "--mini"),
        ("minidump", "--mini"),
        ("minidump", "--triage"),
    ];
    let mut dumps = vec![gcore(pid, folder.path())];
    dumps.extend(own.map(|(format, kind)| {
        let path = file_in(folder, &format!("{format}{kind}"));
        Firstchance::dump(pid, &[kind, "--format", format], &path).run_well();
        path
    }));
    dumps
}

/// The names of the threads that wait for each other.
fn circles(path: &Path) -> BTreeSet<BTreeSet<String>> {
    let dump = inspected(path);
    let name = |id: &Value| {
        let mut threads = list(&dump["threads"]).iter();
        let thread = threads.find(|thread| thread["id"] == *id)?;
        text(&thread["java-name"])
    };
    let names = |circle: &Value| list(circle).iter().filter_map(name).collect();
    list(&dump["deadlocks"]).iter().map(names).collect()
}

fn expected() -> BTreeSet<BTreeSet<String>> {
    let circles = [
        &[
            "a thread with a long name: orders",
            "a thread with a long name: billing",
        ][..],
        &["left", "right"],
        &["joins"],
    ];
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    circles.map(names).into()
}

/// What a human is told of the circles and of other waits.
fn assert_page(path: &Path) {
    let page = Firstchance::new(&["inspect"]).arg(path).run_well().stdout;
    for said in [
        "Verdict      Deadlock: thread ",
        "\"a thread with a long name: orders\" → java.lang.Object (0x",
        " → java.util.concurrent.locks.ReentrantLock$NonfairSync (0x",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let all = Firstchance::new(&["inspect"])
        .arg(path)
        .arg("threads")
        .run_well()
        .stdout;
    for said in [
        "waits for the monitor java.lang.Object (0x",
        " · BLOCKED (on object monitor)",
        "waits for the lock java.util.concurrent.locks.ReentrantLock$NonfairSync (0x",
        "waits to be notified of java.lang.Object (0x",
        "waits for java.util.concurrent.CountDownLatch$Sync (0x",
        "JavaStacks$Sleeper.deep  (JavaStacks.java:",
        "… the same 19 times more",
    ] {
        assert!(all.contains(said), "{said}: {all}");
    }
}
