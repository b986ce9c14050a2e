//! What ProcDump's `-e` tells of programs that end by SIGABRT: because nobody caught an exception, and of themselves.

use std::os::unix::process::ExitStatusExt;

use crate::procdump_linux::{linux, names_in};
use crate::support::{Child, Firstchance, Program, Run, compile, folder};

static THROWS: Program = Program::cpp("throws.cpp");

/// Runs `procdump LINE` on a program that ends in this way, and counts its dumps.
fn watched(line: &str, end: &str) -> (Run, usize) {
    let dumps = folder();
    let mut child = Child::that_crashes(compile(&THROWS), &["0", "0", end]);
    assert_eq!(child.line(), "ready");
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let running = Firstchance::new(&["procdump", "-log", "stdout", "-n", "5"])
        .args(&words)
        .args(&[&child.pid().to_string()])
        .arg(dumps.path())
        .spawn()
        .until_it_says("from now on nothing is missed");
    child.tell("");
    assert_eq!(child.wait().signal(), Some(libc::SIGABRT));
    let run = running.finish();
    let count = names_in(dumps.path()).len();
    (run, count)
}

/// The exceptions that the run acted on, in their order.
fn triggers(run: &Run) -> Vec<&str> {
    let of_trigger = |line| str::split_once(line, "Trigger: ").map(|(_, text)| text);
    run.stdout.lines().filter_map(of_trigger).collect()
}

const THROWN: &str = "Exception: CXX.std::runtime_error (\"nobody catches me\")";
const UNCAUGHT: &str = "Unhandled exception: CXX.std::runtime_error (\"nobody catches me\")";
const ABORT: &str = "Exception: SIGABRT.SI_TKILL";
const ABORTED: &str = "Unhandled exception: SIGABRT.SI_TKILL";

#[test]
fn n45_the_signal_of_an_uncaught_exception_is_told_to_those_who_name_it() {
    for (line, end, told) in [
        ("-e 1", "throw", &[THROWN, UNCAUGHT][..]),
        ("-e", "throw", &[UNCAUGHT]),
        ("-e 1 -f runtime_error", "throw", &[THROWN, UNCAUGHT]),
        ("-e 1 -f SIGABRT", "throw", &[ABORT, UNCAUGHT]),
        ("-e 1 -f ABRT", "throw", &[ABORT, UNCAUGHT]),
        ("-e 1 -f 6", "throw", &[ABORT, UNCAUGHT]),
        ("-e -f SIGABRT", "throw", &[UNCAUGHT]),
        ("-e 1 -fx SIGABRT", "throw", &[THROWN, UNCAUGHT]),
        ("-e 1 -fx runtime_error", "throw", &[]),
        ("--linux -e", "throw", &[THROWN, ABORT]),
        ("-e 1", "abort", &[ABORT, ABORTED]),
        ("-e 1 -f 6", "abort", &[ABORT, ABORTED]),
        ("-e", "abort", &[ABORTED]),
        ("-e -f runtime_error", "abort", &[]),
    ] {
        let (run, dumps) = watched(line, end);
        let seen = triggers(&run);
        let seen: Vec<&str> = seen.iter().map(|text| without_process(text)).collect();
        assert_eq!(seen, told, "{line}, {end}: {run:#?}");
        assert_eq!(dumps, told.len(), "{line}, {end}: {run:#?}");
        let says = run
            .stdout
            .contains("the SIGABRT.SI_TKILL by which the process ends");
        assert_eq!(says, line == "-e 1" && end == "throw", "{line}: {run:#?}");
    }
}

/// The Linux dialect names the process behind each trigger.
fn without_process(text: &str) -> &str {
    text.split_once(" on process ID")
        .map_or(text, |(text, _)| text)
}

/// Watches a program while it dies of SIGSEGV, with words before or after its pid.
fn dies_of_sigsegv(command: Firstchance, words: &[&str], ready: &str) -> Run {
    let dumps = folder();
    let mut child = Child::that_crashes("/bin/sleep", &["1000"]);
    let command = command.args(&[&child.pid().to_string()]).args(words);
    let running = command
        .current_dir(dumps.path())
        .spawn()
        .until_it_says(ready);
    child.signal(libc::SIGSEGV);
    assert_eq!(child.wait().signal(), Some(libc::SIGSEGV));
    let run = running.finish();
    assert!(names_in(dumps.path()).is_empty(), "{run:#?}");
    run
}

#[test]
fn n45_a_death_that_the_filter_leaves_out_is_told_and_not_taken_for_unseen() {
    let procdump = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let command = Firstchance::new(&["procdump", "-log", "stdout"]).args(&words);
        dies_of_sigsegv(command, &[], "from now on nothing is missed")
    };
    let own = Firstchance::new(&["watch"]);
    let when = ["--when", "unhandled exception \"Nothing\""];
    for run in [
        procdump("-e -f Nothing"),
        procdump("-e -fx SIGSEGV"),
        procdump("-e 1 -fx SIGSEGV"),
        procdump("--linux -e -f Nothing"),
        procdump("--linux -e -fx SIGSEGV"),
        dies_of_sigsegv(own, &when, "Press Ctrl-C"),
    ] {
        let told = "Unhandled: SIGSEGV.SI_USER (left out by the filter)";
        assert_eq!(run.stdout.matches(told).count(), 1, "{run:#?}");
        assert!(!run.stdout.contains("had ended before"), "{run:#?}");
    }
}

