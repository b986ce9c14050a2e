//! Programs in many languages that end in many ways: each leaves one dump with the right name, or none, and ends
//! as it does when nobody watches.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::dump_refuse::{NOBODY, folder_of_nobody, public_copy, public_folder};
use crate::support::{Child, Firstchance, Program, Run, compile, files_in, folder};

const C: Program = Program::c("ends.c");
const CXX: Program = Program::cpp("throws.cpp");
const JAVA: Program = Program::java("Throws.java");

/// How a program is run: a command and its arguments.
type Line = Vec<String>;

pub(crate) fn line(program: PathBuf, arguments: &[&str]) -> Line {
    let program = program.to_string_lossy().into_owned();
    let arguments = arguments.iter().map(|argument| (*argument).to_owned());
    [program].into_iter().chain(arguments).collect()
}

/// Starts a program, and waits until it is ready. The program then waits for a line.
fn start(line: &Line) -> Child {
    let arguments: Vec<&str> = line[1..].iter().map(String::as_str).collect();
    let child = Child::that_crashes(&line[0], &arguments);
    assert_eq!(child.line(), "ready", "{line:?}");
    child
}

/// Watches a program for unhandled exceptions, and lets it go on until it ends. Returns the names of the
/// exceptions that left a dump.
fn watched(line: &Line) -> (Vec<String>, Run) {
    let folder = folder();
    let mut child = start(line);
    let running = Firstchance::new(&["watch", "--json", &child.pid().to_string()])
        .args(&["--when", "unhandled exception", "--do", "mini dump"])
        .args(&["-n", "9", "-o"])
        .arg(folder.path().join("x.dmp"))
        .spawn()
        .until_it_says("\"event\":\"armed\"");
    child.tell("go");
    let end = child.wait();
    let run = running.finish();
    let mut alone = start(line);
    alone.tell("go");
    assert_eq!(end, alone.wait(), "it ended otherwise: {line:?} {run:#?}");
    let told = run.events("dump");
    let names = told
        .iter()
        .map(|dump| dump["reason"].as_str().expect("text"));
    let names = names.map(|reason| reason.replace("Unhandled exception: ", ""));
    let names: Vec<String> = names.collect();
    assert_eq!(
        files_in(folder.path()).len(),
        names.len(),
        "{line:?} {run:#?}"
    );
    (names, run)
}

pub(crate) fn assert_ends(line: &Line, name: Option<&str>) {
    let (names, run) = watched(line);
    assert_eq!(
        names.len(),
        usize::from(name.is_some()),
        "{line:?} {run:#?}"
    );
    if let (Some(name), Some(told)) = (name, names.first()) {
        assert!(told.starts_with(name), "{line:?}: {told}, not {name}");
    }
}

const CRASHES: [(&str, &str); 16] = [
    ("segv", "SIGSEGV.SEGV_MAPERR"),
    ("abort", "SIGABRT"),
    ("fpe", "SIGFPE"),
    ("ill", "SIGILL.ILL_ILLOPN"),
    ("bus", "SIGBUS.BUS_ADRERR"),
    ("trap", "SIGTRAP"),
    ("sys", "SIGSYS"),
    ("xcpu", "SIGXCPU"),
    ("overflow", "SIGSEGV"),
    ("thread", "SIGSEGV.SEGV_MAPERR"),
    ("leader-gone", "SIGSEGV.SEGV_MAPERR"),
    ("all", "SIGSEGV.SEGV_MAPERR"),
    ("blocked", "SIGSEGV.SEGV_MAPERR"),
    ("ignored", "SIGSEGV.SEGV_MAPERR"),
    ("handled", ""),
    ("child", ""),
];
const ENDS: [&str; 5] = ["exit", "_exit", "exit_group", "term", "kill"];

fn c_ends(program: &Program) {
    let program = compile(program);
    for (how, name) in CRASHES {
        let name = Some(name).filter(|name| !name.is_empty());
        assert_ends(&line(program.clone(), &[how]), name);
    }
    for how in ENDS {
        assert_ends(&line(program.clone(), &[how]), None);
    }
}

#[test]
fn c_that_crashes_leaves_one_dump_and_c_that_ends_none() {
    c_ends(&C);
}

#[test]
fn static_and_stripped_c_does_too() {
    c_ends(&C.with(&["-O1", "-static", "-s", "-pthread"]));
}

#[test]
fn c_with_musl_does_too() {
    c_ends(&Program::musl("ends.c"));
}

