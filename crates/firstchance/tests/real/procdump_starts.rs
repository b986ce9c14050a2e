//! What keeps a run from beginning, and is told at once: names that no file can have, missing rights, mistakes in the
//! command line.

use crate::dump_refuse::{NOBODY, folder_of_nobody, public_copy, public_folder};
use crate::procdump_linux::{linux, named};
use crate::support::{
    Child, Firstchance, Program, Run, Victim, compile, file_in, files_in, folder,
};
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn n45_names_that_only_windows_forbids_are_taken() {
    let dumps = folder();
    let victim = Victim::start(&["idle"]);
    let pid = victim.pid_text();
    for (words, file) in [
        (
            &["procdump", &pid, "dump_07:30:00"][..],
            "dump_07:30:00.dmp",
        ),
        (
            &["procdump", "--linux", &pid, "07:30"],
            &format!("07:30.{pid}"),
        ),
        (&["procdump", &pid, "con"], "con.dmp"),
        (&["procdump", "-ma", &pid, "aux.dmp"], "aux.dmp"),
        (&["dump", &pid, "-o", "a:b"], "a:b"),
        (&["watch", &pid, "-o", "lpt1"], "lpt1"),
    ] {
        Firstchance::new(words).current_dir(dumps.path()).run_well();
        assert!(file_in(&dumps, file).is_file(), "{words:?}");
    }
}

#[test]
fn n45_a_name_that_no_file_can_have_is_refused_at_the_start_with_the_reason() {
    let dumps = folder();
    let victim = Victim::start(&["idle"]);
    let pid = victim.pid_text();
    for words in [
        &["procdump", &pid, "a\nb"][..],
        &["procdump", "--linux", "-m", "100000", &pid, "a\nb"],
        &["dump", &pid, "-o", "a\nb"],
        &["watch", &pid, "--when", "exit", "-o", "a\nb"],
    ] {
        let run = Firstchance::new(words).current_dir(dumps.path()).run();
        run.assert_code(2).assert_says("it has a control character");
        assert!(!run.stderr.contains("PID"), "a template: {run:#?}");
        assert!(files_in(dumps.path()).is_empty());
    }
}

#[test]
fn n47_a_dialect_that_there_is_not_is_refused() {
    let victim = Victim::start(&["idle"]);
    let dumps = folder();
    let run = |dialect: &str| {
        let command = Firstchance::new(&["procdump", &victim.pid_text()]);
        let command = command.env("PROCDUMP_DIALECT", dialect);
        command.arg(dumps.path()).run()
    };
    let refused = run("linus");
    refused.assert_code(2).assert_says("PROCDUMP_DIALECT=linus");
    refused.assert_says("linux, or windows");
    assert!(files_in(dumps.path()).is_empty());
    run("").assert_code(0);
    run("LINUX")
        .assert_code(0)
        .assert_says("Core dump 0 generated: ");
}

/// The program, started by a user in a folder of its own, and the folder of both.
struct User {
    public: tempfile::TempDir,
    program: PathBuf,
    own: PathBuf,
}

impl User {
    fn new() -> User {
        let public = public_folder();
        let program = public_copy(&public, Path::new(env!("CARGO_BIN_EXE_firstchance")));
        let own = folder_of_nobody(&public);
        User {
            public,
            program,
            own,
        }
    }

    fn starts(&self, by: &[&str], words: &[&str]) -> Firstchance {
        let command = Firstchance::copy_by(by, &self.program).args(words);
        command.current_dir(&self.own)
    }
}

