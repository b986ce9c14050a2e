//! Large dumps at events: the process goes on while its clone is copied, and is watched on.

use crate::support::{Child, Core, Firstchance, Program, Run, compile, file_in, files_in, folder};
use std::{
    process::Command,
    time::{Duration, Instant},
};

const EVENTS: Program = Program::cpp("large_events.cpp").with(&["-O1", "-pthread"]);
/// Enough that copying takes seconds where each chunk is slow.
const MIB: &str = "96";

fn started(what: &str) -> Child {
    let child = Child::start(Command::new(compile(&EVENTS)).args([MIB, what]));
    child.line();
    child
}

/// Watches it, and returns what was said, and how often the process has done it by its own count.
fn watched(what: &str, condition: &str, options: &[&str]) -> (Run, u64, tempfile::TempDir) {
    let folder = folder();
    let mut child = started(what);
    let pid = child.pid().to_string();
    let watch = Firstchance::new(&["watch", &pid, "--when", condition, "--do", "full dump"]);
    let watch = watch.args(options).args(&["-n", "0", "-o"]);
    let watch = watch.arg(folder.path()).failpoint("copy:slow").spawn();
    let watch = watch.until_it_says("Press Ctrl-C");
    child.tell("go");
    let watch = watch.until_it_says("Dump 1 complete");
    child.tell("end");
    let counts = child.line();
    child.end_input();
    let (done, handled) = counts_in(&counts);
    assert_eq!(handled, if what == "throw" { 0 } else { done });
    (watch.finish(), done, folder)
}

/// What it says at its end: how often it has done it, how many signals it has handled, and more.
fn counts_in(line: &str) -> (u64, u64) {
    let mut counts = line.split(' ').map(|count| count.parse().expect("a count"));
    let mut next = || counts.next().expect("a count");
    (next(), next())
}

/// How many events were told while the first dump was written.
fn told_meanwhile(run: &Run, event: &str) -> usize {
    let lines = || run.stdout.lines();
    let of = |words: &str| lines().position(|line| line.contains(words));
    let (begin, end) = (of("Dump 1 writing"), of("Dump 1 complete"));
    let (begin, end) = (begin.expect("a dump"), end.expect("a whole dump"));
    let between = lines().skip(begin).take(end - begin);
    between.filter(|line| line.contains(event)).count()
}

/// The count of the exception in the table at the end: the first word behind the time.
fn count_in_table(run: &Run) -> u64 {
    let line = run
        .stdout
        .lines()
        .rfind(|line| line.ends_with("CXX.std::runtime_error"));
    let count = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    count.expect("a table")
}

fn assert_cloned(folder: &tempfile::TempDir) {
    let file = &files_in(folder.path())[0];
    let shown = Firstchance::new(&["dumps", "show"]).arg(file).run_well();
    shown.assert_says("while a copy of the process was made");
}

#[test]
fn s1_throws_are_told_while_the_dump_of_one_is_written() {
    let limit = ["--max-dumps-per", "1h=1"];
    let (run, thrown, folder) = watched("throw", "exception \"runtime_error\"", &limit);
    assert_eq!(count_in_table(&run), thrown, "{run:?}");
    assert!(told_meanwhile(&run, "Exception: CXX") > 5, "{run:?}");
    assert_cloned(&folder);
}

/// A process of which signals are wanted is traced all the time: each of them stops a thread.
#[test]
fn s1_signals_are_handled_while_the_dump_of_one_is_written() {
    let limit = ["--max-dumps-per", "1h=1"];
    let (run, _, folder) = watched("signal", "signal SIGUSR1", &limit);
    // "limit … reached … (10 times)", then 100.
    assert!(told_meanwhile(&run, " times)") > 0, "{run:?}");
    assert_cloned(&folder);
}

