//! Large dumps are copied from a clone of the process, which goes on after a few milliseconds.

use crate::limits::firstchance_in;
use crate::support::{
    Child, Core, Firstchance, Group, Program, compile, file_in, files_in, folder, proc_status,
    slow_tests, state_of, wait_until,
};
use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

const CLONED: Program = Program::c("cloned.c");
const BUSY: Program = Program::c("busy.c").with(&["-O1", "-pthread"]);
const MAKES_THREADS: Program = Program::c("makes_threads.c");

/// A process with so many MiB, and the addresses that it told.
fn cloned(arguments: &[&str]) -> (Child, Vec<u64>) {
    started(Command::new(compile(&CLONED)).args(arguments))
}

fn started(command: &mut Command) -> (Child, Vec<u64>) {
    let child = Child::start(command);
    let line = child.line();
    let addresses = line.split(' ').map(|text| {
        let digits = text.trim_start_matches("0x");
        u64::from_str_radix(digits, 16).expect("an address")
    });
    let addresses = addresses.collect();
    (child, addresses)
}

/// Takes a full dump, and returns its record.
fn dumped(child: &Child, folder: &tempfile::TempDir, options: &[&str]) -> serde_json::Value {
    let file = file_in(folder, "x.core");
    let pid = child.pid().to_string();
    let dump = Firstchance::new(&["dump", "--full", "--json", "--overwrite"]).args(options);
    let run = dump.args(&[&pid, "-o"]).arg(&file).run_well();
    serde_json::from_str(&run.stdout).expect("a record")
}

fn ask(child: &mut Child, what: &str) -> String {
    child.tell(what);
    child.line()
}

/// The children of a process that have not ended.
fn living_children(pid: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let lives = |child: &&str| {
        let state = proc_status(child.parse().expect("a pid"), "State");
        state.is_some_and(|state| !state.starts_with('Z'))
    };
    let children = text.split_ascii_whitespace().filter(lives);
    children.map(str::to_owned).collect()
}

fn is_gone(pid: u32) -> bool {
    matches!(state_of(pid), 'Z' | 'X')
}

