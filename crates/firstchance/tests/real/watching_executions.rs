//! Processes that execute other programs while they begin to be watched, and afterwards.

use crate::procdump_linux::names_in;
use crate::support::{Child, Firstchance, Program, Run, Running, compile, folder};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

static THROWS: Program = Program::cpp("throws.cpp");
static THROWS_AND_EXECUTES: Program = Program::cpp("throws_and_executes.cpp");
static EXECUTES: Program = Program::c("executes.c");
/// It has no loader, whose calls would tell that another one has begun.
static EXECUTES_STATIC: Program = Program::musl("executes.c");

/// Two programs that lie at the same addresses, with other functions there.
static FIRST: Program = Program::cpp("stacks_in_turn.cpp").with(&[
    "-O1",
    "-static",
    "-no-pie",
    "-DFUNCTION=thrown_by_first",
]);
static SECOND: Program = Program::cpp("stacks_in_turn.cpp").with(&[
    "-O1",
    "-static",
    "-no-pie",
    "-DFUNCTION=thrown_by_second",
    "-DPADDING",
]);

const EFFECTIVE: &str = "from now on nothing is missed";

/// It throws at a line of input.
const PYTHON: [&str; 3] = [
    "python3",
    "-c",
    "print('ready', flush=True); input(); raise KeyError('wanted')",
];

/// A program, and words that have it execute others.
struct Chain {
    words: Vec<String>,
}

impl Chain {
    /// Ends with this program.
    fn to(words: &[&str]) -> Chain {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Chain { words }
    }

    /// Is executed by this program after so many milliseconds.
    fn after(self, program: PathBuf, who: &str, delay: u64) -> Chain {
        let first = [
            program.display().to_string(),
            who.to_owned(),
            delay.to_string(),
        ];
        let words = first.into_iter().chain(self.words).collect();
        Chain { words }
    }

    /// Begins at a line of input.
    fn at_a_line(self) -> Child {
        let mut words = vec!["-c", "echo begun; read line; exec \"$@\"", "sh"];
        words.extend(self.words.iter().map(String::as_str));
        let child = Child::that_crashes("sh", &words);
        assert_eq!(child.line(), "begun");
        child
    }

    fn begin(&self) -> Child {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        Child::that_crashes(words[0], &words[1..])
    }
}

fn watch(child: &Child, words: &[&str], dumps: &tempfile::TempDir) -> Running {
    to_watch(child, words, dumps).spawn()
}

fn to_watch(child: &Child, words: &[&str], dumps: &tempfile::TempDir) -> Firstchance {
    Firstchance::new(&["procdump", "-log", "stdout"])
        .args(words)
        .args(&[&child.pid().to_string()])
        .arg(dumps.path())
}

fn assert_seen(run: &Run, dumps: &tempfile::TempDir, what: &str) {
    assert_eq!(names_in(dumps.path()).len(), 1, "{what}: {run:#?}");
    run.assert_code(0);
}

/// As the `python3` of pyenv: a script that executes others, which take some milliseconds.
#[test]
fn n45_who_executes_others_while_the_watch_begins_is_watched() {
    for delay in (0..=30).step_by(3) {
        let dumps = folder();
        let chain = (0..12).fold(Chain::to(&PYTHON), |chain, _| {
            chain.after(compile(&EXECUTES), "first", delay)
        });
        let mut child = chain.begin();
        let running = watch(&child, &["-e"], &dumps).until_it_says(EFFECTIVE);
        assert_eq!(child.line(), "ready");
        child.tell("");
        let run = running.finish();
        assert_seen(&run, &dumps, &format!("{delay} ms"));
        child.wait();
    }
}

/// The program that throws does so at once: it is held while it is armed.
#[test]
fn n45_what_the_last_of_a_chain_throws_at_its_start_is_seen() {
    the_last_of_a_chain_throws_at_its_start("");
}

/// There a probe is an event of perf, which could end when the process executes another program.
#[test]
fn n45_what_the_last_of_a_chain_throws_is_seen_by_the_probes_of_older_kernels() {
    the_last_of_a_chain_throws_at_its_start("old-kernel:einval");
}

