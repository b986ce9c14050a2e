//! Processes that die before anybody can have looked at them, or live for a moment only.
//!
//! The names of tests begin with the number of the fault that each of them found.

use crate::support::{
    Child, Core, Firstchance, Program, Run, Running, compile, file_in, files_in, folder,
    slow_tests, threads_of,
};
use std::{path::Path, process::Command};

pub(crate) const DIES: Program = Program::c("dies_at_once.c");

fn rounds() -> usize {
    if slow_tests() { 50 } else { 10 }
}

/// Programs that keep all processors busy.
pub(crate) fn load() -> Vec<Child> {
    let busy = || {
        let busy = Child::start(Command::new("sh").args(["-c", "echo ready; while :; do :; done"]));
        assert_eq!(busy.line(), "ready");
        busy
    };
    let processors = std::thread::available_parallelism().expect("a number");
    (0..2 * processors.get()).map(|_| busy()).collect()
}

/// Starts [`DIES`] with these words, which then forks children.
pub(crate) fn parent_of(words: &[&str]) -> Child {
    let parent = Child::that_crashes(compile(&DIES), words);
    assert_eq!(parent.line(), "ready");
    parent
}

/// Has it fork a child, and waits until that has died.
pub(crate) fn crash(parent: &mut Child) {
    parent.tell("");
    assert_eq!(parent.line(), "ended");
}

pub(crate) fn watch_children(parent: &Child, count: usize, folder: &Path) -> Running {
    watch_children_for("unhandled exception", parent, count, folder)
}

pub(crate) fn watch_children_for(
    when: &str,
    parent: &Child,
    count: usize,
    folder: &Path,
) -> Running {
    Firstchance::new(&["watch", "--json", "--children", &parent.pid().to_string()])
        .args(&["--when", when, "-n", &count.to_string()])
        .args(&["--format", "core", "-o"])
        .arg(folder)
        .spawn()
        .until_it_says("\"event\":\"effective\"")
}

/// How many processes it says to have died unseen.
pub(crate) fn unseen(run: &Run) -> u64 {
    let counts = run.events("unseen").into_iter();
    counts.filter_map(|event| event["processes"].as_u64()).sum()
}

/// Each child has died, and its parent has waited for it, long before its start is heard of.
fn assert_each_child_is_dumped(threads: usize) {
    let folder = folder();
    let exe = compile(&DIES);
    let mut parent = parent_of(&[&threads.to_string()]);
    let running = watch_children(&parent, rounds(), folder.path());
    let deaths: usize = (0..rounds())
        .map(|_| running.until_it_dumps_another(|| crash(&mut parent)))
        .sum();
    let run = running.finish();
    run.assert_code(0);
    assert_eq!(rounds() as u64 + unseen(&run), deaths as u64, "{run:#?}");
    for dump in run.events("dump") {
        assert_eq!(dump["gap-count"], 0, "{dump:#?}");
    }
    let dumps = files_in(folder.path());
    assert_eq!(dumps.len(), rounds(), "{run:#?}");
    for dump in dumps {
        let core = Core::new(&dump, &exe);
        assert_eq!(core.threads().len(), threads + 1, "{}", dump.display());
        let seen = core.gdb(&[
            "backtrace",
            "frame function dies_in_child",
            "print text",
            "thread apply all -q print $fs_base == 0",
        ]);
        assert!(seen.contains("dies_in_child ("), "{seen}");
        // Without it, thread-local variables cannot be read.
        assert!(!seen.contains("= 1\n") && seen.contains("= 0"), "{seen}");
        assert!(seen.contains("CHILD-DATA-"), "{seen}");
    }
}

#[test]
fn n23_children_that_die_at_once_are_dumped() {
    assert_each_child_is_dumped(0);
}

#[test]
fn n23_children_that_die_at_once_are_dumped_on_a_loaded_machine_with_all_their_threads() {
    let _load = load();
    assert_each_child_is_dumped(20);
}

/// The parent of a child of vfork goes on, on the stack that both have, as soon as the child has died.
#[test]
fn n23_a_dump_of_a_vfork_child_says_that_its_parent_ran_on() {
    let folder = folder();
    let mut parent = parent_of(&["vforks"]);
    let running = watch_children(&parent, 1, folder.path());
    running.until_it_dumps_another(|| crash(&mut parent));
    let run = running.finish();
    let dumps = run.events("dump");
    let said = format!("process {} shares its memory and ran on", parent.pid());
    assert!(dumps[0]["warnings"].to_string().contains(&said), "{run:#?}");
}

