//! Rust, Go, Python and Node programs met where they throw, and what is told of them there.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod core;
mod stand;

use analysis::places::Thrower;
use analysis::thrown::Thrown;
use stand::{Waiting, place, source, succeed};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn compile(compiler: &str, flags: &[&str], file: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("throws");
    let mut command = Command::new(compiler);
    succeed(
        command
            .args(flags)
            .arg("-o")
            .arg(&program)
            .arg(source(file)),
    );
    (folder, program)
}

#[track_caller]
fn met(command: &mut Command, image: &Path, thrower: Thrower) -> Thrown {
    let program = Waiting::start(command);
    let place = place(image, thrower);
    let thrown = program.thrown(image, &place);
    thrown.unwrap_or_else(|| panic!("{command:?} at {place:?}"))
}

/// Message and place as the program itself reports them.
fn reported(program: &Path, how: &str) -> String {
    let mut command = Command::new(program);
    let command = command
        .arg(how)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null());
    let report = String::from_utf8(command.output().unwrap().stderr).unwrap();
    let (_, report) = report.split_once(" panicked at ").unwrap();
    let mut lines = report.lines();
    let place = lines.next().unwrap().trim_end_matches(':');
    match lines.next().unwrap() {
        "Box<dyn Any>" => place.to_owned(),
        message => format!("{message}, {place}"),
    }
}

#[test]
fn a_rust_panic_is_told_with_its_place() {
    const ALL: &[&str] = &["literal", "made", "index", "string", "number", "caught"];
    for (flags, hows) in [
        (&["-O"][..], ALL),
        (&["-Copt-level=0"], &["made"]),
        (&["-O", "-Cpanic=abort"], &["made"]),
        (&["-O", "-Clto=fat"], &["made"]),
    ] {
        let (_folder, program) = compile("rustc", flags, "throws.rs");
        for how in hows {
            let thrown = met(Command::new(&program).arg(how), &program, Thrower::Rust);
            let told = (&thrown.name[..], &thrown.message);
            assert_eq!(told, ("RUST.panic", &reported(&program, how)), "{flags:?}");
        }
    }
}

#[test]
fn a_resumed_rust_panic_has_no_place() {
    let (_folder, program) = compile("rustc", &[], "throws.rs");
    let resumed = met(
        Command::new(&program).arg("resumed"),
        &program,
        Thrower::Rust,
    );
    assert_eq!(resumed.message, "resumed");
}

fn go(flags: &[&str]) -> (TempDir, PathBuf) {
    let flags: Vec<&str> = ["build"].into_iter().chain(flags.iter().copied()).collect();
    compile("go", &flags, "throws.go")
}

#[test]
fn a_go_panic_is_told_with_what_it_says() {
    let (_folder, program) = go(&[]);
    for (how, message) in [
        ("text", "a text"),
        ("error", "an error"),
        ("custom", ""),
        ("number", "-42"),
        ("nil", "invalid memory address or nil pointer dereference"),
        ("index", "index out of range [5] with length 3"),
    ] {
        let thrown = met(Command::new(&program).arg(how), &program, Thrower::GoPanic);
        assert_eq!(
            (&thrown.name[..], &thrown.message[..]),
            ("GO.panic", message),
            "{how}"
        );
    }
    let uncaught = met(
        Command::new(&program).arg("custom"),
        &program,
        Thrower::GoUncaught,
    );
    assert_eq!(uncaught.message, "a custom one");
}

#[test]
fn a_stripped_go_program_has_its_places() {
    let (_folder, whole) = go(&[]);
    for flags in [
        &["-ldflags=-s -w"][..],
        &["-ldflags=-s -w", "-buildmode=pie"],
    ] {
        let (_folder, program) = go(flags);
        let thrown = met(
            Command::new(&program).arg("deep"),
            &program,
            Thrower::GoPanic,
        );
        assert_eq!(thrown.message, "deep");
        let count = |image: &Path| {
            let image = std::fs::read(image).unwrap();
            analysis::places::throw_places(&image).len()
        };
        assert_eq!(count(&program), count(&whole));
    }
}

