//! Conditions on the real machine: which are met, how often, and that the target lives on.

use std::{io::Read, net::TcpListener, process::Command};

use crate::support::{
    Child, Core, Firstchance, Victim, file_in, files_in, folder, proc_status, victim_exe,
    wait_until,
};

fn watch(pid: &str, when: &str, options: &[&str], folder: &tempfile::TempDir) -> Firstchance {
    let place = format!("{}/", folder.path().display());
    Firstchance::new(&["watch", pid, "--when", when, "-o", &place]).args(options)
}

#[test]
fn a_cpu_trigger_fires_on_a_program_that_spins_and_not_on_one_that_idles() {
    let folder = folder();
    let mut spinning = Victim::start(&["spin", "1"]);
    let fast = ["--poll", "100ms"];
    let run = watch(
        &spinning.pid_text(),
        "core-cpu > 5% for 300ms",
        &fast,
        &folder,
    )
    .run_well();
    assert!(run.stdout.contains("Dump count reached."), "{run:#?}");
    assert_eq!(files_in(folder.path()).len(), 1);
    spinning.assert_alive();
    spinning.assert_untraced();
    let idle = Victim::start(&["idle"]);
    let options = ["--poll", "100ms", "--when", "every 1s"];
    let run = watch(
        &idle.pid_text(),
        "core-cpu > 50% for 300ms",
        &options,
        &folder,
    )
    .run_well();
    assert!(run.stdout.contains("Trigger: every 1s"), "{run:#?}");
}

