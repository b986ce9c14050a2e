//! The end of a process of several threads: each of them stops once more for a tracer when it ends, and the
//! process has ended with the last.

use std::process::Command;

use crate::support::{Child, Firstchance, Program, Run, Running, compile, folder};

/// Loses threads by an exec or by a seccomp filter, goes on, and ends with code 4.
const GOES_ON: Program = Program::c("goes_on.c");

fn watch(child: &Child, what: &str, number: &str, to: &tempfile::TempDir) -> Running {
    Firstchance::new(&["watch", "--json", &child.pid().to_string()])
        .args(&["--when", "exit", "--do", what, "-n", number, "-o"])
        .arg(to.path())
        .spawn()
        .until_it_says("\"event\":\"armed\"")
}

fn assert_the_end_is_met_once(run: &Run, code: i32) {
    run.assert_code(0);
    assert_eq!(run.events("dump").len(), 1, "{run:#?}");
    let triggers = run.events("trigger");
    assert_eq!(triggers.len(), 1, "{run:#?}");
    let reason = triggers[0]["reason"].as_str().expect("a sentence");
    assert!(reason.ends_with(&format!("exit code {code}")), "{run:#?}");
}

/// Its threads wait for ever, and end with the process.
const FIVE_THREADS: &str = "\
import os, sys, threading
for _ in range(4): threading.Thread(target=threading.Event().wait).start()
print('ready', flush=True)
sys.stdin.readline()
os._exit(3)
";

/// Each thread of a traced process stops once more at its exit. Those that were not the one that is
/// reported stayed there for good as long as the rule went on, and the process could not end.
#[test]
fn a_process_of_several_threads_ends_once_and_with_its_own_code() {
    let folder = folder();
    let mut child = Child::start(Command::new("python3").args(["-c", FIVE_THREADS]));
    assert_eq!(child.line(), "ready");
    let running = watch(&child, "mini dump", "0", &folder);
    child.tell("end");
    assert_eq!(child.wait().code(), Some(3));
    assert_the_end_is_met_once(&running.finish(), 3);
}

#[test]
fn a_process_that_goes_on_without_some_of_its_threads_has_not_ended() {
    for how in ["first-executes", "other-executes", "thread-killed"] {
        for (number, what) in [("0", "mini dump"), ("1", "full dump")] {
            let folder = folder();
            let mut child = Child::start(Command::new(compile(&GOES_ON)).arg(how));
            assert_eq!(child.line(), "ready");
            let running = watch(&child, what, number, &folder);
            child.tell("go on");
            assert_eq!(child.line(), "ready");
            child.tell("end");
            assert_eq!(child.wait().code(), Some(4));
            let run = running.finish();
            assert_the_end_is_met_once(&run, 4);
        }
    }
}
