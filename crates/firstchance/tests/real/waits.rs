//! What `inspect` says of threads that wait: for whom, and who waits for whom in a circle.

use std::{path::Path, process::Command};

use crate::support::{Child, Core, Firstchance, Program, compile, file_in, folder, wait_until};

pub(crate) const DEADLOCK: Program = Program::c("deadlock.c").with(&["-pthread"]);
pub(crate) const MUSL: Program = Program::musl("deadlock.c").with(&["-pthread", "-static"]);
const RECURSIVE: Program =
    Program::musl("deadlock.c").with(&["-pthread", "-static", "-DRECURSIVE"]);

/// A program that has locked itself up.
pub(crate) fn locked_up(exe: &Path) -> Child {
    let child = Child::start(&mut Command::new(exe));
    assert_eq!(child.line(), "ready");
    wait_until("all of its threads wait", || {
        let threads = crate::support::threads_of(child.pid());
        threads.iter().all(|thread| {
            let call = std::fs::read_to_string(format!("/proc/{thread}/syscall"));
            call.is_ok_and(|call| call.starts_with(&format!("{} ", libc::SYS_futex)))
        })
    });
    child
}

/// The threads of a program that locks itself up, by their names, and what a dump of it says of them.
struct Locked {
    json: serde_json::Value,
    text: String,
}

impl Locked {
    fn of(program: &Program, options: &[&str], name: &str) -> Locked {
        let exe = compile(program);
        let child = locked_up(&exe);
        let folder = folder();
        let path = file_in(&folder, name);
        Firstchance::dump(child.pid(), options, &path).run_well();
        if name.ends_with("core") {
            assert_eq!(Core::new(&path, &exe).threads().len(), 5);
        }
        let inspect = |options: &[&str]| {
            Firstchance::new(&["inspect"])
                .args(options)
                .arg(&path)
                .run_well()
        };
        let json = serde_json::from_str(&inspect(&["--json"]).stdout).expect("JSON");
        Locked {
            json,
            text: inspect(&[]).stdout,
        }
    }

    fn thread(&self, name: &str) -> &serde_json::Value {
        let threads = self.json["threads"].as_array().expect("threads");
        let mut found = threads.iter().filter(|thread| thread["name"] == name);
        found
            .next()
            .unwrap_or_else(|| panic!("no {name}: {}", self.text))
    }

    /// Asserts that one thread waits for what another one has.
    fn assert_waits(&self, who: &str, what: &str, owner: &str) {
        let waits = &self.thread(who)["waits"];
        let sentence = waits["what"].as_str().expect("a sentence");
        assert!(sentence.contains(what), "{who}: {sentence}");
        assert_eq!(
            waits["owner"],
            self.thread(owner)["id"],
            "{who}: {sentence}"
        );
    }
}

/// A mini dump has what is needed as well.
#[test]
fn who_waits_for_whom_is_told_and_a_circle_is_called_a_deadlock() {
    for (options, name) in [
        (&["--mini"][..], "x.dmp"),
        (&["--full", "--format", "core"], "x.core"),
        (&["--full", "--format", "minidump"], "x.dmp"),
    ] {
        let locked = Locked::of(&DEADLOCK, options, name);
        locked.assert_waits("thread-a", "mutex customers", "thread-b");
        locked.assert_waits("thread-b", "mutex orders", "thread-a");
        locked.assert_waits("reader", "read lock prices", "deadlock");
        locked.assert_waits("writer", "write lock prices", "deadlock");
        locked.assert_waits("deadlock", "the end of", "thread-a");
        let circle = [locked.thread("thread-a"), locked.thread("thread-b")];
        let ids = circle.map(|thread| thread["id"].clone());
        assert_eq!(locked.json["deadlocks"], serde_json::json!([ids]));
        let said = locked
            .text
            .lines()
            .find(|line| line.starts_with("Deadlock"));
        let said = said.unwrap_or_else(|| panic!("{}", locked.text));
        for word in ["thread-a", "customers", "thread-b", "orders"] {
            assert!(said.contains(word), "{said}");
        }
    }
}

/// It keeps the owner of a mutex that may be locked again, but of no usual one.
#[test]
fn locks_of_musl_are_told_and_their_owners_where_it_knows_them() {
    let usual = Locked::of(&MUSL, &["--mini"], "x.dmp");
    let waits = &usual.thread("thread-a")["waits"];
    assert_eq!(waits["owner"], serde_json::Value::Null, "{waits}");
    assert!(
        waits["what"].to_string().contains("mutex customers"),
        "{waits}"
    );
    let locked = Locked::of(&RECURSIVE, &["--mini"], "x.dmp");
    locked.assert_waits("thread-a", "customers", "thread-b");
    locked.assert_waits("thread-b", "orders", "thread-a");
    assert_eq!(locked.json["deadlocks"].as_array().map(Vec::len), Some(1));
}