/// The first process of a pid namespace does not die of a signal that it has no handler for: no dump says that it did.
#[test]
fn n23_a_process_that_does_not_die_of_its_fault_is_not_caught() {
    let (folder, programs) = (folder(), crate::support::folder());
    let name = format!("survives{}", std::process::id());
    let program = file_in(&programs, &name);
    std::fs::copy(compile(&DIES), &program).expect("a copy");
    let running = Firstchance::new(&["watch", "--json", "--wait", "--all", &name])
        .args(&["--when", "unhandled exception", "-n", "1", "-o"])
        .arg(folder.path())
        .spawn()
        .until_it_says("\"event\":\"effective\"");
    let survives = Child::start(Command::new(&program).arg("survives"));
    assert_eq!(survives.line(), "lives");
    let mut pid = 0;
    running.until_it_dumps_another(|| pid = aborts(&program));
    let run = running.finish();
    run.assert_code(0);
    let dumps = run.events("dump");
    assert_eq!(dumps.len(), 1, "{run:#?}");
    assert_eq!(dumps[0]["pid"], pid, "{run:#?}");
}

/// Runs the program until it has aborted; returns its pid.
fn aborts(program: &Path) -> u32 {
    let mut child = Child::that_crashes(program, &["aborts"]);
    child.wait();
    child.pid()
}

/// A program that is waited for by its name dies before it could be looked at.
#[test]
fn n23_a_program_that_is_waited_for_and_aborts_at_once_is_dumped() {
    let folder = folder();
    let programs = crate::support::folder();
    let name = format!("aborts{}", std::process::id());
    let program = file_in(&programs, &name);
    std::fs::copy(compile(&DIES), &program).expect("a copy");
    let running = Firstchance::new(&["watch", "--json", "--wait", "--all", &name])
        .args(&["--when", "unhandled exception", "-n", &rounds().to_string()])
        .arg("-o")
        .arg(folder.path())
        .spawn()
        .until_it_says("\"event\":\"effective\"");
    for _ in 0..rounds() {
        running.until_it_dumps_another(|| {
            aborts(&program);
        });
    }
    running.finish().assert_code(0);
    assert_eq!(files_in(folder.path()).len(), rounds());
}

/// A process executes another program while it begins to be watched, and that one dies at once: the dump has the memory
/// of the program that died, never that of the one before.
#[test]
fn n23_what_dies_just_after_it_has_executed_another_program_is_that_program() {
    let times = ["0", "300", "1000", "2000", "3000", "5000", "8000", "30000"];
    assert_each_that_executes_is_dumped("execs", times.map(|time| ["executes", time]));
}

/// A thread that executes a program takes the place of the first one. It goes on, whenever that is.
#[test]
fn n23_a_second_thread_that_executes_programs_while_it_begins_to_be_watched_goes_on() {
    let times = ["1", "2", "3", "4", "5", "6", "8", "12"];
    assert_each_that_executes_is_dumped("threads", times.map(|times| ["threads", times]));
}

fn assert_each_that_executes_is_dumped(name: &str, words: [[&str; 2]; 8]) {
    let (folder, programs) = (folder(), crate::support::folder());
    let name = format!("{name}{}", std::process::id());
    let program = file_in(&programs, &name);
    std::fs::copy(compile(&DIES), &program).expect("a copy");
    let count = words.len() * rounds() / 2;
    let running = Firstchance::new(&["watch", "--json", "--wait", "--all"])
        .arg(Path::new(&format!("cmdline:*{name}*")))
        .args(&["--when", "unhandled exception", "--do", "full dump"])
        .args(&["-n", &count.to_string(), "--format", "core", "-o"])
        .arg(folder.path())
        .spawn()
        .until_it_says("\"event\":\"effective\"");
    for round in 0..count {
        running.until_it_dumps_another(|| {
            Child::that_crashes(&program, &words[round % words.len()]).wait();
        });
    }
    let run = running.finish();
    run.assert_code(0);
    assert!(run.events("refused").is_empty(), "{run:#?}");
    // Of the program that died, with names that only its file has.
    for stack in run.events("first-stack") {
        let frame = stack["frames"][0].as_str().expect("a frame");
        assert!(frame.contains("!dies_in_child+"), "{stack}");
    }
    for dump in files_in(folder.path()) {
        let seen = Core::new(&dump, &program).gdb(&[
            "backtrace",
            "frame function dies_in_child",
            "print text",
        ]);
        assert!(seen.contains("CHILD-DATA-7"), "{}: {seen}", dump.display());
    }
}

