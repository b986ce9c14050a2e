//! Dumps of ProcDump's command line that cannot succeed: when they end the run, and with which exit code.

use std::os::unix::{fs::symlink, process::CommandExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::procdump_linux::{group_of_two, is_traced, linux, named, names_in};
use crate::support::{
    Child, DEADLINE, Firstchance, Running, Tmpfs, Victim, file_in, files_in, folder, proc_status,
    state_of, wait_until,
};

/// Long for a command that ends, and short for one that tries again for ever.
const SOON: Duration = Duration::from_secs(20);

fn windows(line: &str) -> Firstchance {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let command = Firstchance::new(&["procdump"]).args(&words);
    command.deadline(SOON)
}

#[test]
fn n45_a_disk_without_room_ends_a_dump_that_no_trigger_asks_for() {
    let victim = Victim::start(&["leak", "20"]);
    let small = Tmpfs::new("1m");
    for command in [
        linux(""),
        linux("-n 2 -s 1"),
        linux("-m 1 -s 1"),
        linux("-tc 1 -n 3 -s 1"),
        windows("-ma"),
        windows("-ma -n 2 -s 1"),
    ] {
        let run = command.args(&[&victim.pid_text()]).arg(small.path()).run();
        run.assert_code(6);
        assert_eq!(run.stdout.matches("MB free").count(), 1, "{run:#?}");
        // In ProcDump, -o is another switch.
        assert!(!run.stdout.contains("-o"), "{run:#?}");
        assert!(files_in(small.path()).is_empty());
    }
}

#[test]
fn n45_a_dump_of_a_trigger_is_tried_again_where_procdump_for_windows_would() {
    let victim = Victim::start(&["leak", "20"]);
    let small = Tmpfs::new("1m");
    let running = windows("-ma -m 1 -s 1")
        .args(&[&victim.pid_text()])
        .arg(small.path())
        .spawn();
    let running = running.until_it_says_often("Dump 1 error", 2);
    running.signal(2);
    running.finish().assert_code(7);
}

#[test]
fn n45_a_limit_of_the_size_of_files_ends_the_run() {
    let victim = Victim::start(&["leak", "20"]);
    let dumps = folder();
    let run = Firstchance::by(&["prlimit", "--fsize=100000"])
        .args(&["procdump", "--linux", &victim.pid_text()])
        .arg(dumps.path())
        .deadline(SOON)
        .run();
    run.assert_code(6);
    assert!(files_in(dumps.path()).is_empty());
}

/// What makes something else of the name that the dump is to have.
type Make = fn(&Path);

#[test]
fn n45_what_no_file_can_replace_ends_the_run() {
    let victim = Victim::start(&["idle"]);
    let makers: [(&str, Make); 3] = [
        ("folder", |at| std::fs::create_dir(at).expect("a folder")),
        ("link", |at| symlink("elsewhere", at).expect("a link")),
        ("fifo", |at| {
            let made = Command::new("mkfifo").arg(at).status();
            assert!(made.is_ok_and(|status| status.success()));
        }),
    ];
    for (what, make) in makers {
        let dumps = folder();
        make(&file_in(&dumps, &format!("dump.{}", victim.pid())));
        let command = linux("-o").args(&[&victim.pid_text(), "dump"]);
        let run = command.current_dir(dumps.path()).run();
        assert_eq!(run.code, Some(6), "{what}: {run:#?}");
        assert_eq!(files_in(dumps.path()).len(), 1, "{what}: {run:#?}");
    }
}

#[test]
fn n45_a_group_goes_on_without_the_process_whose_dump_failed() {
    let dumps = folder();
    let (mut first, mut second) = group_of_two();
    let group = first.pid();
    std::fs::write(file_in(&dumps, &format!("mine.{group}")), "kept").expect("a file");
    let run = linux("-n 1 -tc 1 -pgid")
        .args(&[&group.to_string()])
        .arg(file_in(&dumps, "mine"))
        .run();
    run.assert_code(6).assert_says("already exists");
    let wanted = format!("mine.{}", second.pid());
    assert!(names_in(dumps.path()).contains(&wanted), "{run:#?}");
    first.assert_alive();
    second.assert_alive();
}

/// Watches with this line while the process dies of a signal: the watch ends by itself, and well.
fn ends_with_the_death(line: &str, mut mortal: Child, signal: i32) {
    let dumps = folder();
    let running = linux(line).arg(dumps.path()).spawn();
    wait_until("it is traced", || is_traced(mortal.pid()));
    mortal.signal(signal);
    mortal.wait();
    let run = running.finish();
    run.assert_code(0);
    let lines = [
        "Core dump 0 generated: ",
        "no longer alive",
        "Stopping monitor",
    ];
    // That it has exited is told only if that is seen before the watch ends.
    let places = lines.map(|words| run.stdout.find(words));
    let told: Vec<usize> = places.into_iter().flatten().collect();
    assert!(places[0].is_some() && told.is_sorted(), "{line}: {run:#?}");
    assert_eq!(names_in(dumps.path()).len(), 1, "{line}: {run:#?}");
}

#[test]
fn n45_a_dump_at_the_death_of_the_last_process_ends_the_watch() {
    let place = folder();
    let program = file_in(&place, "mortal");
    std::fs::copy("/bin/sleep", &program).expect("a copy");
    // In a group of its own, and without a core of the kernel's.
    let start = || {
        let mut command = Command::new("prlimit");
        command.arg("--core=1").arg(&program).arg("1000");
        Child::start(command.process_group(0))
    };
    for (switches, signal) in [("-sig 11", 11), ("-e", 11), ("-t", 15), ("-sig 15", 15)] {
        ends_with_the_death(&format!("-w {switches} mortal"), start(), signal);
        let leader = start();
        let group = leader.pid();
        ends_with_the_death(&format!("{switches} -pgid {group}"), leader, signal);
    }
}

#[test]
fn n45_a_process_that_becomes_another_program_while_it_is_dumped_ends_its_monitor() {
    for (line, becomes) in [
        ("--linux", "exec sleep 1000"),
        ("--linux -n 2 -s 1", "exec sleep 1000"),
        ("--linux -tc 1 -s 1", "exec sleep 1000"),
        ("-n 2 -s 1", "exec sleep 1000"),
        ("--linux -tc 1 -n 2 -s 1", "exit 3"),
    ] {
        let dumps = folder();
        let script = format!("echo ready; read line; {becomes}");
        let mut child = Child::start(Command::new("/bin/sh").args(["-c", &script]));
        assert_eq!(child.line(), "ready");
        let mut running = windows(line)
            .args(&[&child.pid().to_string()])
            .arg(dumps.path())
            .failpoint("before-stop:stop")
            .spawn();
        running.wait_until_stopped();
        child.tell("");
        wait_until("it is another one", || {
            state_of(child.pid()) == 'Z' || proc_status(child.pid(), "Name") == Some("sleep".into())
        });
        running.go_on();
        let run = running.finish();
        run.assert_code(5);
        let failures = ["became another program", "ended while it was being dumped"];
        let told: usize = failures
            .iter()
            .map(|text| run.stdout.matches(text).count())
            .sum();
        assert_eq!(told, 1, "{line}: {run:#?}");
        assert!(files_in(dumps.path()).is_empty(), "{line}: {run:#?}");
    }
}

/// In either order in which the failure and the end of the process are told.
#[test]
fn n45_a_dump_that_fails_at_a_death_ends_the_watch_and_says_why() {
    let place = folder();
    let program = file_in(&place, "fails-at-death");
    std::fs::copy("/bin/sleep", &program).expect("a copy");
    let lines = [
        "--linux -sig 11",
        "--linux -t",
        "-t",
        "-e",
        "--linux -sig 11",
    ];
    for line in lines {
        let dumps = folder();
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let running = Firstchance::by(&["prlimit", "--fsize=30000"])
            .args(&["procdump", "-log", "stdout"])
            .args(&words)
            .args(&["-ma", "-w", "fails-at-death"])
            .arg(dumps.path())
            .deadline(SOON)
            .spawn()
            .until_it_says("from now on nothing is missed");
        let mut command = Command::new("prlimit");
        let child = Child::start(command.arg("--core=1").arg(&program).arg("1000"));
        let running = running
            .until_it_says("armed in process")
            .until_it_says("Press Ctrl-C");
        wait_until("it is armed", || line == "-e" || is_traced(child.pid()));
        child.signal(11);
        let run = running.finish();
        run.assert_code(6);
        assert_eq!(
            run.stdout.matches("File too large").count(),
            1,
            "{line}: {run:#?}"
        );
        assert!(files_in(dumps.path()).is_empty(), "{line}: {run:#?}");
    }
}

/// Which of them is dumped depends on the machine; those of which the kernel still has the name are told, at least.
#[test]
fn n45_a_program_that_is_over_at_once_is_dumped_or_told() {
    let (place, dumps) = (folder(), folder());
    let program = file_in(&place, "over-at-once");
    std::fs::copy("/bin/true", &program).expect("a copy");
    let running = windows("--linux -log stdout --each -w -t over-at-once")
        .arg(dumps.path())
        .spawn()
        .until_it_says("from now on nothing is missed");
    // Not the line of the debug log, which is also about others.
    let missed = ") ended before it could be looked at";
    for _ in 0..200 {
        Command::new(&program).status().expect("a program");
        if running.says(missed) > 0 {
            break;
        }
    }
    let running = running.until_it_says(missed);
    running.signal(2);
    let run = running.finish();
    assert!(run.stdout.contains("over-at-once (pid "), "{run:#?}");
    assert!(
        run.stdout.contains("had ended before being watched"),
        "{run:#?}"
    );
}

/// A program that crashes as soon as it is told to, and leaves no core of its own.
fn crashes_as(program: &Path) -> Victim {
    let mut command = Command::new("prlimit");
    Victim::start_by(command.arg("--core=0").arg(program).arg("segv"))
}

/// Nobody dies a second time: a rule about one process is over, one about each waits for the next.
#[test]
fn n45_a_dump_that_fails_at_a_death_is_told_and_ends_a_rule_about_one_process() {
    let (place, small) = (folder(), Tmpfs::new("1m"));
    let program = named(&place, "dies-in-vain");
    let starts = |follow: &str| {
        Firstchance::new(&["watch", "--json", follow, "dies-in-vain", "-n", "1"])
            .args(&["--when", "unhandled exception", "--do", "full dump", "-o"])
            .arg(small.path())
            .spawn()
            .until_it_says("\"event\":\"effective\"")
    };
    let crashes = |running: Running, number: usize| {
        let mut victim = crashes_as(&program);
        let running = running.until_it_says_often("\"event\":\"armed\"", number);
        victim.tell("");
        running.until_it_says_often("\"event\":\"exited\"", number)
    };
    let run = crashes(starts("--wait"), 1).finish();
    run.assert_code(6);
    let failures = run.events("dump-failed");
    let told = failures[0]["error"].as_str();
    assert!(
        told.is_some_and(|told| told.contains("MB free")),
        "{run:#?}"
    );
    assert_eq!(run.events("rule-finished")[0]["dumps"], 0, "{run:#?}");

    let running = crashes(crashes(starts("--each"), 1), 2);
    running.signal(2);
    let run = running.finish();
    run.assert_code(7);
    // The second comes within the pause behind the first.
    let [failed, suppressed] = ["dump-failed", "suppressed"].map(|kind| run.events(kind).len());
    assert_eq!(failed + suppressed, 2, "{run:#?}");
    assert!(files_in(small.path()).is_empty());
}

/// Each of them is watched or told, whatever else the machine does, and also where the kernel keeps only a part of its name.
#[test]
fn n45_each_program_of_a_moment_is_watched_or_told() {
    let (place, dumps) = (folder(), folder());
    for name in ["momentary", "momentary-with-a-long-name"] {
        let program = file_in(&place, name);
        std::fs::copy("/bin/true", &program).expect("a copy");
        let running = windows("-log stdout -n 1000 -w -t --each --linux")
            .args(&[name])
            .arg(dumps.path())
            .deadline(DEADLINE)
            .spawn()
            .until_it_says("from now on nothing is missed");
        let starts = (0..100).map(|_| {
            let mut child = Command::new(&program).spawn().expect("a program");
            child.wait().expect("its end");
            child.id()
        });
        let pids: Vec<u32> = starts.collect();
        for pid in pids {
            // One that ends while it is begun to be watched has a part of its name in the lines about it, or none.
            let lines = ["(pid ", "(process ", "("].map(|start| format!("{start}{pid})"));
            let is_told = || lines.iter().any(|line| running.says(line) > 0);
            wait_until(&format!("{name} {pid} is told"), is_told);
        }
        running.signal(2);
        running.finish().assert_code(7);
    }
}

/// Its start, its program and its end are heard of one after the other: it is told once, whatever is seen of it.
#[test]
fn n45_a_program_of_a_moment_is_told_once_by_its_name() {
    let _load = crate::short_lives::load();
    let (place, dumps) = (folder(), folder());
    let program = file_in(&place, "told-once");
    std::fs::copy("/bin/true", &program).expect("a copy");
    for line in ["", "-tc 1", "-t"] {
        let running = windows(&format!("--linux --each -log stdout {line} -w told-once"))
            .arg(dumps.path())
            .deadline(DEADLINE)
            .spawn()
            .until_it_says("from now on nothing is missed");
        let starts = (0..10).map(|_| {
            let mut child = Command::new(&program).spawn().expect("a program");
            let pid = child.id();
            child.wait().expect("its end");
            let lines = [
                format!("(pid {pid})"),
                format!("(process {pid})"),
                format!("process {pid} is no longer alive"),
            ];
            let is_told = || lines.iter().any(|line| running.says(line) > 0);
            wait_until("it is told", is_told);
            pid
        });
        let pids: Vec<u32> = starts.collect();
        running.signal(2);
        let run = running.finish();
        for pid in pids {
            let missed = format!("told-once (pid {pid}) ended before it could be looked at");
            assert!(run.stdout.matches(&missed).count() <= 1, "{line}: {run:#?}");
        }
        assert!(!run.stdout.contains("]:  (pid "), "{line}: {run:#?}");
        assert!(
            !run.stdout.contains("failed: there is no process"),
            "{line}: {run:#?}"
        );
    }
}

/// Its end was held for the dump, and has come: nothing is left to kill.
#[test]
fn n45_who_ends_by_itself_is_not_killed_and_no_error_is_told() {
    for line in ["-k -t -x", "--linux -k -t -x"] {
        let dumps = folder();
        let run = windows(line).arg(dumps.path()).args(&["true"]).run_well();
        assert!(!run.stdout.contains("rror"), "{line}: {run:#?}");
        assert_eq!(files_in(dumps.path()).len(), 1, "{line}: {run:#?}");
    }
}

/// `timeout -s INT` sends it to the program and to its group.
#[test]
fn n45_a_second_ctrl_c_at_once_is_the_same_request() {
    let victim = Victim::start(&["leak", "300"]);
    for round in 0..8 {
        let dumps = folder();
        let line = ["-ma", "-e", "--linux", "--linux -e"][round % 4];
        let mut running = windows(line)
            .args(&[&victim.pid_text()])
            .arg(dumps.path())
            .spawn();
        match line.contains("-e") {
            true => running = running.until_it_says("Press Ctrl-C"),
            false => wait_until("it writes", || !names_in(dumps.path()).is_empty()),
        }
        for _ in 0..3 {
            running.signal(libc::SIGINT);
            std::thread::sleep(Duration::from_millis(2));
        }
        let run = running.finish();
        assert_eq!(run.code, Some(7), "{line}: {run:#?}");
        assert!(names_in(dumps.path()).is_empty(), "{line}: {run:#?}");
    }
}
