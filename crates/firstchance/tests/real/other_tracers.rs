//! A watch of a process that another program traces: a second watch, or a debugger.

use crate::support::{
    Child, Firstchance, Program, Run, compile, files_in, folder, proc_status, wait_until,
};
use std::process::Command;

pub(crate) static PACED: Program = Program::cpp("paced_throws.cpp");

/// So many dumps fail before the other one ends.
const FAILURES: usize = 3;

/// A watch that traces keeps the process. Another one waited three seconds for each of its dumps, during which each throw was
/// held for 100 ms and counted by nobody.
#[test]
fn n51_a_watch_beside_one_that_traces_says_so_holds_nothing_and_goes_on_when_that_one_ends() {
    let traces = |pid: &str| {
        let watch = Firstchance::new(&["watch", pid, "--when", "exception", "--do", "none"]);
        let watch = watch.spawn();
        move || {
            watch.signal(2);
            watch.finish().assert_code(7);
        }
    };
    let run = throws_beside(traces);
    run.assert_says("give the conditions of both to one of them");
}

/// Such a watch was ended by the first throw.
#[test]
fn n51_a_watch_beside_a_debugger_goes_on_when_that_one_ends() {
    let traces = |pid: &str| {
        let mut strace = Command::new("strace");
        let strace = Child::start(strace.args(["-f", "-o", "/dev/null", "-p", pid]));
        move || drop(strace)
    };
    throws_beside(traces).assert_says("Only one debugger can hold a process");
}

/// Watches a program that throws while another one traces it, which ends after some dumps have failed: the next are taken.
fn throws_beside<E: FnOnce()>(traces: impl FnOnce(&str) -> E) -> Run {
    let dumps = folder();
    let mut child = Child::start(&mut Command::new(compile(&PACED)));
    assert_eq!(child.line(), "ready");
    let pid = child.pid().to_string();
    let end = traces(&pid);
    wait_until("it is traced", || {
        proc_status(child.pid(), "TracerPid").is_some_and(|tracer| tracer != "0")
    });
    let watch = Firstchance::new(&["watch", "--json", &pid, "--when", "exception \"NotFound\""])
        .args(&["--do", "triage dump", "-n", "2", "-o"])
        .arg(dumps.path());
    let watch = watch.spawn().until_it_says("\"armed\"");
    child.tell("");
    let watch = watch.until_it_says_often("\"dump-failed\"", FAILURES);
    end();
    let run = watch.finish();
    run.assert_code(0);
    assert_eq!(files_in(dumps.path()).len(), 2, "{run:#?}");
    child.end_input();
    let line = child.line();
    let (thrown, slow) = line.split_once(' ').expect("two numbers");
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let (thrown, slow) = (number(thrown), number(slow));
    assert!(slow * 10 < thrown, "{slow} of {thrown} were held: {run:#?}");
    run
}