#[test]
fn a_go_deadlock_is_a_fatal_error() {
    let (_folder, program) = go(&[]);
    let image = std::fs::read(&program).unwrap();
    let places = analysis::places::throw_places(&image);
    let fatal = places
        .iter()
        .filter(|place| place.thrower == Thrower::GoFatal);
    let met = fatal.rev().find_map(|place| {
        let waiting = Waiting::start(Command::new(&program).arg("deadlock"));
        waiting.thrown(&program, place)
    });
    assert_eq!(
        met.unwrap().message,
        "all goroutines are asleep - deadlock!"
    );
}

/// The system's CPython, then those of pyenv that this crate knows.
fn pythons() -> Vec<PathBuf> {
    const WHERE: &str = "import sys; print(sys.executable)";
    let first = succeed(Command::new("python3").args(["-c", WHERE]));
    let root = Command::new("pyenv").arg("root").output();
    let root = root.map(|output| String::from_utf8(output.stdout).unwrap());
    let versions = root.map(|root| std::fs::read_dir(Path::new(root.trim()).join("versions")));
    let versions = versions.into_iter().flatten().flatten().flatten();
    let others = versions.flat_map(|version| {
        let program = |minor| version.path().join(format!("bin/python3.{minor}"));
        (8..=13).map(program).find(|program| program.exists())
    });
    let all = [PathBuf::from(first.trim())].into_iter().chain(others);
    all.map(|program| std::fs::canonicalize(program).unwrap())
        .collect()
}

/// Where a Python throws: its library, or the program itself.
fn image(program: &Path) -> PathBuf {
    library(program).unwrap_or_else(|| program.to_owned())
}

fn library(program: &Path) -> Option<PathBuf> {
    let output = succeed(Command::new("ldd").arg(program));
    let line = output.lines().find(|line| line.contains("libpython"))?;
    std::fs::canonicalize(line.split_ascii_whitespace().nth(2)?).ok()
}

fn python(program: &Path, then: &str) -> Command {
    const READY: &str = "import sys; print('ready', flush=True); sys.stdin.readline()";
    let mut command = Command::new(program);
    command.args(["-I", "-c", &format!("{READY}\n{then}")]);
    command
}

#[test]
fn a_python_exception_is_told_with_its_message() {
    let program = &pythons()[0];
    for (then, name, bases, message) in [
        (
            "class A(KeyError): pass\nraise A('b')",
            "PYTHON.A",
            "KeyError LookupError",
            "b",
        ),
        (
            "int('x')",
            "PYTHON.ValueError",
            "Exception",
            "invalid literal for int() with base 10: 'x'",
        ),
        ("raise OSError", "PYTHON.OSError", "Exception", ""),
    ] {
        for thrower in [Thrower::PythonRaise, Thrower::PythonUncaught] {
            let thrown = met(&mut python(program, then), &image(program), thrower);
            let told = (&thrown.name[..], &thrown.message[..]);
            assert_eq!(told, (name, message), "{thrower:?}");
            assert!(
                thrown.bases.join(" ").starts_with(bases),
                "{:?}",
                thrown.bases
            );
        }
    }
}

#[test]
fn every_version_of_python_is_understood() {
    for program in pythons() {
        for thrower in [Thrower::PythonRaise, Thrower::PythonUncaught] {
            let mut command = python(&program, "raise ValueError('no')");
            let thrown = met(&mut command, &image(&program), thrower);
            let told = (
                &thrown.name[..],
                &thrown.bases.join(" ")[..],
                &thrown.message[..],
            );
            let right = ("PYTHON.ValueError", "Exception BaseException object", "no");
            assert_eq!(told, right, "{} {thrower:?}", program.display());
        }
    }
}

/// A loop ends with an exception, and so does a program that leaves.
#[test]
fn leaving_python_is_no_uncaught_exception() {
    let program = &pythons()[0];
    let mut command = python(program, "import sys; sys.exit(3)");
    let waiting = Waiting::start(&mut command);
    let image = image(program);
    assert!(!waiting.comes_to(&image, place(&image, Thrower::PythonUncaught).spot));
}

#[test]
fn an_error_that_node_does_not_catch_is_met() {
    let node = PathBuf::from(succeed(Command::new("node").args(["-p", "process.execPath"])).trim());
    let node = std::fs::canonicalize(node).unwrap();
    let script =
        "console.log('ready'); require('fs').readSync(0, Buffer.alloc(1)); throw Error('x')";
    let mut command = Command::new(&node);
    let thrown = met(command.args(["-e", script]), &node, Thrower::NodeUncaught);
    assert_eq!(thrown.name, "NODE.uncaught");
}
