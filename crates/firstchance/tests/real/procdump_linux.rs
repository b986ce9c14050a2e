//! The Linux dialect of ProcDump's command line, as its scripts expect it, with real processes.

use std::os::unix::{net::UnixDatagram, process::CommandExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{
    Child, Core, Firstchance, Program, Run, Running, Victim, compile, file_in, files_in, folder,
    proc_status, readelf, victim_exe, wait_until,
};
use crate::watching::is_monitored;

/// Long for a command that ends, and short for one that never does.
const SOON: Duration = Duration::from_secs(20);

pub(crate) fn linux(line: &str) -> Firstchance {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let command = Firstchance::new(&["procdump", "--linux"]).args(&words);
    command.deadline(SOON)
}

pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let names = files_in(folder).into_iter().map(|path| {
        let name = path.file_name().expect("a name");
        name.to_string_lossy().into_owned()
    });
    names.collect()
}

/// A victim that leads a process group of its own.
fn group_leader(args: &[&str]) -> Victim {
    Victim::start_by(Command::new(victim_exe()).args(args).process_group(0))
}

/// Two victims of one process group; the first is its leader.
pub(crate) fn group_of_two() -> (Victim, Victim) {
    let first = group_leader(&["idle"]);
    let mut second = Command::new(victim_exe());
    let second = second.arg("idle").process_group(first.pid() as i32);
    let second = Victim::start_by(second);
    (first, second)
}

/// A copy of the victim's program under another name.
pub(crate) fn named(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    let program = file_in(folder, name);
    std::fs::copy(victim_exe(), &program).expect("a copy");
    program
}

#[test]
fn n44_a_group_that_is_not_there_is_told_at_once() {
    let run = linux("-pgid 4194303").run();
    run.assert_code(3);
    run.assert_says("no process is in the process group 4194303");
}

#[test]
fn n44_a_group_ends_when_each_process_has_had_its_dumps() {
    let dumps = folder();
    let (mut first, mut second) = group_of_two();
    let group = first.pid();
    for line in ["-n 1 -tc 1 -s 60 -pgid", "-pgid -o"] {
        let run = linux(line)
            .args(&[&group.to_string()])
            .arg(dumps.path())
            .run_well();
        assert!(run.stdout.contains("Process Group:  "), "{run:#?}");
        let names = names_in(dumps.path());
        for pid in [first.pid(), second.pid()] {
            let of_it = |name: &&String| name.ends_with(&format!(".{pid}"));
            assert!(names.iter().any(|name| of_it(&name)), "{names:?}");
        }
    }
    first.assert_alive();
    second.assert_alive();
}

/// As ProcDump for Linux, which has a monitor for each process.
#[test]
fn n45_each_process_of_a_group_has_numbers_and_a_pause_of_its_own() {
    let dumps = folder();
    let (first, second) = group_of_two();
    let run = linux("-n 2 -tc 1 -s 3 -pf 100 -pgid")
        .args(&[&first.pid_text()])
        .arg(dumps.path())
        .run_well();
    let with = |line: &&str| line.contains(" generated: ");
    let lines: Vec<&str> = run.stdout.lines().filter(with).collect();
    let numbers: Vec<&str> = lines.iter().map(|line| number_of(line)).collect();
    assert_eq!(numbers, ["0", "0", "1", "1"], "{run:#?}");
    for pid in [first.pid(), second.pid()] {
        let of_it = |line: &&&str| line.ends_with(&format!(".{pid}"));
        assert_eq!(lines.iter().filter(of_it).count(), 2, "{run:#?}");
    }
}

/// Starts a third process in the group of the first, which has many threads, and a watch of the group for that.
fn watch_with_one_of_many_threads(first: &Victim, dumps: &Path) -> (Victim, Running) {
    let many = Victim::start_by(
        Command::new(victim_exe())
            .args(["threads", "20"])
            .process_group(first.pid() as i32),
    );
    let running = linux("-tc 10 -pf 50 -pgid")
        .args(&[&first.pid_text()])
        .arg(dumps)
        .spawn();
    (many, running)
}