fn send(pid: u32, signal: i32) {
    // SAFETY: no memory is involved; the process is ours, or a clone of ours.
    assert_eq!(unsafe { libc::kill(pid as i32, signal) }, 0, "{pid}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What shows only when it stands that there can be no clone does not have it stand for long.
#[test]
fn s1_max_pause_holds_and_a_small_dump_is_not_refused_for_the_size_of_the_process() {
    let folder = folder();
    let file = file_in(&folder, "x");
    for (arguments, refused) in [(&["1024", "filter"][..], true), (&["1024"], false)] {
        let (mut child, _) = cloned(arguments);
        let sum = ask(&mut child, "sum");
        let pid = child.pid().to_string();
        let doctor = Firstchance::new(&["doctor", &pid]).run();
        assert_eq!(doctor.stdout.contains("seccomp"), refused, "{doctor:?}");
        let dump = |options: &[&str]| {
            let dump =
                Firstchance::new(&["dump", "--max-pause", "300ms", "--overwrite", &pid, "-o"]);
            dump.arg(&file).args(options).run()
        };
        dump(&["--mini"]).assert_code(0);
        dump(&["--triage"]).assert_code(0);
        dump(&["--full", "--hold"])
            .assert_code(5)
            .assert_says("--max-pause");
        match refused {
            true => dump(&["--full"]).assert_code(5).assert_says("system calls"),
            false => dump(&["--full"]).assert_code(0),
        };
        let watch = [
            "watch",
            &pid,
            "--when",
            "now",
            "--do",
            "full dump",
            "--max-pause",
            "300ms",
        ];
        let watch = Firstchance::new(&watch).arg("-o").arg(folder.path()).run();
        assert_eq!(watch.code == Some(0), !refused, "{watch:#?}");
        assert_eq!(
            watch.stdout.contains("of --max-pause"),
            refused,
            "{watch:#?}"
        );
        assert_eq!(ask(&mut child, "sum"), sum);
        assert_eq!(proc_status(child.pid(), "TracerPid").as_deref(), Some("0"));
    }
}

/// Memory that gets short while a clone is copied costs the clone, not the dump.
#[test]
fn s3_a_dump_whose_clone_is_lost_is_taken_of_the_process_itself() {
    let folder = folder();
    let (mut child, _) = cloned(&["256"]);
    let sum = ask(&mut child, "sum");
    let pid = child.pid().to_string();
    let file = file_in(&folder, "x.core");
    let dump = |options: &[&str]| {
        let dump = Firstchance::new(&["dump", "--full", &pid, "-o"]).arg(&file);
        let lost = "copy:slow,clone-memory:enospc";
        dump.args(options).failpoint(lost).run()
    };
    let run = dump(&["--json"]);
    run.assert_code(0);
    assert_eq!(files_in(folder.path()), std::slice::from_ref(&file));
    let record: serde_json::Value = serde_json::from_str(&run.stdout).expect("one record");
    assert_eq!(record["method"], "stopped", "{record}");
    assert_eq!(record["complete"], true, "{record}");
    let warnings = record["warnings"].to_string();
    assert!(warnings.contains("a second time"), "{warnings}");
    assert_eq!(Core::alone(&file).threads().len(), 1);
    dump(&["--clone", "--overwrite"]).assert_code(5);
    let part = file_in(&folder, "x.core.partial");
    assert_eq!(files_in(folder.path()), [file, part]);
    assert!(living_children(child.pid()).is_empty());
    assert_eq!(ask(&mut child, "sum"), sum);
}

/// Both are measured in turns, on the same process: by how much depends on who else runs here.
#[test]
fn s1_the_process_stands_for_a_small_part_of_the_time_that_a_copy_takes() {
    let folder = folder();
    let (child, _) = cloned(&["512"]);
    let (mut stops, mut holds) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        for (options, method, pauses) in [
            ("--clone", "clone", &mut stops),
            ("--hold", "stopped", &mut holds),
        ] {
            let record = dumped(&child, &folder, &[options]);
            assert_eq!(record["method"], method, "{record}");
            pauses.push(record["pause-ms"].as_f64().expect("a time"));
        }
    }
    let (stop, hold) = (median(stops), median(holds));
    println!("stood for {stop} ms, and {hold} ms while it was copied");
    assert!(3.0 * stop < hold, "{stop} ms, while it is copied {hold} ms");
}

/// A small one stands for a moment only without a clone, and so does one of which little is wanted.
#[test]
fn s1_a_large_process_is_cloned_by_default_and_else_the_record_says_why_not() {
    let folder = folder();
    let (large, _) = cloned(&["64"]);
    let record = dumped(&large, &folder, &[]);
    assert_eq!(record["method"], "clone", "{record}");
    let (small, _) = cloned(&["4"]);
    let record = dumped(&small, &folder, &[]);
    assert_eq!(record["in-place"], "the process is small", "{record}");
    let pid = large.pid().to_string();
    let mini = Firstchance::new(&["dump", "--json", &pid, "-o"]).arg(folder.path());
    let record: serde_json::Value =
        serde_json::from_str(&mini.run_well().stdout).expect("a record");
    assert_eq!(record["method"], "stopped", "{record}");
    assert_eq!(record["in-place"], serde_json::Value::Null, "{record}");
    let doctor = Firstchance::new(&["doctor", &pid]).run();
    doctor.assert_says("it is copied from a clone");
}

#[test]
fn s1_what_a_clone_does_not_have_is_in_the_dump() {
    let folder = folder();
    let (child, addresses) = cloned(&["8"]);
    for options in [&["--clone"][..], &["--hold"]] {
        let record = dumped(&child, &folder, options);
        let method = if options == ["--hold"] {
            "stopped"
        } else {
            "clone"
        };
        assert_eq!(record["method"], method, "{record}");
        assert_eq!(record["gap-count"], 0, "{record}");
        let core = Core::new(&file_in(&folder, "x.core"), &compile(&CLONED));
        for (address, letter) in addresses.iter().zip(*b"PKWS") {
            let found = core.gdb(&[&format!("x/2c {address:#x}")]);
            let wanted = format!("{letter} '{}'", letter as char);
            assert_eq!(found.matches(&wanted).count(), 2, "{options:?}: {found}");
        }
    }
}

/// V8 keeps its heap from forks: more of it than is kept in our own memory. In a group with less memory than that, it goes to
/// the disk.
#[test]
fn s3_much_that_a_clone_does_not_have_is_put_aside() {
    let (folder, group) = (folder(), Group::of("memory"));
    group.limit_memory(48 << 20);
    let (child, addresses) = cloned(&["192", "kept"]);
    let file = file_in(&folder, "x.core");
    let pid = child.pid().to_string();
    for dump in [Firstchance::new(&[]), firstchance_in(&group)] {
        let dump = dump.args(&["dump", "--full", "--json", "--overwrite", &pid, "-o"]);
        let run = dump.arg(&file).run_well();
        let record: serde_json::Value = serde_json::from_str(&run.stdout).expect("a record");
        assert_eq!(record["method"], "clone", "{record}");
        assert_eq!(record["gap-count"], 0, "{record}");
        let core = Core::new(&file, &compile(&CLONED));
        let kept = addresses[1];
        let words = core.words(&[kept, kept + (32 << 20), kept + (64 << 20) - 8]);
        assert_eq!(words, [Some(u64::from_ne_bytes(*b"KKKKKKKK")); 3]);
    }
    assert_eq!(group.kills(), 0);
}

/// It does not stand until a disk answers that does not.
#[test]
fn d1_where_nothing_can_be_put_aside_the_process_itself_is_copied() {
    let (folder, file) = (folder(), "x.core");
    let (child, _) = cloned(&["96", "kept"]);
    let pid = child.pid().to_string();
    for (failpoint, why) in [
        ("put-aside:eio", "I/O error (failpoint)"),
        ("put-aside:sleep", "timed out"),
    ] {
        let dump = Firstchance::new(&["dump", "--full", "--json", "--overwrite", &pid, "-o"]);
        let run = dump.arg(file_in(&folder, file)).failpoint(failpoint);
        let run = run.run_well();
        let record: serde_json::Value = serde_json::from_str(&run.stdout).expect("a record");
        assert_eq!(record["method"], "stopped", "{record}");
        let why = format!("what a clone lacks could not be put aside: {why}");
        assert_eq!(record["in-place"], why.as_str(), "{record}");
        assert!(run.took < Duration::from_secs(30), "{:?}", run.took);
    }
}

/// No signal tells it of the clone, no wait call sees it, and it is gone afterwards.
#[test]
fn s1_the_process_notices_nothing_of_its_clone() {
    let folder = folder();
    let (mut child, _) = cloned(&["8"]);
    for _ in 0..10 {
        dumped(&child, &folder, &["--clone"]);
    }
    let none = format!("0 {}", -libc::ECHILD);
    assert_eq!(ask(&mut child, "children"), none);
    assert_eq!(proc_status(child.pid(), "TracerPid").as_deref(), Some("0"));
}

/// A thread may stand inside of a call just then, as in that which makes a thread: it would make that twice.
#[test]
fn s1_no_thread_is_made_twice() {
    let folder = folder();
    let child = Child::start(Command::new(compile(&MAKES_THREADS)).arg("8"));
    child.line();
    for _ in 0..60 {
        dumped(&child, &folder, &["--clone"]);
        assert!(!is_gone(child.pid()), "it has noticed");
    }
}

/// Its clone ends with it, and when somebody ends all processes of a service, so that nobody waits for it.
#[test]
fn s1_a_dump_is_whole_though_the_process_ends_while_it_is_copied() {
    for (signal, is_for_clone) in [
        (libc::SIGKILL, false),
        (libc::SIGTERM, true),
        (libc::SIGKILL, true),
    ] {
        let folder = folder();
        let (child, addresses) = cloned(&["64"]);
        let file = file_in(&folder, "x.core");
        let pid = child.pid().to_string();
        let dump = Firstchance::new(&["dump", "--full", "--json", "--clone", &pid, "-o"]);
        let mut running = dump.arg(&file).failpoint("planned:stop").spawn();
        running.wait_until_stopped();
        let clone = living_children(child.pid());
        let clone: u32 = clone[0].parse().expect("a pid");
        send(if is_for_clone { clone } else { child.pid() }, signal);
        running.signal(libc::SIGCONT);
        let run = running.finish();
        run.assert_code(0);
        let record: serde_json::Value = serde_json::from_str(&run.stdout).expect("a record");
        assert_eq!(record["gap-count"], 0, "{record}");
        assert!(is_gone(clone), "the clone");
        let core = Core::new(&file, &compile(&CLONED));
        let last = addresses[0] + (64 << 20) - 1;
        let found = core.gdb(&[&format!("x/c {last:#x}")]);
        assert!(found.contains("80 'P'"), "{found}");
    }
}

/// Whatever it had done by then, the process goes on, and no second copy of it runs.
#[test]
fn a1_a_run_that_is_killed_leaves_no_clone_and_the_next_one_takes_what_is_left() {
    const KILLS: u32 = 40;
    let folder = folder();
    let (mut child, _) = cloned(&["64"]);
    let sum = ask(&mut child, "sum");
    for number in 0..KILLS {
        let pid = child.pid().to_string();
        let file = file_in(&folder, "x.core");
        let dump =
            Firstchance::new(&["dump", "--full", "--clone", "--overwrite", &pid, "-o"]).arg(&file);
        let running = dump.spawn();
        let begin = Instant::now();
        let moment = Duration::from_millis(u64::from(number) * 5);
        std::thread::sleep(moment.saturating_sub(begin.elapsed()));
        running.signal(libc::SIGKILL);
        running.finish();
        wait_until("no clone runs", || living_children(child.pid()).is_empty());
        assert_eq!(ask(&mut child, "sum"), sum);
        assert_eq!(proc_status(child.pid(), "TracerPid").as_deref(), Some("0"));
    }
    // Each takes up to 32 along.
    for _ in 0..2 {
        dumped(&child, &folder, &["--clone"]);
    }
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.pid()));
    assert_eq!(children.expect("a list").trim(), "");
}