#[test]
fn c_that_becomes_another_program_is_followed() {
    let folder = folder();
    let mut child = start(&line(compile(&C), &["exec"]));
    let running = Firstchance::new(&["watch", "--json", &child.pid().to_string()])
        .args(&["--when", "unhandled exception", "--do", "mini dump", "-o"])
        .arg(folder.path().join("x.dmp"))
        .spawn()
        .until_it_says("\"event\":\"armed\"");
    child.tell("go");
    assert_eq!(child.line(), "ready");
    child.tell("go");
    child.wait();
    let run = running.finish();
    run.assert_code(0).assert_says("SIGSEGV.SEGV_MAPERR");
}

#[test]
fn cxx_is_named_by_what_nobody_caught_however_it_is_linked() {
    const HOW: [&[&str]; 4] = [
        &["-O1", "-pthread"],
        &["-O2", "-s", "-pthread"],
        &["-O1", "-static", "-pthread"],
        &["-O2", "-static", "-s", "-pthread"],
    ];
    for options in HOW {
        let program = compile(&CXX.with(options));
        let uncaught = "CXX.std::runtime_error (\"nobody catches me\")";
        for (how, name) in [
            ("throw", Some(uncaught)),
            ("segv", Some("SIGSEGV.SEGV_MAPERR")),
            ("abort", Some("SIGABRT")),
            ("exit", None),
            ("_exit", None),
        ] {
            assert_ends(&line(program.clone(), &["3", "2", how]), name);
        }
    }
}

#[test]
fn rust_and_go_are_named_when_nobody_recovers() {
    let abort = &["-O", "-Cpanic=abort", "-Cstrip=debuginfo"];
    for (program, how, name) in [
        (Program::rust("panics.rs"), "caught", None),
        (Program::rust("panics.rs"), "thread", None),
        (Program::rust("panics.rs"), "abort", Some("SIGABRT")),
        (
            Program::rust("panics.rs").with(abort),
            "main",
            Some("RUST.panic (\"at 7, "),
        ),
        (
            Program::go("panics.go"),
            "panic",
            Some("GO.panic (\"an error of 7\")"),
        ),
        (
            Program::go("panics.go"),
            "goroutine",
            Some("GO.panic (\"an error of 7\")"),
        ),
        (
            Program::go("panics.go"),
            "nil",
            Some("GO.panic (\"runtime error: invalid memory address"),
        ),
        (
            Program::go("panics.go"),
            "map",
            Some("GO.fatal (\"concurrent map writes\")"),
        ),
        (Program::go("panics.go"), "recovered", None),
        (Program::go("panics.go"), "exit", None),
    ] {
        let (names, run) = watched(&line(compile(&program), &[how]));
        assert_eq!(names.len(), usize::from(name.is_some()), "{how}: {run:#?}");
        if let (Some(name), Some(told)) = (name, names.first()) {
            assert!(told.starts_with(name), "{how}: {told}, not {name}");
        }
    }
}

fn java(arguments: &[&str]) -> Line {
    let classes = compile(&JAVA).to_string_lossy().into_owned();
    let fixed = ["-Xmx64m", "-cp", &classes, "Throws"];
    line("java".into(), &[&fixed, arguments].concat())
}

#[test]
fn java_is_named_with_its_message_when_nobody_catches() {
    for (how, name) in [
        (
            "throw",
            Some("JAVA.Throws$OrderMissing (\"nobody catches ü中\")"),
        ),
        ("thread", Some("JAVA.Throws$OrderMissing (\"in a thread\")")),
        ("overflow", Some("JAVA.java.lang.StackOverflowError")),
        ("exit", None),
        ("halt", None),
    ] {
        assert_ends(&java(&["2", "2", how]), name);
    }
}

#[test]
fn every_exception_that_java_makes_is_counted_and_filters_know_what_it_derives_from() {
    let folder = folder();
    let mut child = start(&java(&["20000", "3", "exit"]));
    let running = Firstchance::new(&["watch", "--json", &child.pid().to_string()])
        .args(&[
            "--when",
            "exception = \"java.lang.IllegalStateException\" first chance",
        ])
        .args(&[
            "--when",
            "exception \"OrderMissing\" first chance",
            "--do",
            "none",
        ])
        .args(&["-n", "0", "-o"])
        .arg(folder.path())
        .spawn()
        .until_it_says("\"event\":\"armed\"");
    child.tell("go");
    assert_eq!(child.line(), "caught 60000");
    assert_eq!(child.wait().code(), Some(3));
    let run = running.finish();
    assert_eq!(run.count_of("JAVA.Throws$OrderMissing"), 30_000, "{run:#?}");
    assert_eq!(
        run.count_of("JAVA.java.lang.NullPointerException"),
        0,
        "{run:#?}"
    );
}

