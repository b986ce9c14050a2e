//! A small dump tells what a full one of the same moment does: who runs what, who waits for whom, why it died.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cause::death::watched;
use crate::support::{Child, Firstchance, Program, compile, file_in, files_in, folder};
use crate::waits::{DEADLOCK, MUSL, locked_up};

const GOROUTINES: Program = Program::go("goroutines.go");
const STRIPPED: Program = Program::go("goroutines.go").with(&["build", "-ldflags=-s"]);
const JAVA: Program = Program::java("JavaStacks.java");
const DIES: Program = Program::c("dies.c").with(&["-O1", "-g", "-Wall", "-Werror"]);
const CXX: Program = Program::cpp("caught.cpp");
const PANICS: Program = Program::go("panics.go");

/// Programs that are dumped while they run.
fn living() -> Vec<(&'static str, Command)> {
    let source = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/programs")
            .join(name)
    };
    let with = |program: &str, file: &str| {
        let mut command = Command::new(program);
        command.arg(source(file));
        command
    };
    vec![
        (
            "threads of C that lock each other out",
            Command::new(compile(&DEADLOCK)),
        ),
        (
            "the same without a C library to load",
            Command::new(compile(&MUSL)),
        ),
        ("goroutines", Command::new(compile(&GOROUTINES))),
        (
            "goroutines without symbols",
            Command::new(compile(&STRIPPED)),
        ),
        ("Python", with("/usr/bin/python3", "tells_its_stacks.py")),
        ("Node.js", with("node", "serves.js")),
    ]
}

/// What `inspect` says of a dump but for what differs from one dump to the next: its file, how it was taken, and what of each class
/// of memory is in it.
fn said(dump: &Path, options: &[&str]) -> String {
    let inspect = |section: &[&str]| {
        let inspect = Firstchance::new(&["inspect"]).args(options).arg(dump);
        inspect.args(section).run_well().stdout
    };
    let summary = inspect(&[]);
    let (head, rest) = summary.split_once("\n\n").expect("paragraphs");
    assert!(head.contains("by firstchance"), "{summary}");
    let is_of_both = |paragraph: &&str| {
        !["Dumped ", "Memory "]
            .iter()
            .any(|start| paragraph.starts_with(start))
    };
    let paragraphs = rest.split("\n\n").filter(is_of_both);
    let name = dump
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let summary: String = paragraphs
        .map(|paragraph| paragraph.replace(&name, "FILE") + "\n\n")
        .collect();
    summary + &inspect(&["threads"])
}

/// Asserts that two dumps say the same, by the files of this machine and where there are none of them.
fn assert_alike(small: &Path, full: &Path, what: &str) {
    let nothing = folder();
    let nothing = nothing.path().to_str().expect("a path");
    for options in [&[][..], &["--sysroot", nothing]] {
        let (small, full) = (said(small, options), said(full, options));
        let differs = small
            .lines()
            .zip(full.lines())
            .find(|(small, full)| small != full);
        assert!(
            small == full,
            "{what} {options:?}: {differs:?}\n{small}\n= in a full dump =\n{full}"
        );
    }
}

/// The dumps of each kind in a folder.
fn by_kind(folder: &tempfile::TempDir, kind: &str) -> PathBuf {
    let mut files = files_in(folder.path()).into_iter();
    let is_it = |path: &PathBuf| path.to_string_lossy().contains(kind);
    files
        .find(is_it)
        .unwrap_or_else(|| panic!("no {kind} dump"))
}

#[test]
fn a_mini_dump_says_of_a_living_process_what_a_full_one_does() {
    for (what, mut command) in living() {
        let child = Child::start(&mut command);
        match what {
            "Python" => drop(child.lines_until("ready")),
            _ => drop(child.line()),
        }
        for hold in [&[][..], &["--hold"]] {
            assert_dumps_alike(&child, hold, what);
        }
    }
}

/// Not where it stands: it is read for a short time then, in which a busy machine has not read all of a large process.
#[test]
fn a_mini_dump_says_of_java_what_a_full_one_does() {
    for options in [&["-Xbatch"][..], &["-Xint", "-XX:+UseSerialGC"]] {
        let mut java = Command::new("java");
        java.args(options).arg("-cp").arg(compile(&JAVA));
        let child = Child::start(java.arg("JavaStacks"));
        child.lines_until("ready");
        assert_dumps_alike(&child, &[], &format!("Java {options:?}"));
    }
}

/// Takes both dumps of one moment.
fn assert_dumps_alike(child: &Child, options: &[&str], what: &str) {
    let folder = folder();
    let dump = Firstchance::new(&["dump", "--mini", "--full", "-o"]).arg(folder.path());
    dump.args(options).arg(child.pid().to_string()).run_well();
    let [mini, full] = ["mini", "full"].map(|kind| by_kind(&folder, kind));
    assert_alike(&mini, &full, &format!("{what} {options:?}"));
}

#[test]
fn a_mini_dump_says_of_a_dead_process_what_a_full_one_does() {
    for (program, words) in [
        (&DIES, &["null"][..]),
        (&DIES, &["abort"]),
        (&DIES, &["overflow"]),
        (&CXX, &["throw"]),
        (&PANICS, &["nil"]),
    ] {
        let folder = folder();
        let exe = compile(program);
        watched(
            &exe,
            words,
            &["mini and full dump"],
            folder.path().to_owned(),
        );
        let what = format!("{exe:?} {words:?}");
        assert_alike(&by_kind(&folder, "mini"), &by_kind(&folder, "full"), &what);
    }
}

/// The bytes that were read are there, and nothing of the memory around them: a triage dump has no heap.
#[test]
fn a_triage_dump_says_of_threads_that_wait_what_a_full_one_does() {
    for (what, program) in [("glibc", &DEADLOCK), ("musl", &MUSL)] {
        let child = locked_up(&compile(program));
        let folder = folder();
        let threads = |kind: &str| {
            let path = file_in(&folder, kind);
            Firstchance::dump(child.pid(), &[&format!("--{kind}")], &path).run_well();
            let inspect = Firstchance::new(&["inspect"]).arg(&path).arg("threads");
            inspect.run_well().stdout
        };
        assert_eq!(threads("triage"), threads("full"), "{what}");
    }
}