/// Threads that are held at a throw, stand at a signal and begin at the same time, again and again: each goes on after each dump,
/// no clone stays, and each throw is told once.
#[test]
fn n41_no_thread_is_lost_where_a_traced_process_is_dumped_many_times() {
    let folder = folder();
    let mut child = started("all");
    let pid = child.pid().to_string();
    let when = ["exception \"runtime_error\"", "signal SIGUSR1"];
    let watch = Firstchance::new(&["watch", &pid, "--when", when[0], "--when", when[1]]);
    let watch = watch
        .args(&["--do", "full dump", "-n", "0", "--max-dumps-per", "1s=10"])
        .arg("-o")
        .arg(folder.path())
        .spawn();
    let watch = watch.until_it_says("Press Ctrl-C");
    child.tell("go");
    let watch = watch.until_it_says("Dump 20 complete");
    child.tell("end");
    let (done, handled) = counts_in(&child.line());
    assert_eq!(handled, done);
    assert_eq!(children_of(child.pid()), "");
    child.end_input();
    let run = watch.finish();
    assert_eq!(count_in_table(&run), done, "{run:?}");
    assert!(!run.stdout.contains("could not be stopped"), "{run:?}");
    assert_cloned(&folder);
}

/// Watches it while four dumps hang, until it is told why there is no fifth. Returns what was said, how often the process has done
/// it, and how long the slowest took it.
fn watched_while_dumps_hang(what: &str, conditions: &[&str]) -> (Run, u64, Duration) {
    let folder = folder();
    let mut child = started(what);
    let mut watch = Firstchance::new(&["watch", &child.pid().to_string(), "-n", "0"]);
    for condition in conditions {
        watch = watch.args(&["--when", condition]);
    }
    let watch = watch.args(&["--do", "full dump", "--max-hold", "300ms", "-o"]);
    let watch = watch.arg(folder.path()).failpoint("copy:sleep").spawn();
    let watch = watch.until_it_says("Press Ctrl-C");
    child.tell("go");
    let watch = watch.until_it_says_often(NO_PLACE, 3);
    child.tell("end");
    let counts = child.line();
    let (done, _) = counts_in(&counts);
    let slowest = counts.split(' ').nth(2).and_then(|ms| ms.parse().ok());
    child.end_input();
    child.wait();
    let watch = match what {
        "signal" => watch,
        _ => watch.until_it_says("Exceptions:"),
    };
    watch.signal(libc::SIGINT);
    let slowest = Duration::from_millis(slowest.expect("milliseconds"));
    (watch.finish(), done, slowest)
}

const NO_PLACE: &str = "too many dumps of this process are still being written";
/// Dumps that hang are given up after 15 s.
const SOON: Duration = Duration::from_secs(5);

/// The number of each throw that was told with its message.
fn numbers_told(run: &Run) -> Vec<u64> {
    let lines = run.stdout.lines();
    let told = lines.filter(|line| line.contains("] Exception: CXX.std::runtime_error"));
    let number = |line: &str| {
        let (_, number) = line.split_once("again and again: ")?;
        number.strip_suffix("\")")?.parse().ok()
    };
    told.filter_map(number).collect()
}

#[test]
fn threads_go_on_from_their_throws_while_four_dumps_hang() {
    let when = ["exception \"runtime_error\""];
    let (run, thrown, slowest) = watched_while_dumps_hang("throw", &when);
    assert!(slowest < SOON, "{slowest:?}: {run:?}");
    assert_eq!(count_in_table(&run), thrown, "{run:?}");
    run.assert_says("Dump 4 initiated");
    // A text that was read of a thread that had gone on is that of a later throw.
    let mut numbers = numbers_told(&run);
    let told = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert!(told > 3 && told == numbers.len(), "{run:?}");
}

#[test]
fn a_traced_process_goes_on_while_four_dumps_hang() {
    let when = ["signal SIGUSR1"];
    let (run, _, slowest) = watched_while_dumps_hang("signal", &when);
    assert!(slowest < SOON, "{slowest:?}: {run:?}");
    let when = ["exception \"runtime_error\"", "signal SIGUSR1"];
    let (run, thrown, slowest) = watched_while_dumps_hang("all", &when);
    assert!(slowest < SOON, "{slowest:?}: {run:?}");
    assert_eq!(count_in_table(&run), thrown, "{run:?}");
}

