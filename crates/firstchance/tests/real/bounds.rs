//! What a process of an ordinary user makes huge costs root next to nothing.
//!
//! The names of tests begin with the number of the fault that each of them found.

use crate::{
    dump_refuse::NOBODY,
    other_tracers::PACED,
    short_lives::{unseen, watch_children, watch_children_for},
    support::{Child, Firstchance, Program, Run, compile, files_in, folder},
};
use std::process::Command;

const HUGE_COMMAND_LINE: Program = Program::c("huge_command_line.c");
const MANY_NAMES: Program = Program::c("many_names.c");
const FAKE_IMAGES: Program = Program::c("fake_images.c");
const LARGE_FACTS: Program = Program::c("large_facts.c");
const MIB: u64 = 1 << 20;

fn with_huge_command_line() -> Child {
    // Where an ordinary user may come to.
    let program = compile(&HUGE_COMMAND_LINE);
    let mut command = Command::new(NOBODY[0]);
    command.args(&NOBODY[1..]).arg(program).arg("256");
    let child = Child::start(&mut command);
    assert_eq!(child.line(), "ready");
    child
}

/// The code of a debug build, which the kernel may drop at any time, is 20 MiB of it.
fn assert_small(run: &Run) {
    assert!(run.peak_memory < 80 * MIB, "{run:#?}");
}

#[test]
fn n31_a_command_line_of_256_mib_is_not_read_by_ps() {
    let child = with_huge_command_line();
    for arguments in [&["ps"][..], &["ps", "--json"]] {
        let run = Firstchance::new(arguments).run_well();
        assert!(run.stdout.contains(&child.pid().to_string()), "{run:#?}");
        assert!(run.stdout.len() < 256 << 10, "{}", run.stdout.len());
        assert_small(&run);
    }
}

#[test]
fn n31_a_command_line_of_256_mib_is_not_read_by_watches_and_dumps() {
    let child = with_huge_command_line();
    let pid = child.pid().to_string();
    let name = compile(&HUGE_COMMAND_LINE);
    let name = name
        .file_name()
        .and_then(|name| name.to_str())
        .expect("text");
    for (when, said) in [
        ("unhandled exception", "\"event\":\"armed\""),
        ("memory > 1KB", "\"event\":\"dump\""),
    ] {
        let folder = folder();
        let running = Firstchance::new(&["watch", "--json", "--all", name, "--when", when])
            .args(&["-n", "2", "-o"])
            .arg(folder.path())
            .spawn()
            .until_it_says(said);
        running.signal(libc::SIGINT);
        assert_small(&running.finish());
    }
    let folder = folder();
    let run = Firstchance::new(&["dump", &pid, "-o"])
        .arg(folder.path())
        .run_well();
    assert_small(&run);
    let dump = &files_in(folder.path())[0];
    let size = std::fs::metadata(dump).expect("a dump").len();
    assert!(size < 16 * MIB, "{size}");
    assert_small(&Firstchance::new(&["inspect"]).arg(dump).run_well());
}

/// Its memory map has 240 MB of text, and 30,000 images.
#[test]
fn n36_sixty_thousand_mappings_with_names_of_4_kib_make_no_huge_dump() {
    let (folder, deep) = (folder(), folder());
    let mut command = Command::new(compile(&MANY_NAMES));
    let child = Child::start(command.arg("60000").current_dir(deep.path()));
    assert_eq!(child.line(), "ready");
    for kind in ["--mini", "--triage"] {
        let run = Firstchance::new(&["dump", &child.pid().to_string(), kind, "--json", "-o"])
            .arg(folder.path())
            .run_well();
        // The names alone take 16 MiB where they are cut, in the snapshot, in what is written and in the files that were opened.
        assert!(run.peak_memory < 96 * MIB, "{run:#?}");
        let dump: serde_json::Value = serde_json::from_str(&run.stdout).expect("a record");
        let warnings = dump["warnings"].to_string();
        assert!(warnings.contains("names of"), "{dump:#?}");
        assert!(warnings.contains("4096 images"), "{dump:#?}");
        assert!(dump["bytes"].as_u64() < Some(64 * MIB), "{dump:#?}");
        let path = dump["path"].as_str().expect("a path");
        // All mappings are there, and the stack, which comes last.
        let seen = Firstchance::new(&["inspect", "--json"])
            .arg(path)
            .run_well();
        assert!(seen.stdout.contains("pause"), "{kind}");
    }
}