#[test]
fn n45_who_may_not_dump_is_told_before_the_watch_begins() {
    let user = User::new();
    let mut victim = Victim::start(&["idle"]);
    let pid = victim.pid_text();
    for words in [
        &["procdump", "--linux", "-c", "10", &pid][..],
        &["procdump", "-c", "10", &pid],
        &["procdump", "--linux", &pid],
        &["watch", &pid, "--when", "cpu > 90%"],
        &["watch", &pid, "--when", "cpu > 90%", "--json"],
    ] {
        let run = user.starts(NOBODY, words).run();
        run.assert_code(4);
        let said = format!("stopping process {pid} is not permitted: it belongs to user 0");
        assert!(run.stderr.contains(&said), "{run:#?}");
        assert!(!run.stdout.contains("Press Ctrl-C"), "{run:#?}");
    }
    victim.assert_alive();
    // What takes no dump needs no right.
    let words = [
        "watch",
        &pid,
        "--when",
        "threads > 0",
        "--do",
        "none",
        "-n",
        "1",
    ];
    user.starts(NOBODY, &words).run_well();
}

#[test]
fn n45_who_may_not_dump_what_a_name_means_is_warned() {
    let user = User::new();
    let program = named(&user.public, "n45-of-root");
    let victim = Victim::start_by(Command::new(program).arg("idle"));
    for words in [
        &["procdump", "--linux", "-m", "100000", "-w", "n45-of-root"][..],
        &["watch", "n45-of-root", "--when", "memory > 100GiB"],
        &[
            "watch",
            "n45-of-root",
            "--each",
            "--when",
            "memory > 100GiB",
        ],
    ] {
        let running = user.starts(NOBODY, words).spawn();
        let said = format!("stopping process {} is not permitted", victim.pid());
        let run = running.until_it_says(&said);
        run.signal(2);
        let run = run.finish();
        run.assert_code(7);
        let is_warning = |line: &str| line.contains("- WARN]: ") || line.contains("Warning: ");
        let mut lines = run.stdout.lines().filter(|line| line.contains(&said));
        assert!(lines.all(is_warning), "{run:#?}");
    }
}

#[test]
fn n45_who_has_nothing_but_the_right_to_trace_is_let_watch() {
    let user = User::new();
    let victim = Victim::start(&["idle"]);
    let tracer = [
        NOBODY,
        &["--inh-caps=+sys_ptrace", "--ambient-caps=+sys_ptrace"],
    ]
    .concat();
    let words = ["watch", &victim.pid_text(), "--when", "memory > 100GiB"];
    let running = user.starts(&tracer, &words).spawn();
    let running = running.until_it_says("Press Ctrl-C");
    running.signal(2);
    let run = running.finish();
    run.assert_code(7);
    assert!(!run.stdout.contains("Warning"), "{run:#?}");
}

/// The only line of a run that says what failed.
fn error_line(run: &Run) -> &str {
    let lines = run.stdout.lines();
    let mut texts = lines.filter_map(|line| line.split_once(" - ERROR]: "));
    let text = texts
        .next()
        .unwrap_or_else(|| panic!("no error: {run:#?}"))
        .1;
    assert_eq!(texts.next(), None, "{run:#?}");
    assert!(run.stderr.starts_with("firstchance: "), "{run:#?}");
    text
}

#[test]
fn n45_errors_at_the_start_are_lines_of_procdump_for_linux() {
    let victim = Victim::start(&["idle"]);
    let pid = victim.pid_text();
    for (line, code, said) in [
        (
            "4194303",
            3,
            "No process matching the specified PID (4194303) can be found.",
        ),
        (
            "no-such-one",
            3,
            "No process matching the specified name (no-such-one) can be found.",
        ),
        (
            "-pgid 4194303",
            3,
            "No process matching the specified PGID can be found.",
        ),
        (
            &format!("{pid} /no/such/folder/x"),
            6,
            "Invalid directory (\"/no/such/folder\") provided for core dump output.",
        ),
        (
            &format!("-f Foo {pid}"),
            2,
            "Please use the -e switch when specifying an exception filter (-f)",
        ),
        (
            &format!("-C 65 -M 100 -p {pid}"),
            2,
            "-p needs a value: -p COUNTER THRESHOLD; since ProcDump 1.3 for Linux, a pid is named without -p",
        ),
    ] {
        let run = linux(line).run();
        run.assert_code(code);
        assert_eq!(error_line(&run), said);
    }
    assert!(error_line(&linux("-nonsense").run()).contains("-nonsense is not a switch"));
    let windows = Firstchance::new(&["procdump", "4194303"]).run();
    assert_eq!(windows.stdout, "");
}