/// As in ProcDump for Linux, whose monitors of the others go on.
#[test]
fn n45_the_monitor_of_a_process_stops_when_it_has_had_its_dumps() {
    let dumps = folder();
    let (mut first, second) = group_of_two();
    let (many, running) = watch_with_one_of_many_threads(&first, dumps.path());
    let running = running.until_it_says("Stopping monitor");
    let stopped = format!("({})", many.pid());
    for other in [&first, &second] {
        let line = format!("Stopping monitors for process: victim ({})", other.pid());
        assert_eq!(running.says(&line), 0);
    }
    assert_eq!(
        running.says(&format!("Stopping monitors for process: victim {stopped}")),
        1
    );
    first.kill();
    let running = running.until_it_says_often("Stopping monitor", 2);
    running.signal(2);
    let run = running.finish();
    let stops = run.stdout.matches("Stopping monitor").count();
    assert_eq!(stops, 3, "{run:#?}");
}

/// N of `… Core dump N generated: …`.
fn number_of(line: &str) -> &str {
    let (_, rest) = line.split_once("Core dump ").expect("a number");
    rest.split(' ').next().unwrap_or_default()
}

#[test]
fn n45_a_threshold_that_is_passed_between_two_dumps_is_told_once() {
    let dumps = folder();
    let victim = Victim::start(&["idle"]);
    let run = linux("-n 3 -tc 1 -s 1 -pf 50")
        .args(&[&victim.pid_text()])
        .arg(dumps.path())
        .run_well();
    let told = |line: &&str| {
        line.contains(" - INFO]: No dump before ")
            && line.ends_with(&format!(
                ", because of -s: Thread count:1 on process ID: {}",
                victim.pid()
            ))
    };
    // After the last dump there is no pause.
    assert_eq!(run.stdout.lines().filter(told).count(), 2, "{run:#?}");
    assert_eq!(names_in(dumps.path()).len(), 3);
}

/// It is told which group is watched, how the run ends, and what was asked, before any process.
#[test]
fn n45_a_group_begins_with_the_lines_of_procdump_for_linux() {
    let dumps = folder();
    let leader = group_leader(&["idle"]);
    let run = linux("-tc 1 -pgid")
        .args(&[&leader.pid_text()])
        .arg(dumps.path())
        .run_well();
    let group = format!("Monitoring processes of PGID '{}'", leader.pid());
    let process = format!("Starting monitor for process victim ({})", leader.pid());
    let end = "Press Ctrl-C to end monitoring without terminating the process(es).";
    assert_in_order(&run, &[&group, end, "Process Group:", &process]);
    assert!(!run.stdout.contains("group:"), "{run:#?}");
}

#[test]
fn n45_a_name_that_is_waited_for_is_told_with_all_that_was_asked() {
    let running = linux("-w awaited-by-nobody -tc 1").spawn();
    let running = running.until_it_says("Output directory:");
    running.signal(2);
    let run = running.finish();
    let waiting = "Waiting for processes 'awaited-by-nobody' to launch";
    assert_in_order(&run, &[waiting, " - INFO]: Press Ctrl-C", "Process Name:"]);
}

fn assert_in_order(run: &Run, texts: &[&str]) {
    let at = |text: &&str| {
        let found = run.stdout.find(text);
        found.unwrap_or_else(|| panic!("`{text}` is missing: {run:#?}"))
    };
    let places: Vec<usize> = texts.iter().map(at).collect();
    assert!(places.is_sorted(), "{places:?}: {run:#?}");
}

/// As one process that ends without its dump.
#[test]
fn n44_a_group_of_which_one_ends_without_its_dump_is_no_success() {
    let dumps = folder();
    let (first, mut second) = group_of_two();
    let (many, running) = watch_with_one_of_many_threads(&first, dumps.path());
    let stopped = format!("Stopping monitors for process: victim ({})", many.pid());
    let running = running.until_it_says(&stopped);
    second.kill();
    drop(first);
    let run = running.finish();
    run.assert_code(5).assert_says("Dump count not reached.");
    assert_eq!(files_in(dumps.path()).len(), 1);
}

/// As a pid of a zombie.
#[test]
fn n44_a_group_of_which_all_have_ended_is_told_so() {
    let dumps = folder();
    let mut leader = Command::new("true").process_group(0).spawn().expect("true");
    let pid = leader.id();
    wait_until("it has ended", || {
        proc_status(pid, "State").is_some_and(|state| state.starts_with('Z'))
    });
    let of_group = format!("true (pid {pid}) of the process group {pid} has ended");
    for line in ["procdump --linux -pgid", "procdump -pgid"] {
        let words: Vec<&str> = line.split(' ').collect();
        let run = Firstchance::new(&words)
            .arg(pid.to_string())
            .arg(dumps.path())
            .run();
        run.assert_code(3).assert_says(&of_group);
    }
    let run = Firstchance::new(&["dump", &format!("group:{pid}")]).run();
    run.assert_code(3).assert_says(&of_group);
    leader.wait().expect("its end");
}