#[test]
fn memory_threads_and_descriptors_are_seen_with_their_figures() {
    let mut victim = Victim::start(&["threads", "20"]);
    for (when, shown) in [
        ("threads >= 21", "threads >= 21: 21"),
        ("memory > 1KiB", "memory > 1KiB: "),
        (
            "rss > 1KiB and virtual > 1KiB",
            "rss > 1KiB and virtual > 1KiB: ",
        ),
        ("handles > 2", "handles > 2: "),
        (r#"counter "/proc/PID/status:Threads" = 21"#, ""),
        (r#"counter "\\Process(victim)\\Thread Count" > 20"#, ": 21"),
    ] {
        if shown.is_empty() {
            continue;
        }
        let folder = folder();
        let run = watch(&victim.pid_text(), when, &[], &folder).run_well();
        assert!(run.stdout.contains(shown), "{when}: {}", run.stdout);
        assert_eq!(files_in(folder.path()).len(), 1, "{when}");
    }
    victim.assert_alive();
}

#[test]
fn n25_a_counter_that_there_is_not_is_refused_at_the_beginning_with_what_there_is() {
    let folder = folder();
    let program = file_in(&folder, "has-no-such-counter");
    std::fs::copy(victim_exe(), &program).expect("a copy");
    let mut victim = Victim::start_by(Command::new(&program).arg("idle"));
    for (when, words) in [
        (r#"counter "/proc/PID/no-such-file:1" > 3"#, "No such file"),
        (
            r#"counter "/proc/meminfo:MemAvailible" > 3"#,
            "MemAvailable",
        ),
        (
            r#"counter "/proc/PID/stat:99/s" > 3"#,
            "no such line or column",
        ),
        (
            r#"threads > 100 and counter "memory.current" > 3"#,
            "cgroup/FILE",
        ),
        (
            r#"counter "\Process(*)\Handles" > 3"#,
            r"\Process(*)\Handle Count",
        ),
    ] {
        for target in [
            &["watch", &victim.pid_text()][..],
            &["watch", "has-no-such-counter", "--each"],
        ] {
            let command = Firstchance::new(target).args(&["--when", when, "-o"]);
            let run = command.arg(folder.path()).run();
            run.assert_code(1).assert_says(words);
            assert!(!run.stdout.contains("Press Ctrl-C"), "{run:#?}");
        }
    }
    let started = file_in(&folder, "started");
    let when = r#"counter "/proc/meminfo:MemAvailible" > 3"#;
    let command = Firstchance::new(&["run", "--when", when, "--", "touch"]);
    command.arg(&started).run().assert_code(1);
    assert!(!started.exists(), "the program must not be started");
    victim.assert_alive();
}

/// Nothing else is told until one starts, and the name may be mistyped.
#[test]
fn n43_it_is_told_which_processes_are_waited_for() {
    let next = "Waiting for the next process named nobody-starts-this to start.";
    let any = "Waiting for processes named nobody-starts-this: there is none yet.";
    let group = "Waiting for processes of the process group 4194303: there is none yet.";
    for (options, told) in [
        (&["nobody-starts-this", "--wait"][..], next),
        (&["nobody-starts-this", "--each"], any),
        (&["nobody-starts-this", "--all"], any),
        (&["group:4194303", "--all"], group),
    ] {
        let running = Firstchance::new(&["watch", "--when", "exit"])
            .args(options)
            .spawn()
            .until_it_says("Press Ctrl-C");
        assert_eq!(running.says(told), 1, "{options:?}");
        running.signal(2);
        running.finish().assert_code(7);
    }
    let victim = Victim::start(&["idle"]);
    let running = Firstchance::new(&["watch", "victim", "--each", "--when", "memory > 1TiB"]);
    let running = running.spawn().until_it_says("Press Ctrl-C");
    assert_eq!(running.says("Waiting"), 0);
    running.signal(2);
    running.finish().assert_code(7);
    drop(victim);
}

/// A process that starts later may have no value where others have.
#[test]
fn n25_a_counter_that_one_of_several_lacks_is_said() {
    let folder = folder();
    let program = file_in(&folder, "one-of-several");
    std::fs::copy(victim_exe(), &program).expect("a copy");
    let start = || Victim::start_by(Command::new(&program).arg("idle"));
    let (mut one, mut other) = (start(), start());
    let when = format!(
        "counter \"/proc/PID/task/{}/stat:4\" > 999999999",
        one.pid()
    );
    let dumps = tempfile::tempdir_in(folder.path()).expect("a folder");
    let running = watch(
        "one-of-several",
        &when,
        &["--each", "--poll", "100ms"],
        &dumps,
    )
    .spawn()
    .until_it_says("has no value here");
    running.signal(libc::SIGINT);
    let run = running.finish();
    let note = run
        .stdout
        .lines()
        .find(|line| line.contains("no value here"));
    assert!(
        note.expect("a note").contains(&other.pid_text()),
        "{run:#?}"
    );
    one.assert_alive();
    other.assert_alive();
}

#[test]
fn a_page_that_does_not_answer_is_seen() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/health", listener.local_addr().expect("bound"));
    let silent = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a probe");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let folder = folder();
    let mut victim = Victim::start(&["idle"]);
    let when = format!("http \"{url}\" slower than 300ms");
    let run = watch(&victim.pid_text(), &when, &["--poll", "100ms"], &folder).run_well();
    assert!(run.stdout.contains("slower than 300ms: "), "{run:#?}");
    silent.join().expect("the listener ends with the probe");
    victim.assert_alive();
}

#[test]
fn exit_dumps_all_threads_in_the_last_moment_and_the_status_stays() {
    let folder = folder();
    let path = file_in(&folder, "x.core");
    let run = Firstchance::new(&["run", "--when", "exit", "--do", "full dump", "-o"])
        .arg(&path)
        .args(&["--", "python3", "-c", EXITS_WITH_THREADS])
        .run_well();
    assert!(run.stdout.contains("exit code 7"), "{run:#?}");
    let core = Core::alone(&path);
    assert_eq!(core.threads().len(), 4);
}

const EXITS_WITH_THREADS: &str = "
import threading, os
go = threading.Event()
for i in range(3): threading.Thread(target=go.wait, daemon=True).start()
os._exit(7)
";

#[test]
fn a_program_that_ends_early_ends_the_watch_which_says_so() {
    let folder = folder();
    let mut child = Child::start(Command::new("sh").args(["-c", "echo ready; read line; exit 3"]));
    assert_eq!(child.line(), "ready");
    let running = watch(&child.pid().to_string(), "cpu > 99% for 1h", &[], &folder).spawn();
    wait_until("it is monitored", || is_monitored(running.pid()));
    child.tell("end");
    assert_eq!(child.wait().code(), Some(3));
    let run = running.finish();
    run.assert_code(5);
    assert!(run.stdout.contains("The process has exited"), "{run:#?}");
    assert!(run.stdout.contains("Dump count not reached."), "{run:#?}");
}

/// Whether the firstchance with this pid is monitoring: its main thread waits for events, which it does when
/// everything is set up, and so does the thread that learns of new processes.
pub(crate) fn is_monitored(pid: u32) -> bool {
    let waits_in = |task: &std::path::Path, place: &str| {
        std::fs::read_to_string(task.join("wchan")).is_ok_and(|wchan| wchan.contains(place))
    };
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter();
    let mut tasks = tasks.flatten().flatten().map(|task| task.path());
    let main = format!("/proc/{pid}/task/{pid}");
    waits_in(main.as_ref(), "futex") && tasks.any(|task| waits_in(&task, "epoll"))
}

#[test]
fn cancel_ends_every_monitor_and_leaves_the_target() {
    let folder = folder();
    let mut victim = Victim::start(&["idle"]);
    let start = || watch(&victim.pid_text(), "cpu > 99% for 1h", &[], &folder).spawn();
    let monitors = [start(), start()];
    for monitor in &monitors {
        wait_until("it is monitored", || is_monitored(monitor.pid()));
    }
    let run = Firstchance::new(&["cancel", &victim.pid_text()]).run_well();
    assert!(run.stdout.contains("2 monitors end"), "{run:#?}");
    for monitor in monitors {
        monitor.finish().assert_code(7);
    }
    victim.assert_alive();
    Firstchance::new(&["cancel", &victim.pid_text()])
        .run()
        .assert_code(3);
}

#[test]
fn ctrl_c_ends_a_watch_and_leaves_the_target() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let folder = folder();
        let mut victim = Victim::start(&["idle"]);
        let when = "cpu > 99% for 1h";
        let running = watch(&victim.pid_text(), when, &["--when", "exit"], &folder).spawn();
        let traced = || proc_status(victim.pid(), "TracerPid").is_some_and(|pid| pid != "0");
        wait_until("the end is watched", traced);
        running.signal(signal);
        running.finish().assert_code(7);
        wait_until("the target is let go", || {
            proc_status(victim.pid(), "TracerPid").is_some_and(|pid| pid == "0")
        });
        victim.assert_alive();
    }
}