#[test]
fn n45_help_is_shown_as_by_the_switch_of_procdump() {
    let usage = Firstchance::new(&["procdump", "-?"]).run_well();
    assert!(
        usage.stdout.starts_with("procdump [SWITCHES]"),
        "{usage:#?}"
    );
    let help = Firstchance::new(&["procdump", "--help"]).run_well();
    assert_eq!(help.stdout, usage.stdout);
    let usage = linux("-?").run_well();
    assert_eq!(linux("--help").run_well().stdout, usage.stdout);
    // After -x it is the program's own.
    let dumps = folder();
    let run = linux("-x")
        .arg(dumps.path())
        .args(&["true", "--help"])
        .run();
    assert_ne!(run.stdout, usage.stdout);
}

#[test]
fn n45_a_name_that_fits_several_has_advice_for_its_command() {
    let place = folder();
    let program = named(&place, "n45-twins");
    let one = Victim::start_by(Command::new(&program).arg("idle"));
    let other = Victim::start_by(Command::new(&program).arg("idle"));
    for (command, advice) in [
        (
            Firstchance::new(&["procdump", "-m", "1", "n45-twins"]),
            "Name one by its pid:",
        ),
        (
            linux("-m 1 n45-twins"),
            "Name one by its pid, or watch all of them with -w:",
        ),
        (
            Firstchance::new(&["dump", "n45-twins"]),
            "Name one by its pid, or take --all:",
        ),
        (
            Firstchance::new(&["watch", "n45-twins"]),
            "Name one by its pid, or watch all of them with --each:",
        ),
    ] {
        let run = command.current_dir(place.path()).run();
        run.assert_code(3).assert_says(advice);
        run.assert_says("2 processes match \"n45-twins\"");
        run.assert_says(&one.pid_text())
            .assert_says(&other.pid_text());
    }
}

#[test]
fn n45_w_names_what_it_waits_for_as_it_was_named() {
    for (words, said) in [
        (
            &["procdump", "--linux", "-w"][..],
            "Waiting for processes 'my prog (x)' to launch",
        ),
        (
            &["procdump", "-w"],
            "Waiting for process named my prog (x)...",
        ),
    ] {
        let running = Firstchance::new(words).arg("my prog (x)").spawn();
        let running = running.until_it_says(said);
        running.signal(2);
        running.finish().assert_code(7);
    }
}

#[test]
fn n45_the_monitor_of_a_process_begins_and_stops_with_a_line() {
    let dumps = folder();
    let victim = Victim::start(&["idle"]);
    let run = linux("-tc 1")
        .args(&[&victim.pid_text()])
        .arg(dumps.path())
        .run_well();
    let at = |text: &str| {
        let found = run.stdout.find(text);
        found.unwrap_or_else(|| panic!("no {text:?}: {run:#?}"))
    };
    let process = format!("monitor for process victim ({})", victim.pid());
    let begun = at(&format!(" - INFO]: Starting {process}"));
    let stopped = at(&format!(" - INFO]: Stopping {process}"));
    let trigger = at("Trigger: ");
    assert!(begun < trigger && trigger < stopped, "{run:#?}");
}

#[test]
fn n45_the_trace_is_written_for_people() {
    let victim = Victim::start(&["idle"]);
    for line in [
        "-log stdout",
        "-log stdout -t -tc 1",
        "-log stdout -e -tc 1",
    ] {
        let dumps = folder();
        let run = linux(line)
            .args(&[&victim.pid_text()])
            .arg(dumps.path())
            .run_well();
        let traced = run
            .stdout
            .lines()
            .filter(|line| line.contains(" - DEBUG]: "));
        let traced: Vec<&str> = traced.collect();
        assert!(traced.len() > 2, "{run:#?}");
        for line in traced {
            assert!(
                !line.contains(['{', '}']) && !line.contains("Some("),
                "{line}"
            );
        }
    }
}