fn the_last_of_a_chain_throws_at_its_start(failpoint: &str) {
    for delay in (0..=30).step_by(3) {
        let dumps = folder();
        let throws = compile(&THROWS).display().to_string();
        let executes = compile(&EXECUTES);
        let chain = Chain::to(&[&throws, "1", "1", "exit-now"]);
        let chain = chain.after(executes.clone(), "first", 0);
        let mut child = chain.after(executes, "first", delay).at_a_line();
        let words = ["-e", "1", "-f", "NotFound"];
        let running = to_watch(&child, &words, &dumps).failpoint(failpoint);
        let running = running.spawn().until_it_says(EFFECTIVE);
        child.tell("");
        let run = running.finish();
        assert_seen(&run, &dumps, &format!("{delay} ms"));
        child.wait();
    }
}

/// The kernel's probes end with the first thread, and a program without a loader has none.
#[test]
fn n45_who_executes_others_without_a_loader_or_by_another_thread_is_watched() {
    for (program, who) in [
        (&EXECUTES_STATIC, "first"),
        (&EXECUTES_STATIC, "other"),
        (&EXECUTES, "other"),
    ] {
        for delay in (0..=30).step_by(10) {
            let dumps = folder();
            let chain = Chain::to(&PYTHON).after(compile(program), who, 100);
            let mut child = chain.after(compile(program), who, delay).at_a_line();
            let running = watch(&child, &["-e"], &dumps).until_it_says(EFFECTIVE);
            child.tell("");
            assert_eq!(child.line(), "ready");
            // Nobody holds it while it is armed.
            std::thread::sleep(Duration::from_millis(500));
            child.tell("");
            let run = running.finish();
            let what = format!(
                "{} by the {who} thread after {delay} ms",
                program.compiler.0
            );
            assert_seen(&run, &dumps, &what);
            child.wait();
        }
    }
}

/// A program that throws, and executes itself, so often.
const TIMES: usize = 40;

/// Starts it, and lets it begin. Returns how long it takes to its end.
fn throws_and_executes(begins: impl FnOnce(&Child)) -> Duration {
    let program = compile(&THROWS_AND_EXECUTES).display().to_string();
    let mut child = Child::that_crashes(&program, &[&TIMES.to_string()]);
    assert_eq!(child.line(), "begun");
    begins(&child);
    let start = Instant::now();
    child.tell("");
    assert_eq!(child.wait().code(), Some(0));
    start.elapsed()
}

/// Each program lost its probes at the next one and got new ones, for which the kernel waits until no processor can be in
/// the old ones: 200 ms for each program, or two hundred times as long as without us.
#[test]
fn n53_programs_that_are_executed_in_a_row_are_not_held_up_and_each_throw_is_counted() {
    // By tracing, for signals at first chance, and without.
    for condition in ["exception", "exception \"counted\""] {
        let dumps = folder();
        let alone = throws_and_executes(|_| {});
        let mut running = None;
        let watched = throws_and_executes(|child| {
            let command = Firstchance::new(&["watch", &child.pid().to_string(), "--do", "none"])
                .args(&["--json", "--when", condition, "--output"])
                .arg(dumps.path());
            running = Some(command.spawn().until_it_says("\"event\":\"effective\""));
        });
        let run = running.expect("it was begun").finish();
        let told = run.stdout.matches("counted").count();
        println!("{condition}: {alone:?} alone, {watched:?} watched, {told} told");
        assert_eq!(told, TIMES, "{run:#?}");
        assert!(watched < 30 * alone, "{watched:?}, alone {alone:?}");
    }
}

/// The names of functions were read from the program that had been executed since, which lies at the same addresses.
#[test]
fn n30_first_stacks_are_those_of_the_program_that_threw() {
    const ROUNDS: usize = 5;
    const TYPES: usize = 10;
    let programs = [compile(&FIRST), compile(&SECOND)];
    for _ in 0..ROUNDS {
        let run = Firstchance::new(&["run", "--json", "--when", "exception", "--do", "none"])
            .arg("--")
            .arg(&programs[0])
            .args(&["0"])
            .arg(&programs[1])
            .run_well();
        let stacks = run.events("first-stack");
        assert_eq!(stacks.len(), TYPES, "{run:#?}");
        for stack in stacks {
            let (name, frames) = (stack["name"].to_string(), stack["frames"].to_string());
            let number = name.bytes().find(u8::is_ascii_digit).expect("a number");
            let function = ["!thrown_by_first+", "!thrown_by_second+"];
            let function = function[usize::from(number - b'0') % 2];
            assert!(frames.contains(function), "{name}: {frames}");
        }
    }
}