#[test]
fn wait_takes_the_next_program_of_a_name_and_not_those_that_run() {
    let folder = folder();
    let program = file_in(&folder, "next-one");
    std::fs::copy(victim_exe(), &program).expect("a copy");
    let dumps = tempfile::tempdir_in(folder.path()).expect("a folder");
    let start = || Victim::start_by(Command::new(&program).arg("idle"));
    let earlier = start();
    let running = watch("next-one", "now", &["--wait"], &dumps).spawn();
    wait_until("it waits", || is_monitored(running.pid()));
    let later = start();
    let run = running.finish();
    run.assert_code(0);
    // Number 58.
    run.assert_says(&format!("Found process {}.", later.pid()));
    let shown = Firstchance::new(&["inspect"])
        .arg(&files_in(dumps.path())[0])
        .run_well();
    assert!(
        shown.stdout.contains(&format!("pid {}", later.pid())),
        "{}",
        shown.stdout
    );
    assert_ne!(earlier.pid(), later.pid());
}

/// Blocked and ignored signals are inherited: a program that waits for SIGCHLD would wait for ever.
#[test]
fn n55_a_program_that_was_launched_finds_signals_as_we_did() {
    let program = ["grep", "-E", "SigBlk|SigIgn", "/proc/self/status"];
    // The C library has the two signals from 32 on for itself.
    let masks = |text: &str| -> Vec<u64> {
        let lines = text.lines().filter(|line| line.starts_with("Sig"));
        let masks = lines.filter_map(|line| line.split_whitespace().nth(1));
        masks
            .map(|mask| u64::from_str_radix(mask, 16).expect("a mask") & 0x7fff_ffff)
            .collect()
    };
    let alone = Command::new(program[0]).args(&program[1..]).output();
    let alone = masks(&String::from_utf8_lossy(&alone.expect("grep").stdout));
    assert_eq!(alone.len(), 2);
    for condition in ["memory > 10GiB", "unhandled exception"] {
        let run = Firstchance::new(&["run", "--when", condition, "--"])
            .args(&program)
            .run();
        assert_eq!(masks(&run.stdout), alone, "{run:#?}");
    }
}