#[test]
fn n44_a_group_that_dies_ends_the_watch() {
    let dumps = folder();
    let mut leader = group_leader(&["idle"]);
    let running = linux("-m 100000 -pgid")
        .args(&[&leader.pid_text()])
        .arg(dumps.path())
        .spawn();
    wait_until("it watches", || is_monitored(running.pid()));
    leader.kill();
    let run = running.finish();
    run.assert_code(5);
    let told = format!(
        "- WARN]: Target process {} is no longer alive",
        leader.pid()
    );
    assert!(run.stdout.contains(&told), "{run:#?}");
    assert!(files_in(dumps.path()).is_empty());
}

#[test]
fn n45_a_dump_is_a_core_of_what_the_filter_says_whatever_its_name() {
    let dumps = folder();
    let victim = Victim::start(&["idle"]);
    let filter = format!("/proc/{}/coredump_filter", victim.pid());
    let take = |line: &str, name: &str| {
        let file = file_in(&dumps, name);
        linux(line)
            .args(&[&victim.pid_text()])
            .arg(&file)
            .run_well();
        file_in(&dumps, &format!("{name}.{}", victim.pid()))
    };
    let default = take("", "a.dmp");
    assert!(readelf(&["-h"], &default).contains("CORE (Core file)"));
    let main = Core::new(&default, victim_exe()).gdb(&["info shared", "bt"]);
    assert!(main.contains("libc.so"), "{main}");
    std::fs::write(&filter, "0x0").expect("the filter");
    let nothing = take("", "b");
    std::fs::write(&filter, "0x7f").expect("the filter");
    let all = take("", "c");
    let full = take("-ma", "d.dmp");
    let size = |file: &Path| std::fs::metadata(file).expect("a dump").len();
    assert!(size(&nothing) < size(&default), "nothing was asked for");
    assert!(size(&default) < size(&all), "files were asked for, too");
    assert!(size(&default) < size(&full));
}

#[test]
fn n45_a_core_by_the_filter_is_as_large_as_gcores() {
    let dumps = folder();
    for mode in [&["idle"][..], &["leak", "4"]] {
        let victim = Victim::start(mode);
        let pid = victim.pid_text();
        linux("")
            .args(&[&pid])
            .arg(file_in(&dumps, "ours"))
            .run_well();
        let gcore = Command::new("gcore")
            .arg("-o")
            .arg(file_in(&dumps, "gcores"))
            .arg(&pid)
            .output()
            .expect("gcore");
        assert!(gcore.status.success(), "{gcore:?}");
        let size = |name: &str| {
            let file = file_in(&dumps, &format!("{name}.{pid}"));
            std::fs::metadata(file).expect("a dump").len()
        };
        // The tolerance of ProcDump for Linux's own tests.
        let (ours, theirs) = (size("ours"), size("gcores"));
        let difference = ours.abs_diff(theirs) * 100 / theirs;
        assert!(difference <= 20, "{mode:?}: {ours} and {theirs} bytes");
    }
}

#[test]
fn n45_names_say_the_trigger_and_the_program_as_it_was_called() {
    let place = folder();
    let program = named(&place, "a-b.c d");
    let victim = Victim::start_by(Command::new(&program).arg("idle"));
    let pid = victim.pid();
    for (line, word) in [
        ("", "time"),
        ("-n 2 -s 1", "time"),
        ("-cl 100 -s 0", "cpu"),
        ("-m 1 -s 0", "commit"),
        ("-tc 1 -s 0", "thread"),
        ("-fc 1 -s 0", "filedesc"),
    ] {
        let dumps = folder();
        linux(line)
            .args(&[&victim.pid_text()])
            .arg(dumps.path())
            .run_well();
        for name in names_in(dumps.path()) {
            let rest = name.strip_prefix(&format!("a_b_c_{word}_"));
            let rest = rest.unwrap_or_else(|| panic!("{line}: {name}"));
            assert!(rest.ends_with(&format!(".{pid}")), "{name}");
        }
    }
}

#[test]
fn n45_without_a_pause_a_threshold_is_dumped_at_each_sample_until_the_count_is_reached() {
    let victim = Victim::start(&["idle"]);
    for line in ["-tc 1 -n 3 -s 0 -pf 200", "-cl 100 -n 3 -s 0 -pf 200"] {
        let dumps = folder();
        linux(line)
            .args(&[&victim.pid_text()])
            .arg(dumps.path())
            .run_well();
        assert_eq!(names_in(dumps.path()).len(), 3, "{line}");
    }
}