#[test]
fn n45_a_process_of_another_debugger_is_refused_with_advice_for_the_command() {
    let dumps = folder();
    let mut victim = Victim::start(&["idle"]);
    let strace = crate::dump_refuse::traced_by_another(&victim, &dumps);
    let pid = victim.pid_text();
    for (words, has_it) in [
        (&["procdump", "--linux", &pid][..], false),
        (&["procdump", &pid], false),
        (&["dump", &pid], true),
    ] {
        let run = Firstchance::new(words).current_dir(dumps.path()).run();
        run.assert_code(4).assert_says("is already traced by");
        let said = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(said.contains("--no-stop"), has_it, "{run:#?}");
    }
    drop(strace);
    victim.assert_alive();
}

#[test]
fn n45_the_folder_of_a_launch_must_exist_as_a_folder() {
    let place = folder();
    let (file, started) = (file_in(&place, "file"), file_in(&place, "started"));
    std::fs::write(&file, "kept").expect("a file");
    let missing = file_in(&place, "missing");
    for named in [Path::new("missing"), &missing, &file] {
        for start in ["-x", "--linux -x", "-e -x", "--linux -e -x"] {
            let words: Vec<&str> = start.split(' ').collect();
            let command = Firstchance::new(&["procdump"]).args(&words).arg(named);
            let command = command.arg(Path::new("/usr/bin/touch")).arg(&started);
            let run = command.current_dir(place.path()).run();
            run.assert_code(6);
            run.assert_says("Name a folder that exists and that you may write to");
            assert_eq!(files_in(place.path()), [&*file], "{start}: {run:#?}");
        }
    }
}

#[test]
fn n45_who_may_use_no_probes_is_told_what_there_is_in_procdumps_dialect() {
    let public = public_folder();
    let own = folder_of_nobody(&public);
    let program = public_copy(&public, Path::new(env!("CARGO_BIN_EXE_firstchance")));
    let throws = public_copy(&public, &compile(&Program::cpp("throws.cpp")));
    let mut starter = Command::new(NOBODY[0]);
    let starter = starter.args(&NOBODY[1..]).arg(throws);
    let child = Child::start(starter.args(["1", "1", "wait"]));
    assert_eq!(child.line(), "ready");
    let running = Firstchance::copy_by(NOBODY, &program)
        .args(&["procdump", "-e", "1", "-f", "NotFound"])
        .args(&[&child.pid().to_string()])
        .current_dir(&own)
        .spawn()
        .until_it_says("uprobes cannot be used here");
    running.signal(libc::SIGINT);
    let run = running.finish();
    run.assert_code(7);
    run.assert_says("or use `firstchance watch … --unsafe-breakpoints`, with");
}

/// As with any other target: what costs it something is no part of the header.
#[test]
fn n46_the_header_of_a_program_that_x_starts_comes_first() {
    for words in [
        &["procdump", "-t", "-x"][..],
        &["procdump", "--linux", "-t", "-x"],
    ] {
        let dumps = folder();
        let program = ["sh", "-c", "exit 0"];
        let run = Firstchance::new(words)
            .arg(dumps.path())
            .args(&program)
            .run();
        let at = |text: &str| run.stdout.find(text).unwrap_or_else(|| panic!("{run:#?}"));
        let first = at("Process:  ").min(at("["));
        assert_eq!(first, 0, "{run:#?}");
        assert!(
            at("Process:  ").max(at("Press Ctrl-C")) < at("Note: "),
            "{run:#?}"
        );
        assert!(at("Note: ") < at("Trigger: "), "{run:#?}");
    }
}