/// However soon it ends.
#[test]
fn n58_the_end_of_a_program_that_was_launched_is_told_with_its_code() {
    for _ in 0..20 {
        let run = Firstchance::new(&["run", "--json", "--when", "core-cpu > 99999%", "--"])
            .args(&["sh", "-c", "exit 9"])
            .run();
        assert_eq!(run.events("watching").len(), 1, "{run:#?}");
        let exited = run.events("exited");
        assert_eq!(exited.len(), 1, "{run:#?}");
        assert_eq!(exited[0]["status"], 9, "{run:#?}");
    }
}

/// It had ended before its dump was begun, each time.
#[test]
fn n45_a_program_that_ends_at_once_is_dumped_when_it_is_started() {
    for words in [
        &["run", "--when", "now", "-o"][..],
        &["procdump", "-ma", "-x"],
        &["procdump", "--linux", "-x"],
    ] {
        let folder = folder();
        let run = Firstchance::new(words).arg(folder.path());
        let run = match words[0] {
            "run" => run.args(&["--", "/bin/true"]),
            _ => run.args(&["/bin/true"]),
        };
        let run = run.run_well();
        assert_eq!(files_in(folder.path()).len(), 1, "{words:?}: {run:#?}");
        assert!(!run.stdout.contains("seen by tracing"), "{run:#?}");
    }
}

#[test]
fn n58_the_program_of_an_interpreter_is_in_the_name_of_its_dump() {
    let folder = folder();
    let script = file_in(&folder, "worker.py");
    std::fs::write(&script, "print('ready', flush=True)\ninput()\n").expect("a script");
    let child = Child::start(Command::new("python3").arg("-u").arg(&script));
    assert_eq!(child.line(), "ready");
    let dumps = tempfile::tempdir_in(folder.path()).expect("a folder");
    Firstchance::dump(child.pid(), &[], dumps.path()).run_well();
    let file = files_in(dumps.path()).remove(0);
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.contains("-worker.py_"), "{name}");
}

#[test]
fn a_series_of_a_rule_file_is_ten_minis_and_then_a_full() {
    let folder = folder();
    let dumps = file_in(&folder, "dumps");
    std::fs::create_dir(&dumps).expect("a folder");
    let mut victim = Victim::start(&["idle"]);
    let rules = file_in(&folder, "rules.toml");
    let text = format!(
        "[[rule]]\nname = \"slow\"\ntarget = \"{}\"\nfolder = \"{}\"\nmax-dumps = 11\n\
         [[rule.on]]\nwhen = \"threads > 0\"\ndo = \"triage dump\"\n\
         series = {{ count = 10, every = \"10ms\", then = \"full dump\" }}\n",
        victim.pid(),
        dumps.display()
    );
    std::fs::write(&rules, text).expect("a file");
    let run = Firstchance::new(&["watch", "--rules"])
        .arg(&rules)
        .run_well();
    let files = files_in(&dumps);
    let of = |ending: &str| {
        files
            .iter()
            .filter(|f| f.extension().is_some_and(|e| e == ending))
            .count()
    };
    assert_eq!((of("dmp"), of("core")), (10, 1), "{run:#?}");
    victim.assert_alive();
}

#[test]
fn g4_rules_that_everybody_may_write_are_refused_and_wrong_ones_name_the_place() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let rules = file_in(&folder, "rules.toml");
    std::fs::write(&rules, "[[rule]]\ntarget = \"x\"\nwhenn = 1\n").expect("a file");
    Firstchance::new(&["watch", "--rules"])
        .arg(&rules)
        .run()
        .assert_code(2)
        .assert_says("line 3");
    std::fs::set_permissions(&rules, std::fs::Permissions::from_mode(0o666)).expect("ours");
    let run = Firstchance::new(&["watch", "--rules"]).arg(&rules).run();
    run.assert_code(4).assert_says("everybody may write");
}