/// Whether a tracer sees the signals of a process.
pub(crate) fn is_traced(pid: u32) -> bool {
    proc_status(pid, "TracerPid").is_some_and(|tracer| tracer != "0")
}

static FAULTS: Program = Program::c("faults.c");

#[test]
fn n45_a_signal_that_is_a_fault_is_called_a_signal_and_with_e_an_exception() {
    let program = compile(&FAULTS);
    for (line, word, says) in [
        ("-sig 11", "signal", "Trigger: Signal:11 on process ID: "),
        ("-e", "exception", "Trigger: Exception: SIGSEGV"),
    ] {
        let dumps = folder();
        let mut child = Child::start(&mut Command::new(&program));
        child.lines_until("ready");
        let running = linux(line)
            .args(&[&child.pid().to_string()])
            .arg(dumps.path())
            .spawn();
        wait_until("it is traced", || is_traced(child.pid()));
        child.tell("");
        let run = running.finish();
        run.assert_code(0);
        assert!(run.stdout.contains(says), "{run:#?}");
        let name = names_in(dumps.path()).remove(0);
        assert!(name.contains(&format!("_c_{word}_")), "{name}");
    }
}

#[test]
fn n45_an_existing_file_is_left_and_the_run_ends() {
    let dumps = folder();
    let victim = Victim::start(&["idle"]);
    let file = file_in(&dumps, &format!("mine.{}", victim.pid()));
    let take = |line: &str| -> Run {
        let command = linux(line).args(&[&victim.pid_text()]);
        command.arg(file_in(&dumps, "mine")).run()
    };
    std::fs::write(&file, "not to be lost").expect("a file");
    let run = take("");
    run.assert_code(6);
    assert!(run.stdout.contains("already exists"), "{run:#?}");
    assert!(run.stdout.contains(" - ERROR]: "), "{run:#?}");
    assert_eq!(std::fs::read(&file).expect("the file"), b"not to be lost");
    assert_eq!(files_in(dumps.path()), std::slice::from_ref(&file));
    let run = take("-o");
    run.assert_code(0);
    assert!(run.stdout.contains("Core dump 0 generated: "), "{run:#?}");
    assert!(readelf(&["-h"], &file).contains("CORE (Core file)"));
}

#[test]
fn n45_the_lines_are_those_that_scripts_look_for() {
    let dumps = folder();
    let victim = Victim::start(&["idle"]);
    let run = linux("-n 2 -s 1")
        .args(&[&victim.pid_text()])
        .current_dir(dumps.path())
        .run_well();
    let lines: Vec<&str> = run.stdout.lines().collect();
    let with = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    let pid = victim.pid();
    let trigger = format!(" - INFO]: Trigger: Timer:1(s) on process ID: {pid}");
    assert_eq!(with(&trigger), 2, "{run:#?}");
    for number in [0, 1] {
        let generated = format!(" - INFO]: Core dump {number} generated: ");
        let line = lines.iter().find(|line| line.contains(&generated));
        let (_, path) = line
            .expect("a line")
            .split_once("generated: ")
            .expect("a path");
        assert!(Path::new(path).is_absolute() && Path::new(path).is_file());
    }
    assert_eq!(with("initiated"), 0, "{run:#?}");
}

#[test]
fn n45_w_ends_when_its_dumps_are_taken_and_with_each_it_goes_on() {
    let place = folder();
    let program = named(&place, "awaited");
    let dumps = folder();
    let running = linux("-n 1 -tc 1 -s 0 -w awaited")
        .arg(dumps.path())
        .spawn();
    let running = running.until_it_says("Waiting for processes 'awaited' to launch");
    wait_until("it waits", || is_monitored(running.pid()));
    let first = Victim::start_by(Command::new(&program).arg("idle"));
    let run = running.finish();
    run.assert_code(0);
    assert_eq!(names_in(dumps.path()).len(), 1, "{run:#?}");

    let dumps = folder();
    let running = linux("-n 1 -tc 1 -s 0 --each -w awaited")
        .arg(dumps.path())
        .spawn();
    let running = running.until_it_says("Core dump 0 generated: ");
    let second = Victim::start_by(Command::new(&program).arg("idle"));
    let running = running.until_it_says(&format!(".{}", second.pid()));
    running.signal(2);
    running.finish().assert_code(7);
    drop(first);
}