#[test]
fn s1_where_a_fork_would_wait_for_somebody_there_is_no_clone() {
    let folder = folder();
    let (mut child, _) = cloned(&["8", "faults"]);
    let pid = child.pid().to_string();
    let dump = Firstchance::new(&["dump", "--full", "--clone", &pid]);
    let run = dump.current_dir(folder.path()).run();
    run.assert_code(1)
        .assert_says("because it has a userfaultfd");
    assert_eq!(ask(&mut child, "children"), format!("0 {}", -libc::ECHILD));
}

/// Neither a list nor a watch takes a clone for a process of its own.
#[test]
fn s1_a_clone_is_no_process_of_its_own() {
    let folder = folder();
    let (child, _) = cloned(&["8"]);
    let file = file_in(&folder, "x.core");
    let pid = child.pid().to_string();
    let dump = Firstchance::new(&["dump", "--full", "--clone", &pid, "-o"]).arg(&file);
    let mut running = dump.failpoint("planned:stop").spawn();
    running.wait_until_stopped();
    assert_eq!(living_children(child.pid()).len(), 1, "the clone");
    let shown = Firstchance::new(&["ps", "--json"]).run_well();
    let clone = &living_children(child.pid())[0];
    let has = |pid: &str| shown.stdout.contains(&format!("\"pid\": {pid},"));
    assert!(has(&pid) && !has(clone), "{pid}, {clone}");
    running.signal(libc::SIGCONT);
    running.finish().assert_code(0);
}

