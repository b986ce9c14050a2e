//! The end of a process of several threads: each of them stops once more for a tracer when it ends, and the
//! process has ended with the last.

use std::{os::unix::process::ExitStatusExt as _, path::Path, process::Command};

use crate::support::{Child, Core, Firstchance, Program, Run, Running, compile, folder};

/// Loses threads by an exec or by a seccomp filter, goes on, and ends with code 4.
const GOES_ON: Program = Program::c("goes_on.c");
/// Ends in one of many ways.
const ENDS: Program = Program::c("ends.c");
/// Throws in threads, and ends by an exception that nobody catches.
const THROWS: Program = Program::cpp("throws.cpp");
/// Three threads start one each, and all six end together.
const SIX_THREADS: Program = Program::c("six_threads.c");

fn watch(child: &Child, what: &str, number: &str, to: &tempfile::TempDir) -> Running {
    watch_pid(child.pid(), "exit", what, number, to)
}

fn watch_pid(pid: u32, when: &str, what: &str, number: &str, to: &tempfile::TempDir) -> Running {
    Firstchance::new(&["watch", "--json", &pid.to_string()])
        .args(&["--when", when, "--do", what, "-n", number, "-o"])
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

/// The first process of a pid namespace is spared by the kernel while it is traced, and faults for ever.
#[test]
fn a_fault_ends_the_first_process_of_a_pid_namespace() {
    for (how, signal) in [
        ("segv", libc::SIGSEGV),
        ("thread", libc::SIGSEGV),
        ("bus", libc::SIGBUS),
    ] {
        let is_met = usize::from(signal == libc::SIGSEGV);
        for (when, dumps) in [
            ("exit", 1),
            ("signal SIGSEGV", is_met),
            ("unhandled exception", 1),
            ("thread exit", 0),
        ] {
            let folder = folder();
            let mut unshare = Command::new("unshare");
            unshare.args(["--pid", "--fork", "--kill-child", "prlimit", "--core=1"]);
            let mut unshare = Child::start(unshare.arg(compile(&ENDS)).arg(how));
            assert_eq!(unshare.line(), "ready");
            let running = watch_pid(only_child(unshare.pid()), when, "mini dump", "0", &folder);
            unshare.tell("end");
            assert_eq!(unshare.wait().signal(), Some(signal), "{how}, {when}");
            let run = running.finish();
            let ends = run.events("exited");
            assert_eq!(ends.len(), 1, "{run:#?}");
            assert_eq!(
                ends[0]["status"].as_i64(),
                Some(-i64::from(signal)),
                "{run:#?}"
            );
            assert_eq!(run.events("dump").len(), dumps, "{run:#?}");
        }
    }
}

/// How a process ended is told whether or not a dump was taken.
#[test]
fn the_end_of_a_process_is_told_with_its_status() {
    for (how, status) in [("_exit", 4), ("segv", -11), ("term", -15)] {
        for (what, number) in [
            ("none", "0"),
            ("none", "1"),
            ("mini dump", "1"),
            ("log stack", "1"),
        ] {
            let folder = folder();
            let mut child = Child::that_crashes(compile(&ENDS), &[how]);
            assert_eq!(child.line(), "ready");
            let running = watch(&child, what, number, &folder);
            child.tell("end");
            child.wait();
            let run = running.finish();
            run.assert_code(0);
            assert_eq!(run.events("trigger").len(), 1, "{run:#?}");
            assert_eq!(run.events("exited")[0]["status"], status, "{run:#?}");
        }
    }
}

/// A crash, or a signal that somebody sent, is no end of its own.
#[test]
fn a_process_ends_by_itself_only_by_an_exit() {
    for (how, dumps) in [
        ("_exit", 1),
        ("exit_group", 1),
        ("segv", 0),
        ("abort", 0),
        ("kill", 0),
        ("term", 0),
    ] {
        let folder = folder();
        let mut child = Child::that_crashes(compile(&ENDS), &[how]);
        assert_eq!(child.line(), "ready");
        let running = watch_pid(child.pid(), "breakpoint exit", "mini dump", "0", &folder);
        child.tell("end");
        child.wait();
        let run = running.finish();
        assert_eq!(run.events("dump").len(), dumps, "{how}: {run:#?}");
    }
}

/// Nothing is sampled of it, and it is not followed.
#[test]
fn a_rule_about_time_alone_ends_with_its_process() {
    for when in ["every 200ms", "every 1h"] {
        let folder = folder();
        let mut child = Child::that_crashes(compile(&ENDS), &["_exit"]);
        assert_eq!(child.line(), "ready");
        let command = Firstchance::new(&["watch", &child.pid().to_string(), "--when", when]);
        let command = command.args(&["--do", "none", "-o"]).arg(folder.path());
        let running = command.spawn().until_it_says("Trigger: every");
        child.tell("end");
        child.wait();
        let run = running.finish();
        run.assert_code(0).assert_says("Monitoring has ended.");
    }
}

fn only_child(pid: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    children
        .expect("its children")
        .trim()
        .parse()
        .expect("one child")
}

/// The kernel ends a process whose first thread has ended as soon as the signal is sent, without a stop for the signal.
#[test]
fn n21_a_signal_that_ends_a_process_without_its_first_thread_is_met_and_then_its_end() {
    let code = "import ctypes, threading\n\
                for _ in range(4): threading.Thread(target=threading.Event().wait).start()\n\
                print('ready', flush=True)\n\
                ctypes.CDLL(None).syscall(60, 0)\n";
    for conditions in [&["signal SIGTERM"][..], &["signal SIGTERM", "exit"]] {
        let folder = folder();
        let child = Child::start(Command::new("python3").args(["-c", code]));
        assert_eq!(child.line(), "ready");
        let mut command = Firstchance::new(&["watch", "--json", &child.pid().to_string()]);
        for condition in conditions {
            command = command.args(&["--when", condition]);
        }
        let running = command
            .args(&["--format", "core", "-n", "2", "-o"])
            .arg(folder.path())
            .spawn()
            .until_it_says("\"event\":\"armed\"");
        child.signal(libc::SIGTERM);
        let run = running.finish();
        let triggers = run.events("trigger");
        let kinds: Vec<_> = triggers.iter().map(|trigger| &trigger["kind"]).collect();
        assert_eq!(kinds, ["signal", "exit"][..conditions.len()], "{run:#?}");
        assert_eq!(run.events("dump").len(), conditions.len(), "{run:#?}");
        // At the end itself, other threads are on their way out.
        let at_signal = run.events("dump")[0]["path"].clone();
        let at_signal = Path::new(at_signal.as_str().expect("a path"));
        assert_eq!(Core::alone(at_signal).threads().len(), 4, "{run:#?}");
    }
}

/// What other threads do while a dump is taken for one of them waits, and is told afterwards.
#[test]
fn n45_threads_that_start_or_end_together_have_a_dump_each() {
    for (what, said) in [
        ("thread exit", "Thread exit: "),
        ("thread start", "Thread start: "),
    ] {
        for round in 0..3 {
            let folder = folder();
            let mut child = Child::start(&mut Command::new(compile(&SIX_THREADS)));
            assert_eq!(child.line(), "ready");
            let running = watch_pid(child.pid(), what, "mini dump", "20", &folder);
            child.tell("go");
            assert_eq!(child.line(), "joined 6");
            child.tell("end");
            assert_eq!(child.wait().code(), Some(0));
            let run = running.finish();
            let triggers = run.events("trigger");
            assert_eq!(triggers.len(), 6, "{what}, round {round}: {run:#?}");
            let mut reasons: Vec<_> = triggers
                .iter()
                .map(|trigger| trigger["reason"].to_string())
                .collect();
            assert!(
                reasons.iter().all(|reason| reason.contains(said)),
                "{run:#?}"
            );
            reasons.sort_unstable();
            reasons.dedup();
            assert_eq!(reasons.len(), 6, "each once: {run:#?}");
            assert_eq!(
                run.events("dump").len(),
                6,
                "{what}, round {round}: {run:#?}"
            );
        }
    }
}

/// libstdc++ throws the exception once more, to print what nobody caught.
#[test]
fn n45_a_throw_that_nobody_catches_is_counted_once() {
    let folder = folder();
    let mut child = Child::that_crashes(compile(&THROWS), &["0", "1", "throw"]);
    assert_eq!(child.line(), "ready");
    let mut command = Firstchance::new(&["watch", "--json", &child.pid().to_string()]);
    for condition in ["exception first chance", "unhandled exception"] {
        command = command.args(&["--when", condition]);
    }
    let running = command
        .args(&["--do", "mini dump", "-n", "9", "-o"])
        .arg(folder.path())
        .spawn()
        .until_it_says("\"event\":\"armed\"");
    child.tell("go");
    child.wait();
    let run = running.finish();
    let reasons = run.events("trigger").into_iter();
    let reasons: Vec<_> = reasons
        .map(|trigger| trigger["reason"].to_string())
        .collect();
    let of_it = reasons.iter().filter(|reason| reason.contains("CXX."));
    let of_it: Vec<_> = of_it.collect();
    assert_eq!(of_it.len(), 2, "{run:#?}");
    assert!(of_it[1].contains("Unhandled"), "{run:#?}");
    assert_eq!(run.count_of("CXX.std::runtime_error"), 1, "{run:#?}");
}