#[test]
fn json_streams_one_object_an_event() {
    let folder = folder();
    let victim = Victim::start(&["idle"]);
    let run = watch(&victim.pid_text(), "threads > 0", &["--json"], &folder).run_well();
    let events: Vec<serde_json::Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let names: Vec<&str> = events
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect();
    for name in ["watching", "trigger", "dump", "rule-finished", "end"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
}

#[test]
fn an_option_that_run_does_not_have_is_not_taken_for_the_program() {
    let run = Firstchance::new(&["run", "--full", "--", "true"]).run();
    run.assert_code(2).assert_says("--full");
    let run = Firstchance::new(&["run", "--when", "exit", "--", "/no/such/program"]).run();
    run.assert_failed().assert_says("/no/such/program");
}

#[test]
fn what_explain_prints_is_a_file_of_rules() {
    let folder = folder();
    let words = ["explain", "procdump", "-ma", "-n", "2", "-c", "85", "1234"];
    let told = Firstchance::new(&words).run_well().stdout;
    let file = file_in(&folder, "rules.toml");
    std::fs::write(&file, &told).unwrap();
    let again = Firstchance::new(&["explain", "--rules"]).arg(&file);
    assert_eq!(again.run_well().stdout, told);
}

#[test]
fn the_line_of_json_of_a_dump_names_each_thing_once() {
    let victim = Victim::start(&["idle"]);
    let folder = folder();
    let run = Firstchance::dump(victim.pid(), &["--json"], &file_in(&folder, "a.dmp")).run_well();
    assert_eq!(run.stdout.matches("\"kind\":").count(), 1, "{run:#?}");
}

#[test]
fn b20_a_watch_that_is_not_permitted_ends_and_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), everybody).expect("ours");
    let mut victim = Victim::start(&["idle"]);
    for when in ["threads > 0", "exit"] {
        let run = Firstchance::by(crate::dump_refuse::NOBODY)
            .args(&["watch", &victim.pid_text(), "--when", when, "-o", "x.dmp"])
            .current_dir(folder.path())
            .run();
        run.assert_code(4).assert_says("Run firstchance as root");
    }
    victim.assert_alive();
}

#[test]
fn run_wants_to_know_when() {
    Firstchance::new(&["run", "--", "true"])
        .run()
        .assert_code(2)
        .assert_says("say when");
}

/// Its first thread has ended, another one lives on and uses a processor.
#[test]
fn n21_a_process_without_its_first_thread_is_watched_like_any_other() {
    for condition in [
        "threads > 0",
        "rss > 1MiB",
        "cpu > 1%",
        "handles > 0",
        "exit",
    ] {
        let folder = folder();
        let mut victim = Victim::start(&["zombie-leader"]);
        assert_eq!(victim.letter(), 'Z');
        let listed = Firstchance::new(&["ps", "--json"]).run_well();
        let listed: serde_json::Value = serde_json::from_str(&listed.stdout).expect("JSON");
        let mut rows = listed.as_array().expect("rows").iter();
        let row = rows.find(|row| row["pid"] == victim.pid()).expect("a row");
        assert!(row["resident-bytes"].as_u64() > Some(1 << 20), "{row}");
        assert!(row["handles"].as_u64() > Some(0), "{row}");
        let mut running = Firstchance::new(&["watch", "--json", &victim.pid_text(), "--when"])
            .args(&[condition, "--poll", "100ms", "-n", "1", "-o"])
            .arg(folder.path())
            .spawn();
        if condition == "exit" {
            running = running.until_it_says("\"event\":\"armed\"");
            victim.kill_without_waiting();
        }
        let run = running.finish();
        run.assert_code(0);
        assert_eq!(run.events("dump").len(), 1, "{condition}: {run:#?}");
    }
}

/// Before anything is made or shown: a child that fails to start would have to be waited for beside its tracer.
#[test]
fn n43_a_program_that_cannot_be_started_is_told_in_a_sentence() {
    for (program, code, why) in [
        ("no-such-program-anywhere", 1, "No such file"),
        ("/no/such/program", 1, "No such file"),
        ("/etc/passwd", 4, "Permission denied"),
        ("/tmp", 4, "Permission denied"),
    ] {
        let run = Firstchance::new(&["run", "--when", "exit", program]).run();
        run.assert_code(code)
            .assert_says(&format!("starting {program} failed: {why}"));
        assert_eq!(run.stdout, "", "{run:#?}");
    }
}

/// `2>&1 | head` is often typed.
#[test]
fn n43_an_error_that_nobody_reads_keeps_its_exit_code() {
    let line = r#"(sleep 0.3; exec "$0" inspect /no/such/dump 2>&1) | true; exit ${PIPESTATUS[0]}"#;
    let mut shell = Command::new("bash");
    let shell = shell.args(["-c", line, env!("CARGO_BIN_EXE_firstchance")]);
    assert_eq!(shell.status().expect("bash").code(), Some(6));
}