/// Throws that are wanted for their message are told by it, or counted as those of which it could not be read.
#[test]
fn a_filter_on_the_message_takes_no_throw_for_another() {
    let (run, thrown, _) = watched_while_dumps_hang("throw", &["exception \"again: 1\""]);
    let is_wanted = |number: &u64| number.to_string().starts_with('1');
    let told = numbers_told(&run);
    assert!(told.iter().all(is_wanted), "{run:?}");
    let wanted = (1..=thrown).filter(is_wanted).count();
    let unread = run.stdout.lines().filter_map(|line| {
        let (before, _) = line.split_once(" exceptions went by whose message could not be read")?;
        before.rsplit(' ').next()?.parse::<usize>().ok()
    });
    let unread: usize = unread.sum();
    assert!(
        told.len() <= wanted && told.len() + unread >= wanted,
        "{wanted} of {thrown}: {run:?}"
    );
}

/// Nobody else waits for the clones that they have left: they stayed as long as the process lived.
#[test]
fn a1_a_watch_takes_along_what_runs_that_were_killed_have_left() {
    let (left, folder) = (folder(), folder());
    let mut child = started("signal");
    let pid = child.pid().to_string();
    for _ in 0..3 {
        let dump = Firstchance::new(&["dump", "--full", "--clone", "--overwrite", &pid, "-o"]);
        let dump = dump.arg(file_in(&left, "x.core")).failpoint("copy:slow");
        let dump = dump.spawn().until_it_says("writing");
        dump.signal(libc::SIGKILL);
        dump.finish();
    }
    assert_eq!(children_of(child.pid()).split_whitespace().count(), 3);
    let watch = Firstchance::new(&["watch", &pid, "--when", "signal SIGUSR1"]);
    let watch = watch
        .args(&["--do", "full dump", "-n", "3", "-o"])
        .arg(folder.path());
    let watch = watch.spawn().until_it_says("Press Ctrl-C");
    child.tell("go");
    watch.finish().assert_code(0);
    assert_cloned(&folder);
    assert_eq!(children_of(child.pid()), "");
}

/// The pids of the children of all threads of a process, also of those that have ended (proc_pid_task(5)).
fn children_of(pid: u32) -> String {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
    let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children"));
    tasks.flatten().filter_map(|task| of(task).ok()).collect()
}

/// The throw that a process dies of is the one that its dump is wanted for.
#[test]
fn s1_a_dump_at_a_throw_is_whole_though_the_process_dies_of_it() {
    let folder = folder();
    let mut child = started("throw");
    let pid = child.pid().to_string();
    let watch = Firstchance::new(&["watch", &pid, "--when", "exception \"logic_error\""]);
    let watch = watch.args(&["--do", "full dump", "-o"]).arg(folder.path());
    let watch = watch.failpoint("copy:slow").spawn();
    let watch = watch.until_it_says("Press Ctrl-C");
    ["go", "end", "die"]
        .iter()
        .for_each(|line| child.tell(line));
    child.wait();
    watch.finish().assert_code(0).assert_says("Dump 1 complete");
    assert_cloned(&folder);
    let core = Core::new(&files_in(folder.path())[0], &compile(&EVENTS));
    let stack = core.gdb(&["bt"]);
    assert!(
        stack.contains("__cxa_throw") && stack.contains("main"),
        "{stack}"
    );
}

/// Whatever was being done with it in that moment: it stands in its exit until its tracer lets it go.
#[test]
fn s1_a_process_that_is_killed_while_it_is_cloned_is_gone_soon() {
    for number in 0..16 {
        let folder = folder();
        let mut child = started("throw");
        let pid = child.pid().to_string();
        let watch = Firstchance::new(&["watch", &pid, "--when", "exception \"runtime_error\""]);
        let watch = watch
            .args(&["--do", "full dump", "-n", "0", "-o"])
            .arg(folder.path())
            .spawn();
        let watch = watch.until_it_says("Press Ctrl-C");
        child.tell("go");
        let watch = watch.until_it_says("initiated");
        std::thread::sleep(Duration::from_millis(number * 5));
        child.signal(libc::SIGKILL);
        let killed = Instant::now();
        child.wait();
        assert!(
            killed.elapsed() < Duration::from_secs(5),
            "{:?}",
            killed.elapsed()
        );
        watch.finish().assert_says("has exited");
    }
}
