//! Exceptions, signals, breakpoints and ends of real programs: how many are seen, under which names, and that
//! the program runs on as if nobody watched.

use std::{
    os::unix::{fs::FileExt as _, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{
    Child, Core, Firstchance, Program, Running, compile, cpu_ticks, file_in, files_in, folder,
    judge, proc_status, slow_tests, wait_until,
};

const THROWS: Program = Program::cpp("throws.cpp");

/// Starts a program that throws `count` exceptions in each of `threads` threads after it was given a line.
fn throws(count: u32, threads: u32, end: &str) -> Child {
    let (count, threads) = (count.to_string(), threads.to_string());
    let child = Child::that_crashes(compile(&THROWS), &[&count, &threads, end]);
    assert_eq!(child.line(), "ready");
    child
}

/// Starts a watch of the program with JSON output, and waits until everything is armed.
fn watch(child: &Child, when: &[&str], what: &str, count: &str, to: &Path) -> Running {
    let mut command = Firstchance::new(&["watch", "--json", &child.pid().to_string()]);
    for condition in when {
        command = command.args(&["--when", condition]);
    }
    command
        .args(&["--do", what, "-n", count, "-o"])
        .arg(to)
        .spawn()
        .until_it_says("\"event\":\"armed\"")
}

fn dumps(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    files_in(folder.path())
}

#[test]
fn every_throw_is_counted_and_none_is_felt() {
    let folder = folder();
    let mut child = throws(50, 4, "exit");
    let running = watch(
        &child,
        &["exception first chance"],
        "none",
        "0",
        folder.path(),
    );
    child.tell("go");
    assert_eq!(child.line(), "caught 600");
    assert_eq!(child.wait().code(), Some(3));
    let run = running.finish();
    for name in ["CXX.NotFound", "CXX.Plain", "CXX.int"] {
        assert_eq!(run.count_of(name), 200, "{name}: {run:#?}");
        let firsts = run.events("first-stack");
        let mut first = firsts.iter().filter(|first| first["name"] == name);
        let frames = first.next().expect("a stack")["frames"].to_string();
        assert!(
            frames.contains("__cxa_throw") && frames.contains("throw_each"),
            "{frames}"
        );
        assert!(first.next().is_none(), "{firsts:?}");
    }
}

/// The table of exceptions is also shown if the program goes on.
#[test]
fn the_end_of_a_watch_shows_what_was_thrown_and_from_where() {
    let folder = folder();
    let mut child = throws(50, 1, "wait");
    let wanted = "exception \"NotFound\" first chance";
    let running = watch(&child, &[wanted], "none", "0", folder.path());
    child.tell("go");
    assert_eq!(child.line(), "caught 150");
    let running = running.until_it_says("first-stack");
    running.signal(libc::SIGINT);
    let run = running.finish();
    assert_eq!(run.count_of("CXX.NotFound"), 50, "{run:#?}");
    let table = &run.events("exceptions")[0]["table"][0];
    assert!(table["first"].as_str() <= table["last"].as_str(), "{table}");
    assert_eq!(run.events("first-stack").len(), 1);
}

#[test]
fn a_filter_takes_the_throws_it_names_and_what_derives_from_them() {
    for (filter, reason) in [
        ("exception \"NotFound\"", "CXX.NotFound (\"order 0\")"),
        ("exception = \"std::out_of_range\"", "CXX.NotFound"),
        ("exception \"order 1\" first chance", "order 1"),
    ] {
        let folder = folder();
        let mut child = throws(5, 1, "exit");
        let path = folder.path().join("x.dmp");
        let running = watch(&child, &[filter], "mini dump", "1", &path);
        child.tell("go");
        assert_eq!(child.line(), "caught 15");
        assert_eq!(child.wait().code(), Some(3));
        let run = running.finish();
        run.assert_code(0);
        let told = run.events("dump");
        assert_eq!(told.len(), 1, "{filter}: {run:#?}");
        assert!(
            told[0]["reason"].as_str().expect("text").contains(reason),
            "{run:#?}"
        );
        assert_eq!(dumps(&folder).len(), 1);
    }
}

#[test]
fn the_dump_of_a_throw_stands_at_the_throw() {
    let folder = folder();
    let mut child = throws(3, 2, "exit");
    let path = folder.path().join("x.core");
    let running = watch(&child, &["exception \"NotFound\""], "full dump", "1", &path);
    child.tell("go");
    assert_eq!(child.line(), "caught 18");
    running.finish().assert_code(0);
    let frames = Core::new(&path, &compile(&THROWS)).gdb(&["backtrace"]);
    assert!(
        frames.contains("__cxa_throw") && frames.contains("throw_each"),
        "{frames}"
    );
    let inspected = Firstchance::new(&["inspect"]).arg(&path).run_well();
    assert!(
        inspected.stdout.contains("CXX.NotFound (\"order "),
        "{}",
        inspected.stdout
    );
    assert_eq!(proc_status(child.pid(), "TracerPid").as_deref(), Some("0"));
}

#[test]
fn a_crash_is_dumped_once_and_the_program_dies_of_it_as_it_would() {
    for (end, signal, name) in [
        ("segv", libc::SIGSEGV, "SIGSEGV.SEGV_MAPERR"),
        ("abort", libc::SIGABRT, "SIGABRT.SI_TKILL"),
        (
            "throw",
            libc::SIGABRT,
            "CXX.std::runtime_error (\\\"nobody catches me\\\")",
        ),
    ] {
        let folder = folder();
        let mut child = throws(2, 2, end);
        let path = folder.path().join("x.core");
        let running = watch(&child, &["unhandled exception"], "full dump", "5", &path);
        child.tell("go");
        assert_eq!(child.line(), "caught 12");
        assert_eq!(child.wait().signal(), Some(signal), "{end}");
        let run = running.finish();
        assert_eq!(dumps(&folder), std::slice::from_ref(&path), "{run:#?}");
        assert!(
            run.stdout.contains(&format!("Unhandled exception: {name}")),
            "{run:#?}"
        );
        let seen = Core::new(&path, &compile(&THROWS)).gdb(&["backtrace", "info signals SIGSEGV"]);
        assert!(
            seen.contains("end (how=") || seen.contains(" main ("),
            "{seen}"
        );
    }
}

/// Without an attachment. The program is gone before it is dumped, so that its supervisor need not wait.
#[test]
fn a_crash_is_dumped_from_what_is_kept_of_a_program_that_nobody_traces() {
    let folder = folder();
    let mut child = throws(1, 2, "segv");
    let path = folder.path().join("x.core");
    let running = Firstchance::new(&["watch", "--json", &child.pid().to_string()])
        .args(&["--when", "unhandled exception", "--do", "full dump", "-o"])
        .arg(&path)
        .failpoint("before-stop:stop")
        .spawn()
        .until_it_says("\"event\":\"armed\"");
    assert_eq!(proc_status(child.pid(), "TracerPid").as_deref(), Some("0"));
    child.tell("go");
    assert_eq!(child.wait().signal(), Some(libc::SIGSEGV));
    running.signal(libc::SIGCONT);
    running.finish_through_stops().assert_code(0);
    let seen = Core::new(&path, &compile(&THROWS)).gdb(&["backtrace"]);
    assert!(
        seen.contains("end (how=") || seen.contains(" main ("),
        "{seen}"
    );
}

#[test]
fn a_program_that_ends_by_itself_is_no_crash() {
    for (end, code) in [("exit", 3), ("_exit", 4)] {
        let folder = folder();
        let mut child = throws(1, 1, end);
        let path = folder.path().join("x.core");
        let running = watch(&child, &["breakpoint exit"], "full dump", "1", &path);
        child.tell("go");
        assert_eq!(child.line(), "caught 3");
        assert_eq!(child.wait().code(), Some(code));
        running.finish().assert_code(0);
        assert_eq!(dumps(&folder), [path]);
        let folder = self::folder();
        let mut child = throws(1, 1, end);
        let place = folder.path().join("y.core");
        let running = watch(&child, &["unhandled exception"], "full dump", "1", &place);
        child.tell("go");
        assert_eq!(child.wait().code(), Some(code));
        running.finish().assert_code(5);
        assert_eq!(dumps(&folder), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_breakpoint_on_a_function_is_met_and_passed() {
    let folder = folder();
    let mut child = throws(1, 3, "exit");
    let path = folder.path().join("x.core");
    let exe = compile(&THROWS);
    let module = exe
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let running = watch(
        &child,
        &[&format!("breakpoint {module}!throw_each")],
        "full dump",
        "1",
        &path,
    );
    child.tell("go");
    assert_eq!(child.line(), "caught 9");
    assert_eq!(child.wait().code(), Some(3));
    running.finish().assert_code(0);
    let frames = Core::new(&path, &exe).gdb(&["backtrace 1"]);
    assert!(frames.contains("throw_each"), "{frames}");
}

/// Starts a program that prints a line when it has handled SIGUSR1, and ends with 6 after the second time.
fn handles_signals() -> Child {
    let script = "import signal,sys\ndef h(n,f): print('handled', flush=True)\n\
                  signal.signal(signal.SIGUSR1, h)\nprint('ready', flush=True)\n\
                  [signal.pause() for _ in range(2)]\nsys.exit(6)";
    let child = Child::start(Command::new("python3").args(["-c", script]));
    assert_eq!(child.line(), "ready");
    child
}

/// The word is in the name of the file, in the JSON events, in the record and in the list of dumps.
#[test]
fn a_dump_says_in_a_word_what_set_it_off() {
    let folder = folder();
    let child = handles_signals();
    let template = folder.path().join("TRIGGER_PID.dmp");
    let running = watch(&child, &["signal SIGUSR1"], "mini dump", "1", &template);
    child.signal(libc::SIGUSR1);
    assert_eq!(child.line(), "handled");
    let run = running.finish();
    run.assert_code(0);
    let path = folder.path().join(format!("signal_{}.dmp", child.pid()));
    assert_eq!(dumps(&folder), std::slice::from_ref(&path));
    assert_eq!(run.events("dump")[0]["trigger"], "signal", "{run:#?}");
    let record = Firstchance::new(&["inspect"]).arg(&path).args(&["record"]);
    let record = record.run_well().stdout;
    let mut lines = record.lines().map(|line| line.split_whitespace());
    assert!(lines.any(|line| line.eq(["trigger", "signal"])), "{record}");
    let list = |text| {
        let list = Firstchance::new(&["dumps", "list", "--json", "--signature", text, "--folder"]);
        list.arg(folder.path()).run_well().stdout
    };
    assert!(list("signal").contains("\"trigger\":\"signal\""));
    assert_eq!(list("exception").trim(), "");
}

#[test]
fn a_signal_is_seen_with_its_sender_and_still_handled() {
    let folder = folder();
    let mut child = handles_signals();
    let path = folder.path().join("x.dmp");
    let running = watch(&child, &["signal SIGUSR1"], "mini dump", "1", &path);
    child.signal(libc::SIGUSR1);
    assert_eq!(child.line(), "handled");
    let run = running.finish();
    run.assert_code(0);
    let sender = format!("Signal: SIGUSR1 from process {}", std::process::id());
    assert!(run.stdout.contains(&sender), "{run:#?}");
    child.signal(libc::SIGUSR1);
    assert_eq!(child.line(), "handled");
    assert_eq!(child.wait().code(), Some(6));
}

#[test]
fn run_sees_the_very_first_throw_and_a_library_that_is_loaded_later() {
    let folder = folder();
    let path = folder.path().join("x.dmp");
    let run = Firstchance::new(&["run", "--when", "exception \"NotFound\"", "-n", "1", "-o"])
        .arg(&path)
        .arg("--")
        .arg(compile(&THROWS))
        .args(&["1", "1", "exit-now"])
        .run();
    run.assert_code(0);
    assert!(
        run.stdout.contains("CXX.NotFound (\"order 0\")"),
        "{run:#?}"
    );
    assert_eq!(dumps(&folder), [path]);
}

#[test]
fn a1_a_watch_that_is_killed_at_an_exception_leaves_the_program_as_it_was() {
    for point in [
        "stopped:kill9",
        "all-stopped:kill9",
        "copy:kill9",
        "released:kill9",
    ] {
        let folder = folder();
        let mut child = throws(20, 2, "wait");
        let path = folder.path().join("x.core");
        let running = Firstchance::new(&["watch", "--json", &child.pid().to_string()])
            .args(&[
                "--when",
                "exception \"NotFound\"",
                "--do",
                "full dump",
                "-o",
            ])
            .arg(&path)
            .failpoint(point)
            .spawn()
            .until_it_says("\"event\":\"armed\"");
        child.tell("go");
        assert_eq!(child.line(), "caught 120", "{point}");
        assert_eq!(running.finish().signal, Some(libc::SIGKILL), "{point}");
        assert_eq!(proc_status(child.pid(), "TracerPid").as_deref(), Some("0"));
        assert_code_is_its_files(child.pid());
    }
}

#[test]
fn a1_a_watch_that_is_killed_at_a_crash_leaves_the_crash_as_it_was() {
    for point in ["before-stop:kill9", "copy:kill9"] {
        let folder = folder();
        let mut child = throws(1, 1, "segv");
        let path = folder.path().join("x.core");
        let running = Firstchance::new(&["watch", "--json", &child.pid().to_string()])
            .args(&["--when", "unhandled exception", "--do", "full dump", "-o"])
            .arg(&path)
            .failpoint(point)
            .spawn()
            .until_it_says("\"event\":\"armed\"");
        child.tell("go");
        assert_eq!(child.wait().signal(), Some(libc::SIGSEGV), "{point}");
        assert_eq!(running.finish().signal, Some(libc::SIGKILL), "{point}");
    }
}

#[test]
fn nothing_is_left_in_a_program_that_is_no_longer_watched() {
    let folder = folder();
    let mut child = throws(5, 1, "exit");
    let path = folder.path().join("x.dmp");
    let running = watch(
        &child,
        &["exception \"NotFound\"", "unhandled exception"],
        "mini dump",
        "1",
        &path,
    );
    running.signal(libc::SIGINT);
    running.finish();
    let traced = || proc_status(child.pid(), "TracerPid").is_some_and(|tracer| tracer != "0");
    wait_until("it is let go", || !traced());
    assert_code_is_its_files(child.pid());
    child.tell("go");
    assert_eq!(child.line(), "caught 15");
    assert_eq!(child.wait().code(), Some(3));
}

/// Asserts that the code of every library in memory is that of its file, so that no probe is left in it.
fn assert_code_is_its_files(pid: u32) {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it lives");
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("it lives");
    let code = maps
        .lines()
        .filter(|line| line.contains(" r-xp ") && line.contains(".so"));
    let number = |text: &str| u64::from_str_radix(text, 16).expect("a number");
    for line in code {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (start, end) = fields[0].split_once('-').expect("a range");
        let mut here = vec![0; (number(end) - number(start)) as usize];
        memory
            .read_exact_at(&mut here, number(start))
            .expect("its code");
        let file = std::fs::File::open(fields[5]).expect("its file");
        let mut there = vec![0; here.len()];
        let got = file
            .read_at(&mut there, number(fields[2]))
            .expect("its code");
        assert!(here[..got] == there[..got], "{line}");
    }
}

#[test]
fn a_storm_is_counted_and_sampled_and_the_program_goes_on() {
    let folder = folder();
    let mut child = throws(100_000, 2, "exit");
    let running = watch(
        &child,
        &["exception = \"Plain\" first chance"],
        "none",
        "0",
        folder.path(),
    );
    child.tell("go");
    assert_eq!(child.line(), "caught 600000");
    assert_eq!(child.wait().code(), Some(3));
    let run = running.finish();
    let storms = run.events("storm");
    assert!(
        storms.iter().any(|storm| storm["active"] == true),
        "{storms:?}"
    );
    assert_eq!(run.count_of("CXX.Plain"), 200_000);
    let shown = run.events("log").len();
    assert!(shown < 20_000, "{shown} of them were shown one by one");
}

#[test]
fn a1_killed_at_random_moments_among_many_throws_the_program_lives() {
    /// With probes alone, with tracing as well, and with a breakpoint that is reached thousands of times.
    const RULES: [[&str; 2]; 3] = [
        ["exception \"order 77\"", "unhandled exception"],
        ["exception \"order 77\"", "exit"],
        ["breakpoint libstdc++!__cxa_begin_catch", "thread start"],
    ];
    let kills = if slow_tests() { 500 } else { 60 };
    let folder = folder();
    let mut child = throws(100_000_000, 2, "exit");
    child.tell("go");
    let pid = child.pid().to_string();
    for round in 0..kills {
        let [one, other] = RULES[round % RULES.len()];
        let path = folder.path().join(format!("{round}.core"));
        let running = Firstchance::new(&["watch", "--json", &pid, "-n", "0", "-o"])
            .arg(&path)
            .args(&["--when", one, "--when", other])
            .spawn();
        // At any moment between the first steps of the program and the middle of its work.
        std::thread::sleep(std::time::Duration::from_millis(round as u64 * 7 % 300));
        running.signal(libc::SIGKILL);
        running.finish();
        let state = crate::support::state_of(child.pid());
        assert!(!"ZXtT".contains(state), "{state} after round {round}");
    }
    let tracer = || proc_status(child.pid(), "TracerPid");
    wait_until("nobody traces it", || tracer().as_deref() == Some("0"));
    let before = cpu_ticks(child.pid());
    wait_until("it works on", || cpu_ticks(child.pid()) > before);
}

#[test]
fn python_go_and_node_are_named_when_nobody_catches() {
    let script = "import sys\nprint('ready',flush=True)\nsys.stdin.readline()\n\
                  class Missing(KeyError): pass\nraise Missing('no such key')";
    let js = "console.log('ready'); process.stdin.once('data', () => { throw new Error('x') })";
    let programs: [(&[&str], &str, i32); 2] = [
        (&["python3", "-c", script], "PYTHON.Missing", 1),
        (&["node", "-e", js], "NODE.uncaught", 1),
    ];
    for (command, name, code) in programs {
        let folder = folder();
        let mut child = Child::start(Command::new(command[0]).args(&command[1..]));
        assert_eq!(child.line(), "ready");
        let path = folder.path().join("x.dmp");
        let running = watch(&child, &["unhandled exception"], "mini dump", "2", &path);
        child.tell("go");
        assert_eq!(child.wait().code(), Some(code), "{name}");
        let run = running.finish();
        assert!(
            run.stdout.contains(&format!("Unhandled exception: {name}")),
            "{run:#?}"
        );
        assert_eq!(dumps(&folder), [path], "{run:#?}");
    }
}

/// While a thread is held for its exception, no facts about the machine are read, which would take time.
#[test]
fn no_file_about_the_machine_is_read_at_an_exception() {
    const FAULTS: Program = Program::c("faults.c");
    judge("strace", "strace");
    let folder = folder();
    let log = folder.path().join("calls");
    let mut child = Child::that_crashes(compile(&FAULTS), &["200"]);
    assert_eq!(child.line(), "ready");
    let log_text = log.to_str().expect("a plain path");
    let calls = ["strace", "-f", "-e", "trace=open,openat", "-o", log_text];
    let running = Firstchance::by(&calls)
        .args(&["watch", "--json", &child.pid().to_string()])
        .args(&[
            "--when",
            "exception first chance",
            "--do",
            "none",
            "-n",
            "0",
        ])
        .spawn()
        .until_it_says("\"event\":\"armed\"");
    let before = std::fs::read_to_string(&log).expect("strace's log").len();
    child.tell("go");
    assert_eq!(child.line(), "handled 200");
    let run = running.finish();
    assert_eq!(run.count_of("SIGSEGV.SEGV_MAPERR"), 200, "{run:#?}");
    let calls = std::fs::read_to_string(&log).expect("strace's log");
    let machine = [
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/proc/uptime",
        "/etc/os-release",
    ];
    let is_machine = |line: &&str| machine.iter().any(|file| line.contains(file));
    let read: Vec<&str> = calls[before..].lines().filter(is_machine).collect();
    assert!(read.is_empty(), "{} times: {:?}", read.len(), read.first());
}

/// The exception that nobody caught is what the crash is called; the signal is delivered all the same.
#[test]
fn n23_the_signal_of_an_uncaught_exception_is_met() {
    let folder = folder();
    let mut child = throws(1, 1, "throw");
    let running = watch(&child, &["signal SIGABRT"], "mini dump", "1", folder.path());
    child.tell("go");
    assert_eq!(child.wait().signal(), Some(libc::SIGABRT));
    let run = running.finish();
    run.assert_code(0);
    assert_eq!(run.events("dump").len(), 1, "{run:#?}");
}

/// The rule is over with the stack that it asks for. Its thread has a stack with names though no rule is about images.
/// Tracing tells both chances of the fault, and the kernel the death.
#[test]
fn n16_each_chance_of_a_fault_that_ends_a_traced_process_is_dumped_once() {
    let (programs, folder) = (folder(), folder());
    let name = format!("faults{}", std::process::id());
    let program = file_in(&programs, &name);
    std::fs::copy("/bin/sh", &program).expect("a copy");
    let script = "echo ready; read line; kill -SEGV $$";
    let mut child = Child::start(Command::new(&program).args(["-c", script]));
    assert_eq!(child.line(), "ready");
    let running = Firstchance::new(&["watch", "--json", "--wait", "--all", &name])
        .args(&["--when", "exception", "--when", "unhandled exception"])
        .args(&["-n", "0", "-o"])
        .arg(folder.path())
        .spawn()
        .until_it_says("\"event\":\"armed\"");
    child.tell("");
    // It waits for other processes of that name, and is ended when this one's end was told.
    let running = running.until_it_says("\"event\":\"exited\"");
    running.signal(libc::SIGINT);
    let run = running.finish();
    let dumps = run.events("dump").into_iter();
    let reasons: Vec<_> = dumps.map(|dump| dump["reason"].to_string()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?} {run:#?}");
    assert_ne!(reasons[0], reasons[1], "{run:#?}");
}

#[test]
fn n30_the_last_stack_of_a_rule_is_told_and_the_first_of_an_exception_has_names() {
    let folder = folder();
    let mut child = throws(1, 1, "segv");
    let running = watch(&child, &["signal SIGSEGV"], "log stack", "1", folder.path());
    child.tell("go");
    child.wait();
    let run = running.finish();
    run.assert_code(0);
    for kind in ["stack", "first-stack"] {
        let told = run.events(kind);
        assert_eq!(told.len(), 1, "{run:#?}");
        assert!(told[0].to_string().contains("!main"), "{run:#?}");
    }
}