/// Each claims as many program headers as a file can have. Both processes are dumped in turn: how long that takes depends on who
/// else runs here.
#[test]
fn n36_images_that_claim_many_headers_take_no_longer_than_others() {
    let folder = folder();
    let processes = ["14", "65535"].map(|headers| {
        let mut command = Command::new(compile(&FAKE_IMAGES));
        let child = Child::start(command.arg(folder.path()).args(["200", headers]));
        assert_eq!(child.line(), "ready");
        child
    });
    let mut times = [const { Vec::new() }; 2];
    for _ in 0..3 {
        for (child, times) in processes.iter().zip(&mut times) {
            let begin = std::time::Instant::now();
            let dump = Firstchance::new(&["dump", &child.pid().to_string(), "-o"]);
            dump.arg(folder.path()).run_well();
            times.push(begin.elapsed());
        }
    }
    let [honest, others] = times.map(|times| times.into_iter().min().expect("three"));
    assert!(others < 6 * honest, "{others:?}, else {honest:?}");
}

/// Their parent has waited for them long before the map is read: then it is asked for mapping by mapping.
#[test]
fn n36_children_with_sixty_thousand_mappings_that_die_leave_whole_dumps_and_take_little_memory() {
    let (folder, deep) = (folder(), folder());
    let mut command = Command::new("prlimit");
    command.arg("--core=1").arg(compile(&MANY_NAMES));
    let command = command.arg("60000").current_dir(deep.path());
    let mut parent = Child::start(command.stderr(std::process::Stdio::null()));
    assert_eq!(parent.line(), "ready");
    let running = watch_children(&parent, 100, folder.path());
    running.until_it_dumps_another(|| {
        parent.tell("1");
        assert_eq!(parent.line(), "ended");
    });
    parent.tell("12");
    assert_eq!(parent.line(), "ended");
    running.signal(libc::SIGINT);
    let run = running.finish();
    assert!(run.peak_memory < 100 * MIB, "{run:#?}");
    for dump in run.events("dump") {
        assert_eq!(dump["complete"], true, "{dump:#?}");
        let path = dump["path"].as_str().expect("a path");
        let seen = Firstchance::new(&["inspect", "--json"])
            .arg(path)
            .run_well();
        // Its stack comes last in the map.
        assert!(seen.stdout.contains("main"), "{}", seen.stdout);
    }
}

/// They are read one after the other, and their descriptors and texts are put aside until their dumps are taken.
#[test]
fn n31_children_with_many_descriptors_and_a_large_environment_take_little_memory() {
    children_with_large_facts_take_little_memory("unhandled exception", 60);
}

/// These are traced: each stood at its signal with its facts read, while its dump waited for those of the others.
#[test]
fn n31_traced_children_with_many_descriptors_that_die_together_take_little_memory() {
    children_with_large_facts_take_little_memory("exception \"SIGABRT\" first chance", 20);
}

fn children_with_large_facts_take_little_memory(when: &str, children: usize) {
    let (folder, deep) = (folder(), folder());
    let mut command = Command::new("prlimit");
    command
        .args(["--core=1", "--nofile=4096"])
        .arg(compile(&LARGE_FACTS));
    let command = command.arg(children.to_string()).current_dir(deep.path());
    let mut parent = Child::start(command.stderr(std::process::Stdio::null()));
    assert_eq!(parent.line(), "ready");
    let running = watch_children_for(when, &parent, 2 * children, folder.path());
    let running = running.until_it_says_often("\"event\":\"armed\"", children + 1);
    parent.tell("");
    assert_eq!(parent.line(), "ended");
    let running = running.until_it_says_often("\"event\":\"exited\"", children);
    running.signal(libc::SIGINT);
    let run = running.finish();
    let dumps = run.events("dump");
    assert!(!dumps.is_empty(), "{run:#?}");
    assert_eq!(
        dumps.len() as u64 + unseen(&run),
        children as u64,
        "{run:#?}"
    );
    assert_small(&run);
}