/// No thread follows a child that ends at once: threads have ids from the same numbers as processes, so that those that
/// were used are counted.
#[test]
fn n56_children_that_live_for_a_moment_are_not_followed() {
    let folder = folder();
    let script = "echo ready; read line; i=0; while [ $i -lt 300 ]; do (:); i=$((i+1)); done; echo done; read line";
    let mut parent = Child::start(Command::new("sh").args(["-c", script]));
    assert_eq!(parent.line(), "ready");
    let running = watch_children(&parent, 1, folder.path());
    let before = threads_of(running.pid());
    parent.tell("");
    assert_eq!(parent.line(), "done");
    let after = threads_of(running.pid());
    // One that gets no processor for a tenth of a second lives longer, and is followed.
    let new = after.iter().filter(|thread| !before.contains(thread));
    assert!(new.count() < 10, "{before:?} {after:?}");
    running.signal(libc::SIGINT);
    let run = running.finish();
    run.assert_code(7);
    assert!(run.events("watching").len() < 10, "{run:#?}");
    assert!(run.events("unseen").is_empty(), "{run:#?}");
}

/// What a process has thrown that has ended when it is looked at is not known, also where its death would be caught.
#[test]
fn n23_each_process_that_ends_at_once_is_monitored_or_counted() {
    const PROCESSES: usize = 60;
    let folder = folder();
    let program = folder.path().join("ends-at-once");
    std::fs::copy("/bin/true", &program).expect("a copy");
    let running = Firstchance::new(&["watch", "ends-at-once", "--each", "--json"])
        .args(&["--when", "exception", "-o"])
        .arg(folder.path())
        .spawn()
        .until_it_says("\"event\":\"effective\"");
    let start = |_| Command::new(&program).spawn().expect("it");
    let mut children: Vec<_> = (0..PROCESSES).map(start).collect();
    // Whoever hears of this one has heard of all before it.
    let lives = folder.path().join("lives");
    std::fs::create_dir(&lives).expect("a folder");
    let sleep = lives.join("ends-at-once");
    std::fs::copy("/bin/sleep", &sleep).expect("a copy");
    let last = Child::start(Command::new(&sleep).arg("1000"));
    let watches = format!("\"event\":\"watching\",\"pid\":{}", last.pid());
    let running = running.until_it_says(&watches);
    running.signal(libc::SIGINT);
    let run = running.finish();
    children.iter_mut().for_each(|child| drop(child.wait()));
    let watched = run.events("watching").len() - 1;
    let told = watched + unseen(&run) as usize;
    assert!(told >= PROCESSES, "{watched} watched: {run:#?}");
}

/// Their deaths were waited for while probes were set, which takes some milliseconds: one to seven of twenty were dumped.
#[test]
fn n23_those_that_die_while_they_are_armed_are_dumped() {
    const AGES: std::ops::RangeInclusive<usize> = 1..=12;
    let folder = folder();
    let script = "echo ready; while read us; do \"$0\" later $us; echo ended; done";
    let mut command = Command::new("sh");
    let mut parent = Child::start(command.args(["-c", script]).arg(compile(&DIES)));
    assert_eq!(parent.line(), "ready");
    let running = watch_children(&parent, 2 * AGES.count(), folder.path());
    for milliseconds in AGES {
        parent.tell(&(milliseconds * 1000).to_string());
        assert_eq!(parent.line(), "ended");
    }
    let running = running.until_it_says_often("\"event\":\"exited\"", AGES.count());
    running.signal(libc::SIGINT);
    let run = running.finish();
    let dumps = run.events("dump").len();
    // On a shared machine we may come too late for one.
    assert!(dumps + 2 >= AGES.count(), "{dumps}: {run:#?}");
    assert_eq!(dumps + unseen(&run) as usize, AGES.count(), "{run:#?}");
}
