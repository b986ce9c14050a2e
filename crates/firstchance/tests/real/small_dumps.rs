//! For how long a process stands for a small dump: it follows the number of its threads, and not its memory.

use crate::shared_memory::starts_in;
use crate::support::{
    Child, Core, Dumped, Firstchance, Program, Victim, compile, file_in, folder, proc_status,
    victim_exe,
};
use std::{path::Path, process::Command};

const SEIZES: Program = Program::c("seizes.c");
const MANY_VIEWS: Program = Program::c("many_views.c");
const ROUNDS: usize = 5;
const KINDS: [&str; 2] = ["--mini", "--triage"];

/// For how many milliseconds a victim stands for a dump into `folder`.
fn pause(pid: &str, kind: &str, folder: &tempfile::TempDir) -> f64 {
    let dump = Firstchance::new(&["dump", kind, "--json", "--overwrite", pid, "-o"]);
    let run = dump.arg(file_in(folder, "x.core")).run_well();
    let record: serde_json::Value = serde_json::from_str(&run.stdout).expect("a record");
    record["pause-ms"].as_f64().expect("a time")
}

/// For how many milliseconds it stands for the least that can be done.
fn least(victim: &Victim) -> f64 {
    let output = Command::new(compile(&SEIZES))
        .arg(victim.pid_text())
        .output();
    let text = String::from_utf8(output.expect("it runs").stdout).expect("a number");
    text.trim().parse::<f64>().expect("microseconds") / 1e3
}

/// The best of some rounds: others run on this machine, too.
fn best(mut measure: impl FnMut() -> f64) -> f64 {
    (0..ROUNDS).map(|_| measure()).fold(f64::INFINITY, f64::min)
}

/// All page tables of 2 GiB were walked while it stood, which took six times as long as all else.
#[test]
fn s2_the_pause_of_small_dumps_does_not_grow_with_memory() {
    let folder = folder();
    let small = Victim::start(&["pause", "64"]);
    let mut large = Victim::start(&["pause", "2048"]);
    for kind in KINDS {
        let of_small = best(|| pause(&small.pid_text(), kind, &folder));
        let of_large = best(|| pause(&large.pid_text(), kind, &folder));
        println!("{kind}: {of_small} ms with 64 MiB, {of_large} ms with 2 GiB");
        assert!(
            of_large < 2.0 * of_small + 2.0,
            "{kind}: {of_large} ms, with 64 MiB {of_small} ms"
        );
    }
    large.assert_alive();
}

/// As Java's ZGC has its heap, which stood for longer than for a full dump: page tables were walked, and the object, for each
/// mapping.
#[test]
fn s2_the_pause_of_small_dumps_does_not_grow_with_shared_memory() {
    let folder = folder();
    let victim = |pages: u64| {
        let mut command = Command::new(compile(&MANY_VIEWS));
        let child = Child::start(command.arg(pages.to_string()));
        child.line();
        child
    };
    let (small, large) = (victim(256), victim(160 << 10));
    for kind in KINDS {
        let pause = |child: &Child| best(|| pause(&child.pid().to_string(), kind, &folder));
        let (of_small, of_large) = (pause(&small), pause(&large));
        println!("{kind}: {of_small} ms with 1 MiB, {of_large} ms with 640 MiB");
        assert!(
            of_large < 2.0 * of_small + 2.0,
            "{kind}: {of_large} ms, with 1 MiB {of_small} ms"
        );
    }
}

/// What its stack points at is there by each mapping, also where the process has touched it by another one only. What does not
/// exist is not made.
#[test]
fn s2_a_mini_dump_has_what_is_pointed_at_of_shared_memory() {
    let exe = compile(&MANY_VIEWS);
    let child = Child::start(Command::new(&exe).arg("4096"));
    let starts = starts_in(child.line().trim_end_matches(" ready"));
    let resident = || proc_status(child.pid(), "RssShmem");
    let before = resident();
    let dumped = Dumped::with(child.pid(), &["--mini"]);
    assert_eq!(resident(), before);
    let core = Core::new(&dumped.path, &exe);
    for start in starts {
        let words = core.words(&[start, start + (8 << 20)]);
        assert_eq!(words, [Some(u64::from(b'V') << 56), None], "{start:#x}");
    }
}

/// The bound is for a program that is not optimised, on a machine that does other things.
#[test]
fn s2_the_pause_of_small_dumps_follows_the_number_of_threads() {
    let folder = folder();
    for threads in ["200", "2000"] {
        let mut victim = Victim::start(&["threads", threads]);
        for kind in KINDS {
            // Both at about the same time: others run here too.
            let is_short = |_| {
                let least = best(|| least(&victim));
                let pause = best(|| pause(&victim.pid_text(), kind, &folder));
                println!("{threads} threads, {kind}: {pause} ms, at least {least} ms");
                pause < 40.0 * least + 10.0
            };
            assert!((0..4).any(is_short), "{threads} threads, {kind}");
        }
        victim.assert_alive();
    }
}

/// A mini dump has what its stacks point at, also of memory of which only that is looked at. What it does not have, a
/// debugger does not take for zeros.
#[test]
fn s2_a_mini_dump_of_much_memory_has_what_is_pointed_at_and_nothing_invented() {
    let victim = Victim::start(&["pause", "64"]);
    let memory = victim.address("memory");
    let pages = |dumped: &Dumped| {
        let core = Core::new(&dumped.path, victim_exe());
        core.words(&[memory + 8, memory + (40 << 20)])
    };
    let full = pages(&Dumped::full(victim.pid()));
    let mini = pages(&Dumped::with(victim.pid(), &["--mini"]));
    assert!(full[0].is_some() && full[1].is_some(), "{full:x?}");
    assert_eq!(mini, [full[0], None]);
}

/// What a small dump shows as resident is what the system tells.
#[test]
fn s2_a_small_dump_tells_how_much_is_resident() {
    let victim = Victim::start(&["pause", "64"]);
    for kind in KINDS {
        let dumped = Dumped::with(victim.pid(), &[kind]);
        let shown = Firstchance::new(&["inspect", "--json"])
            .arg(&dumped.path)
            .run_well();
        let shown: serde_json::Value = serde_json::from_str(&shown.stdout).expect("JSON");
        let classes = shown["memory"]
            .as_array()
            .unwrap_or_else(|| panic!("{shown}"));
        let resident = classes
            .iter()
            .filter_map(|class| class["resident-bytes"].as_u64());
        assert!(resident.sum::<u64>() > 64 << 20, "{kind}: {shown}");
    }
}

/// A page that was never touched is not made by a look at it.
#[test]
fn s2_a_small_dump_makes_no_pages_in_the_process() {
    let victim = Victim::start(&["pause", "64"]);
    let resident = |victim: &Victim| {
        let text =
            std::fs::read_to_string(Path::new("/proc").join(victim.pid_text()).join("status"));
        let text = text.expect("its status");
        let line = text
            .lines()
            .find(|line| line.starts_with("RssAnon"))
            .expect("a line");
        line.to_owned()
    };
    let before = resident(&victim);
    KINDS
        .iter()
        .for_each(|kind| drop(Dumped::with(victim.pid(), &[kind])));
    assert_eq!(before, resident(&victim));
}
