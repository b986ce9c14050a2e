//! Notes of cores that the kernel and gcore write, read by elfutils and by gdb.

use std::process::Command;

use crate::support::{
    Child, Core, Dumped, Program, Victim, compile, judge, state_of, victim_exe, wait_until,
};

/// The output of a tool of elfutils.
fn elfutils(program: &str, words: &[&str], dumped: &Dumped) -> String {
    judge(program, "elfutils");
    let output = Command::new(program).args(words).arg(&dumped.path).output();
    String::from_utf8_lossy(&output.expect("it runs").stdout).into_owned()
}

/// The frames that eu-stack finds in a core, one line for each.
fn frames(kind: &str, pid: u32) -> Vec<String> {
    let dumped = Dumped::with(pid, &[kind, "--format", "core"]);
    let exe = victim_exe().display().to_string();
    let shown = elfutils("eu-stack", &["--executable", &exe, "--core"], &dumped);
    let lines = shown.lines().filter(|line| line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

#[test]
fn n17_elfutils_finds_the_stacks_of_triage_and_mini_cores() {
    let victim = Victim::start(&["threads", "5"]);
    let full = frames("--full", victim.pid());
    assert!(full.len() > 20, "{full:?}");
    for kind in ["--triage", "--mini", "--plus"] {
        assert_eq!(frames(kind, victim.pid()), full, "{kind}");
    }
}

/// A field of `/proc/PID/stat`, by its number in the manual page. The name of the process has no blank.
fn stat_field(pid: u32, number: usize) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let field = text.split_whitespace().nth(number - 1);
    field
        .and_then(|field| field.parse().ok())
        .expect("a number")
}

#[test]
fn n17_flags_of_the_process_and_times_of_its_children_are_told() {
    let burn = "(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done); echo ready; read line";
    let child = Child::start(Command::new("sh").args(["-c", burn]));
    assert_eq!(child.line(), "ready");
    wait_until("it reads", || state_of(child.pid()) == 'S');
    let ticks = stat_field(child.pid(), 16);
    assert!(ticks > 0, "its child has used CPU time");
    let dumped = Dumped::full(child.pid());
    let notes = elfutils("eu-readelf", &["-n"], &dumped);
    // A tick is 10 ms.
    let time = format!("cutime: {}.{:02}0000", ticks / 100, ticks % 100);
    assert!(notes.contains(&time), "{time}: {notes}");
    let flags = format!("flag: 0x{:016x}", stat_field(child.pid(), 9));
    assert!(notes.contains(&flags), "{flags}: {notes}");
}

#[test]
fn n17_a_thread_that_stands_for_the_dump_stands_on_sigstop_and_inspect_says_on_demand() {
    let victim = Victim::start(&["threads", "2"]);
    let dumped = Dumped::full(victim.pid());
    let shown = dumped
        .core()
        .gdb(&["p $_siginfo.si_signo", "thread 2", "p $_siginfo.si_signo"]);
    assert!(
        shown.contains("$1 = 19") && shown.contains("$2 = 19"),
        "{shown}"
    );
    assert!(!shown.contains("terminated with signal"), "{shown}");
    let inspected = crate::support::Firstchance::new(&["inspect"])
        .arg(&dumped.path)
        .run_well();
    inspected.assert_says("Manual dump");
    assert!(
        !inspected.stdout.contains("SIGSTOP"),
        "{}",
        inspected.stdout
    );
}

#[test]
fn n17_the_segments_of_a_32_bit_thread_are_told() {
    let exe = compile(&Program::c32("idle32.c"));
    let child = Child::start(&mut Command::new(&exe));
    assert_eq!(child.line(), "ready");
    let dumped = Dumped::full(child.pid());
    let notes = elfutils("eu-readelf", &["-n"], &dumped);
    assert!(
        notes.contains("386_TLS") && notes.contains("0x12345000"),
        "{notes}"
    );
    let shown = Core::new(&dumped.path, &exe).gdb(&["info threads"]);
    assert!(
        shown.contains("LWP") || shown.contains("process"),
        "{shown}"
    );
}