/// What was told when it was thrown is not left out when the process dies of it.
#[test]
fn n45_a_death_of_what_was_dumped_is_not_left_out() {
    for (line, end) in [
        ("--linux -e", "throw"),
        ("--linux -e -f runtime_error", "throw"),
        ("--linux -e -f SIGABRT", "throw"),
        ("--linux -e", "abort"),
    ] {
        let (run, dumps) = watched(line, end);
        assert!(dumps > 0, "{line}, {end}: {run:#?}");
        assert!(!run.stdout.contains("left out"), "{line}, {end}: {run:#?}");
    }
}

/// Each of the two holds the process only while it takes its dump.
#[test]
fn n45_two_monitors_of_one_process_both_have_their_dumps_of_a_throw() {
    let places = [folder(), folder()];
    // Long enough that both get dumps, whichever is the first at a throw.
    let mut child = Child::that_crashes(compile(&THROWS), &["20000", "2", "wait"]);
    assert_eq!(child.line(), "ready");
    let start = |place: &tempfile::TempDir| {
        Firstchance::new(&["procdump", "-log", "stdout", "-e", "1", "-f", "NotFound"])
            .args(&["-n", "3", &child.pid().to_string()])
            .arg(place.path())
            .spawn()
    };
    let both = places.each_ref().map(start);
    let both = both.map(|running| running.until_it_says("from now on nothing is missed"));
    child.tell("");
    for (running, place) in both.into_iter().zip(&places) {
        let run = running.finish();
        run.assert_code(0);
        assert!(!run.stdout.contains("already traced"), "{run:#?}");
        assert_eq!(names_in(place.path()).len(), 3, "{run:#?}");
    }
}

/// Better said than waited for in vain.
#[test]
fn n45_what_is_not_seen_of_node_is_said_where_it_is_asked_for() {
    let js = "console.log('ready'); process.stdin.once('data', () => { \
              try { throw new Error('x') } catch (e) {} process.exit(0) })";
    for (line, is_said) in [("-e 1", true), ("-e 1 -f Error", true), ("-e", false)] {
        let mut node = std::process::Command::new("node");
        let mut child = Child::start(node.args(["-e", js]));
        assert_eq!(child.line(), "ready");
        let words: Vec<&str> = line.split(' ').collect();
        let running = Firstchance::new(&["procdump", "-log", "stdout"])
            .args(&words)
            .args(&[&child.pid().to_string()])
            .spawn()
            .until_it_says("from now on nothing is missed");
        child.tell("go");
        assert_eq!(child.wait().code(), Some(0));
        let run = running.finish();
        let said = "errors that JavaScript throws and catches are not seen in Node";
        assert_eq!(run.stdout.contains(said), is_said, "{line}: {run:#?}");
    }
}

/// As exceptions.md says: the C code sets one, and its caller another in its place.
#[test]
fn n45_an_exception_of_python_that_is_set_anew_is_told_twice() {
    let script = "import sys\nprint('ready',flush=True)\nsys.stdin.readline()\n\
                  try: int('x0')\nexcept ValueError: pass";
    let mut python = std::process::Command::new("python3");
    let mut child = Child::start(python.args(["-c", script]));
    assert_eq!(child.line(), "ready");
    let running = Firstchance::new(&["watch", "--json", "--when", "exception \"ValueError\""])
        .args(&["--do", "none", "-n", "0", &child.pid().to_string()])
        .spawn()
        .until_it_says("\"event\":\"armed\"");
    child.tell("");
    assert_eq!(child.wait().code(), Some(0));
    assert_eq!(running.finish().count_of("PYTHON.ValueError"), 2);
}

/// ProcDump for Linux knows first chance alone, of which Node tells nothing.
#[test]
fn n45_an_error_of_node_that_nobody_catches_is_dumped_in_the_linux_dialect() {
    let js = "console.log('ready'); process.stdin.once('data', () => { throw new Error('x') })";
    for (line, dumps) in [("-e", 1), ("-e -f NODE", 1), ("-e -f other", 0)] {
        let place = folder();
        let mut node = std::process::Command::new("node");
        let mut child = Child::start(node.args(["-e", js]).stderr(std::process::Stdio::null()));
        assert_eq!(child.line(), "ready");
        let command = linux(line).args(&["-log", "stdout", &child.pid().to_string()]);
        let running = command.arg(place.path()).spawn();
        let running = running.until_it_says("from now on nothing is missed");
        child.tell("go");
        child.wait();
        let run = running.finish();
        assert_eq!(names_in(place.path()).len(), dumps, "{line}: {run:#?}");
    }
}