#[test]
fn n45_log_writes_its_trace_where_it_is_told_to() {
    let victim = Victim::start(&["idle"]);
    let pid = victim.pid_text();
    let dumps = folder();
    let run = linux("-log stdout")
        .args(&[&pid])
        .arg(dumps.path())
        .run_well();
    let traced = run
        .stdout
        .lines()
        .filter(|line| line.contains(" - DEBUG]: "));
    assert!(traced.count() > 2, "{run:#?}");
    let run = linux("-o").args(&[&pid]).arg(dumps.path()).run_well();
    assert!(!run.stdout.contains("DEBUG"), "{run:#?}");
    // In a view of the files in which the system's log is the test's own.
    let door = file_in(&dumps, "door");
    let run = |script: &str| {
        let script = format!("mount -t tmpfs tmpfs /dev && {script} && exec \"$0\" \"$@\"");
        let command = Firstchance::by(&["unshare", "-m", "sh", "-c", &script]);
        let words = ["procdump", "--linux", "-o", "-log", "syslog", &pid];
        command.args(&words).arg(dumps.path()).run_well()
    };
    let without = run("true");
    let said = "-log has no effect: opening the system log";
    assert!(without.stderr.contains(said), "{without:#?}");
    let daemon = UnixDatagram::bind(&door).expect("a daemon's socket");
    run(&format!("ln -s {} /dev/log", door.display()));
    let mut line = [0; 4096];
    let length = daemon.recv(&mut line).expect("a line");
    let line = String::from_utf8_lossy(&line[..length]);
    assert!(
        line.starts_with("<15>procdump[") && line.contains(" - DEBUG]: "),
        "{line}"
    );
}

#[test]
fn n45_case_counts_in_names_and_who_is_meant_perhaps_is_named() {
    let (place, dumps) = (folder(), folder());
    let name = format!("Mixed{}", std::process::id());
    let lower = name.to_lowercase();
    let victim = Victim::start_by(Command::new(named(&place, &name)).arg("idle"));
    let told = format!("{name} (pid {}) is running", victim.pid());
    for words in [
        &["procdump"][..],
        &["procdump", "--linux"],
        &["dump"],
        &["watch", "--when", "now"],
    ] {
        let run = Firstchance::new(words)
            .args(&[&lower])
            .current_dir(dumps.path())
            .deadline(SOON)
            .run();
        run.assert_code(3);
        run.assert_says(&format!("no process is named {lower}; {told}"));
    }
    let waits = linux(&format!("-w {lower}")).arg(dumps.path()).spawn();
    wait_until("it waits", || is_monitored(waits.pid()));
    waits.signal(2);
    let run = waits.finish();
    assert!(run.stderr.contains(&told), "{run:#?}");
    assert!(files_in(dumps.path()).is_empty());
    linux(&name).arg(dumps.path()).run_well();
    assert_eq!(names_in(dumps.path()).len(), 1);
}

#[test]
fn n45_every_line_about_a_dump_has_its_number() {
    let place = folder();
    let large = file_in(&place, "large.dat");
    let made = std::fs::File::create(&large).and_then(|file| file.set_len(300 << 20));
    made.expect("a sparse file");
    let mut python = Command::new("python3");
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/maps_files.py"));
    let child = Child::start(python.arg("-").arg(&large));
    assert_eq!(child.line(), "ready");
    let run = linux("-ma -n 2 -s 1")
        .args(&[&child.pid().to_string()])
        .arg(place.path())
        .run_well();
    for number in 0..2 {
        for text in ["generated: ", "lacks a mapped file of 315 MB"] {
            let line = format!("INFO]: Core dump {number} {text}");
            assert_eq!(run.stdout.matches(&line).count(), 1, "{line}: {run:#?}");
        }
    }
    assert!(!run.stdout.contains(" Dump 1"), "{run:#?}");
}

#[test]
fn n45_a_line_of_an_error_says_so_once() {
    let victim = Victim::start(&["idle"]);
    let watch = || linux("-t").args(&[&victim.pid_text()]);
    let first = watch().spawn();
    wait_until("it is traced", || is_traced(victim.pid()));
    let run = watch().run();
    run.assert_code(4);
    let told = format!("ERROR]: process {} is already traced by", victim.pid());
    assert!(run.stdout.contains(&told), "{run:#?}");
    first.signal(2);
    first.finish().assert_code(7);
}

/// Who watches a group watches what is in it: ProcDump for Linux ends so with `-w`, too.
#[test]
fn n44_a_group_that_is_not_there_is_not_waited_for() {
    for line in ["-w -pgid 4194303", "-pgid -w 4194303"] {
        linux(line).run().assert_code(3);
    }
}