/// What is no lock is told by the call that the thread is in.
#[test]
fn files_sleep_and_children_are_waited_for() {
    const SCRIPT: &str = "
import os, threading, time, socket, subprocess
inside, outside = os.pipe()
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen()
child = subprocess.Popen(['sleep', '1000'])
for work in [lambda: os.read(inside, 1), listener.accept, lambda: os.waitpid(child.pid, 0), lambda: time.sleep(1000)]:
    threading.Thread(target=work, daemon=True).start()
print('ready', child.pid, flush=True)
import sys
sys.stdin.readline()
child.kill()
";
    let mut child = Child::start(Command::new("python3").args(["-c", SCRIPT]));
    assert!(child.line().starts_with("ready"));
    let blocked = || {
        let threads = crate::support::threads_of(child.pid());
        let state = |thread: &u32| crate::support::state_of(*thread);
        threads.len() == 5 && threads.iter().all(|thread| state(thread) == 'S')
    };
    wait_until("all of its threads wait", blocked);
    let folder = folder();
    let path = file_in(&folder, "x.dmp");
    Firstchance::dump(child.pid(), &["--mini"], &path).run_well();
    let text = Firstchance::new(&["inspect"]).arg(&path).run_well().stdout;
    for words in [
        "to read from descriptor",
        "to accept a connection of",
        "for a child",
        "for time to pass",
    ] {
        assert!(text.contains(&format!("waits {words}")), "{words}: {text}");
    }
    child.tell("end");
}

/// The thread that burns is named, also where its stack is that of forty-nine others.
#[test]
fn a_thread_that_uses_a_processor_is_named() {
    const SCRIPT: &str = "
import threading, time
def work(number):
    while True:
        if number == 7:
            sum(range(1_000_000))
        time.sleep(0.001)
threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(20)]
for thread in threads: thread.start()
print(threads[7].native_id, flush=True)
time.sleep(1000)
";
    let child = Child::start(Command::new("python3").args(["-c", SCRIPT]));
    let hot = child.line();
    let hot: u32 = hot.parse().expect("a thread");
    wait_until("it has burnt a second", || {
        crate::support::cpu_ticks(hot) > 100
    });
    let folder = folder();
    let path = file_in(&folder, "x.dmp");
    Firstchance::dump(child.pid(), &["--mini"], &path).run_well();
    let text = Firstchance::new(&["inspect"]).arg(&path).run_well().stdout;
    let line = text.lines().find(|line| line.starts_with("Processor"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains(&format!("thread {hot} ")), "{line}");
}

/// Who worked when the rule was met is told before who has worked most since the process began.
#[test]
fn who_worked_in_the_last_seconds_is_told_where_a_rule_watched_the_processor() {
    const SCRIPT: &str = "
import sys, threading, time
never = threading.Event()
def first():
    while time.thread_time() < 3: pass
    print('first', flush=True)
    never.wait()
threading.Thread(target=first, daemon=True).start()
sys.stdin.readline()
def second():
    while True: pass
now = threading.Thread(target=second, daemon=True)
now.start()
print(now.native_id, flush=True)
never.wait()
";
    let mut child = Child::start(Command::new("python3").args(["-c", SCRIPT]));
    assert_eq!(child.line(), "first");
    child.tell("second");
    let second: u64 = child.line().parse().expect("a thread");
    let folder = folder();
    let path = file_in(&folder, "x.dmp");
    let rule = "core-cpu > 20% for 3s";
    Firstchance::new(&["watch", &child.pid().to_string(), "--when", rule, "-n", "1"])
        .args(&["--poll", "500ms", "-o"])
        .arg(&path)
        .run_well();
    let inspect = |options: &[&str]| {
        Firstchance::new(&["inspect"])
            .arg(&path)
            .args(options)
            .run_well()
            .stdout
    };
    let json: serde_json::Value = serde_json::from_str(&inspect(&["--json"])).expect("JSON");
    let record = &json["record"];
    assert_eq!(record["busiest"][0]["thread"], second, "{record}");
    assert!(
        record["busiest-over-ms"]
            .as_u64()
            .is_some_and(|ms| ms >= 2000),
        "{record}"
    );
    let text = inspect(&[]);
    let line = text.lines().find(|line| line.starts_with("Processor"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(
        line.contains(&format!("thread {second} ")) && line.contains("before the dump"),
        "{line}"
    );
}