/// Huge pages that it writes to while it shares them with its clone are split.
#[test]
fn s3_huge_pages_are_there_again_afterwards() {
    let folder = folder();
    let (mut child, _) = cloned(&["64", "huge"]);
    let huge = |child: &Child| {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", child.pid()));
        let line = text.expect("it runs");
        let line = line.lines().find(|line| line.starts_with("AnonHugePages"));
        let kib = line.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
        kib.expect("a number") >> 10
    };
    let before = huge(&child);
    assert!(
        before >= 32,
        "{before} MiB of huge pages: the system gives none"
    );
    let pid = child.pid().to_string();
    let file = file_in(&folder, "x.core");
    let dump = Firstchance::new(&["dump", "--full", "--clone", &pid, "-o"]).arg(&file);
    let mut running = dump.failpoint("planned:stop").spawn();
    running.wait_until_stopped();
    assert_eq!(ask(&mut child, "write"), "written");
    let meanwhile = huge(&child);
    running.signal(libc::SIGCONT);
    running.finish().assert_code(0);
    let after = huge(&child);
    assert!(
        meanwhile < before / 2 && after >= before,
        "{before}, {meanwhile}, {after}"
    );
}

/// What it writes meanwhile is copied, and the kernel would kill the clone first and then the process.
#[test]
fn s3_where_less_memory_is_left_than_the_process_can_write_there_is_no_clone() {
    let folder = folder();
    let group = Group::of("memory");
    let [shell, option, enter] = group.entering();
    let mut command = Command::new(shell);
    let (child, _) = started(
        command
            .args([option, enter])
            .arg(compile(&CLONED))
            .arg("128"),
    );
    for (left, method) in [(160, "stopped"), (256, "clone")] {
        group.limit_memory(group.working_set() + (left << 20));
        let record = dumped(&child, &folder, &[]);
        assert_eq!(record["method"], method, "{left} MiB: {record}");
        let why = record["in-place"].to_string();
        assert_eq!(
            why.contains("little memory left"),
            method == "stopped",
            "{why}"
        );
    }
    assert_eq!(group.kills(), 0);
    drop(child);
}

/// It reads a file with O_DIRECT and through an io_uring and checks each block, has children, threads, timers, a pipe and a
/// lock, and says itself if anything is not as it was.
#[test]
fn s1_a_busy_process_notices_nothing_of_many_dumps_in_a_row() {
    let many = if slow_tests() { "1000" } else { "60" };
    let folder = folder();
    let mut child = Child::start(Command::new(compile(&BUSY)).arg(folder.path()));
    child.line();
    let pid = child.pid().to_string();
    let dump = Firstchance::new(&[
        "dump", &pid, "--full", "--clone", "--every", "1ms", "-n", many,
    ]);
    let file = file_in(&folder, "x.core");
    let dump = dump.args(&["--overwrite", "--json", "-o"]).arg(&file);
    let run = dump.deadline(Duration::from_secs(600)).run_well();
    let cloned = run.stdout.matches("\"method\":\"clone\"").count();
    assert_eq!(cloned, many.parse::<usize>().expect("a number"), "{run:?}");
    let counts = ask(&mut child, "end");
    let all_done = counts.split(' ').all(|count| count != "0");
    assert!(all_done && !counts.contains("WRONG"), "{counts}");
}