#[test]
fn who_ended_a_program_is_told() {
    for signal in ["KILL", "TERM"] {
        let folder = folder();
        let mut child = start(&line(compile(&C), &["exit"]));
        let pid = child.pid().to_string();
        let running = Firstchance::new(&["watch", "--json", &pid])
            .args(&["--when", "exit", "--do", "mini dump", "-o"])
            .arg(folder.path().join("x.dmp"))
            .spawn()
            .until_it_says("\"event\":\"armed\"");
        let mut killer = Command::new("/bin/kill");
        let mut killer = killer.args(["-s", signal, &pid]).spawn().expect("kill");
        killer.wait().expect("its end");
        assert_eq!(child.wait().code(), None);
        let run = running.finish();
        let told = format!(
            "Process end: by SIG{signal} from process {} (kill)",
            killer.id()
        );
        run.assert_code(0).assert_says(&told);
        assert_eq!(files_in(folder.path()).len(), 1);
    }
}

#[test]
fn lines_on_stderr_are_debug_strings_and_a_filter_chooses_among_them() {
    let folder = folder();
    let script = "import os,sys,time\nprint('ready',flush=True)\nsys.stdin.readline()\n\
                  os.write(2,b'first\\nsec'); os.writev(2,[b'ond',b'',b' one\\nlast'])\n\
                  os.write(1,b'not this\\n'); os.write(2,b' words: NotFound\\n'+b'x'*9000+b'\\n')\n\
                  sys.stdin.readline()";
    let mut child = start(&line("python3".into(), &["-c", script]));
    let running = Firstchance::new(&["procdump", "-accepteula", "-ma", "-l", "-f", "NotFound"])
        .arg(child.pid().to_string())
        .arg(folder.path())
        .spawn()
        .until_it_says("Press Ctrl-C");
    let armed = "read by a tracepoint at system calls";
    let running = running.until_it_says(armed);
    child.tell("go");
    let run = running.finish();
    run.assert_code(0);
    for text in ["first", "second one", "last words: NotFound"] {
        assert!(
            run.stdout.contains(&format!("Debug string: {text}\n")),
            "{text}: {run:#?}"
        );
    }
    assert!(!run.stdout.contains("not this"), "{run:#?}");
    assert_eq!(files_in(folder.path()).len(), 1, "{run:#?}");
    child.tell("go");
    assert_eq!(child.wait().code(), Some(0));
}

/// Watches a program of a user without rights, as this user. Returns the result of the watch.
fn watched_by_nobody(options: &[&str]) -> Run {
    let public = public_folder();
    let copy = |program: &Path| public_copy(&public, program);
    let ours = copy(Path::new(env!("CARGO_BIN_EXE_firstchance")));
    let program = copy(&compile(&CXX)).to_string_lossy().into_owned();
    let user = NOBODY.iter().map(|word| (*word).to_owned());
    let count = ["3000", "3", "exit"].map(str::to_owned);
    let mut child = start(&user.chain([program]).chain(count).collect());
    let running = Firstchance::copy_by(NOBODY, &ours)
        .args(&["watch", "--json", &child.pid().to_string()])
        .args(&["--when", "exception \"NotFound\" first chance"])
        .args(options)
        .current_dir(&folder_of_nobody(&public))
        .spawn()
        .until_it_says("\"event\":\"armed\"");
    child.tell("go");
    assert_eq!(child.line(), "caught 27000");
    assert_eq!(child.wait().code(), Some(3));
    running.finish()
}

#[test]
fn a_user_without_rights_is_told_what_cannot_be_seen() {
    let run = watched_by_nobody(&["--do", "mini dump"]);
    run.assert_code(5).assert_says("--unsafe-breakpoints");
}

#[test]
fn the_processors_breakpoints_stand_in_for_probes_where_that_is_asked_for() {
    let run = watched_by_nobody(&["--do", "mini dump", "--unsafe-breakpoints"]);
    run.assert_code(0)
        .assert_says("the process dies if firstchance is killed");
    assert_eq!(run.events("dump").len(), 1);
    let run = watched_by_nobody(&["--do", "none", "--unsafe-breakpoints"]);
    assert_eq!(run.count_of("CXX.NotFound"), 9000, "{run:#?}");
}