/// The files of `/proc` that a command opens are those of one process, however many there are.
#[test]
fn n43_who_is_named_by_its_pid_is_looked_at_alone() {
    crate::support::judge("strace", "strace");
    let victim = crate::support::Victim::start(&["idle"]);
    let pid = victim.pid_text();
    for words in [
        &["dump", &pid, "-o"][..],
        &["watch", &pid, "--when", "now", "-o"],
        &["procdump", &pid],
        &["procdump", "-ma", &pid],
    ] {
        let folder = folder();
        let trace = folder.path().join("trace");
        let path = trace.to_str().expect("a plain path");
        let strace = [
            "strace",
            // Other calls take no longer than ever: what takes long is copied from a clone, and other clones are looked for first.
            "--seccomp-bpf",
            "-fqqo",
            path,
            "-e",
            "trace=open,openat,readlink,stat",
        ];
        Firstchance::by(&strace)
            .args(words)
            .arg(folder.path())
            .run_well();
        let calls = std::fs::read_to_string(&trace).expect("a trace");
        let of_processes = calls.split("\"/proc/").skip(1).filter_map(|rest| {
            let number = rest.split(['/', '"']).next()?;
            number.parse::<u32>().ok()
        });
        let looked_at: std::collections::BTreeSet<u32> = of_processes.collect();
        assert_eq!(looked_at, [victim.pid()].into(), "{words:?}");
    }
}

const STARTS_MANY: &str = "\
import subprocess, sys
pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.DEVNULL}
children = [subprocess.Popen(sys.argv[2], **pipes) for _ in range(int(sys.argv[1]))]
print('ready', flush=True)
input()
";

/// Each has probes, of which we had 140 KiB mapped.
#[test]
fn n56_two_hundred_processes_that_are_followed_take_little_memory() {
    const CHILDREN: usize = 200;
    let folder = folder();
    let mut command = Command::new("python3");
    command.args(["-c", STARTS_MANY, &CHILDREN.to_string()]);
    let parent = Child::start(command.arg(compile(&PACED)));
    assert_eq!(parent.line(), "ready");
    let running = watch_children(&parent, 1, folder.path());
    let running = running.until_it_says_often("\"event\":\"armed\"", CHILDREN + 1);
    running.signal(libc::SIGINT);
    assert_small(&running.finish());
}

/// To read such a type takes time, each time, in a thread that runs before all others: once kept both processors of a
/// machine busy, so that others hardly ran.
#[test]
fn n31_new_types_are_read_for_a_part_of_each_second() {
    const THROWS: Program = Program::cpp("throws_new_types.cpp");
    const COUNT: u64 = 20_000;
    let mut child = Child::start(&mut Command::new(compile(&THROWS)));
    assert_eq!(child.line(), "ready");
    let watch = [
        "watch",
        "--json",
        "--when",
        "exception",
        "--do",
        "none",
        "-n",
        "0",
    ];
    let running = Firstchance::new(&watch)
        .args(&[&child.pid().to_string()])
        .spawn()
        .until_it_says("\"event\":\"armed\"");
    child.tell(&COUNT.to_string());
    assert_eq!(child.line(), "done");
    child.kill();
    let run = running.finish();
    let table = run.events("exceptions")[0]["table"].clone();
    let rows = table.as_array().expect("a table");
    let count = |row: &serde_json::Value| row["count"].as_u64().expect("a number");
    let is_passed = |row: &&serde_json::Value| row["name"].to_string().contains("not looked at");
    let passed: u64 = rows.iter().filter(is_passed).map(count).sum();
    let all: u64 = rows.iter().map(count).sum();
    // Each of them is counted, and most are not looked at.
    assert_eq!(all, COUNT, "{run:#?}");
    assert!(passed > COUNT / 2, "{passed}: {run:#?}");
}
