//! Rows B10 to B14, B18 and B19: threads that cannot be stopped, are many, or come and go.

use std::process::Command;
use std::time::Duration;

use victim::Slot;

use crate::support::{
    Child, Core, DEADLINE, Dumped, Firstchance, LoopDisk, Victim, folder, must, readelf, state_of,
    threads_of, wait_until,
};

#[test]
fn threads_have_their_registers_and_stacks() {
    let mut victim = Victim::start(&["threads", "5"]);
    let dumped = Dumped::full(victim.pid());
    victim.assert_alive();
    let mut tids = threads_of(victim.pid());
    tids.sort_unstable();
    let core = dumped.core();
    assert_eq!(core.threads(), tids);
    for (index, tid) in tids[1..].iter().enumerate() {
        let mark = 0x6d61_726b_0000_0000 + index as u64;
        let registers = core.registers(*tid, &["rbx", "rbp", "r12", "r15", "rsp"]);
        assert_eq!(registers[..4], [mark; 4]);
        assert_eq!(core.word(registers[4]), Some(mark));
    }
}

#[test]
fn registers_of_every_kind_are_right() {
    let victim = Victim::start(&["avx"]);
    if victim.has("unavailable") {
        println!("not judged here: {}", victim.fact("unavailable"));
        return;
    }
    let dumped = Dumped::full(victim.pid());
    victim.assert_counting();
    let core = dumped.core();
    let names = [
        "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r14", "r15",
    ];
    let numbers = [0, 1, 2, 3, 4, 5, 6, 8, 14];
    let mut values: Vec<u64> = numbers.iter().map(|n| 0xa0a0_0000_0000_0000 + n).collect();
    values.push(victim.address("counter"));
    assert_eq!(core.registers(victim.pid(), &names), values);
    for register in 0..16_u64 {
        let lanes =
            (0..4).map(|lane| format!("{:#x}", 0xb0b0_0000_0000_0000 | (register << 8) | lane));
        let shown = core.gdb(&[&format!("p/x $ymm{register}.v4_int64")]);
        let lanes: Vec<String> = lanes.collect();
        assert!(shown.contains(&lanes.join(", ")), "ymm{register}: {shown}");
    }
}

#[test]
fn b10_a_parent_that_waits_in_vfork_is_dumped_all_the_same() {
    let victim = Victim::start(&["vfork"]);
    victim.wait_for_letter('D');
    let dumped = Dumped::full(victim.pid());
    dumped.run.assert_says("could not be stopped");
    dumped.run.assert_says("shares its memory and ran on");
    assert!(
        dumped.run.took < Duration::from_secs(20),
        "{:#?}",
        dumped.run
    );
    assert_eq!(dumped.core().threads(), [victim.pid()]);
    victim.assert_untraced();
    assert_eq!(victim.letter(), 'D');
}

/// A thread that waits for a frozen file system cannot be reached by a signal.
#[test]
fn b11_a_target_in_uninterruptible_sleep_is_dumped_all_the_same() {
    let frozen = Frozen::new();
    let mut writer = Command::new("sh");
    writer
        .args(["-c", "echo ready $$; exec 3>\"$1\"; echo thawed", "sh"])
        .arg(frozen.file());
    let writer = Child::start(&mut writer);
    writer.lines_until("ready");
    wait_until("it hangs", || state_of(writer.pid()) == 'D');
    let folder = folder();
    let path = folder.path().join("x.core");
    let run = Firstchance::full_dump(writer.pid(), &path).run_well();
    run.assert_says("could not be stopped");
    drop(frozen);
    assert_eq!(writer.line(), "thawed");
    assert_eq!(Core::alone(&path).threads(), [writer.pid()]);
}

/// A small file system, which is frozen. It is thawed when this is dropped.
struct Frozen(LoopDisk);

impl Frozen {
    fn new() -> Frozen {
        let disk = LoopDisk::new(&["mkfs.ext4", "-q", "-F"], "e2fsprogs", 16 << 20);
        must(Command::new("fsfreeze").arg("--freeze").arg(disk.mount()));
        Frozen(disk)
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.mount().join("new")
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let mut command = Command::new("fsfreeze");
        let _ = command.arg("--unfreeze").arg(self.0.mount()).status();
    }
}

#[test]
fn b12_zombie_leader_is_no_hindrance() {
    let mut victim = Victim::start(&["zombie-leader"]);
    let dumped = Dumped::full(victim.pid());
    victim.assert_alive();
    assert_eq!(victim.letter(), 'Z');
    let survivor = threads_of(victim.pid())
        .into_iter()
        .find(|tid| *tid != victim.pid())
        .unwrap();
    let core = dumped.core();
    assert!(core.threads().contains(&survivor), "{:?}", core.threads());
    let sp = core.registers(survivor, &["rsp"])[0];
    assert!(core.word(sp).is_some());
}

#[test]
fn b13_thread_storm_leaves_no_thread_traced() {
    let mut victim = Victim::start(&["churn", "8"]);
    for _ in 0..10 {
        let dumped = Dumped::full(victim.pid());
        victim.assert_alive();
        victim.assert_counting();
        let threads = dumped.core().threads().len();
        assert!(threads > 8, "{threads} threads");
    }
}

#[test]
fn b14_ten_thousand_threads_fit_into_little_memory_and_few_descriptors() {
    const THREADS: usize = 10_000;
    let mut victim = Victim::start(&["threads", &THREADS.to_string()]);
    let folder = folder();
    let path = folder.path().join("x.core");
    let few = Firstchance::by(&["prlimit", "--nofile=128"]).args(&["dump", "--full"]);
    let dump = few
        .args(&[&victim.pid_text(), "-o"])
        .arg(&path)
        .deadline(DEADLINE * 3);
    let run = dump.run_well();
    run.assert_says("paused");
    victim.assert_alive();
    assert!(run.peak_memory < 64 << 20, "{} MiB", run.peak_memory >> 20);
    let notes = readelf(&["-n"], &path);
    assert_eq!(notes.matches("NT_PRSTATUS").count(), THREADS + 1);
}

/// The system calls of the victim's mode `blocked`, also those that return EINTR after a stop if the debugger
/// does not prevent it.
#[test]
fn b18_blocked_system_calls_go_on() {
    const CALLS: [&str; 15] = [
        "read",
        "inotify",
        "nanosleep",
        "clock_nanosleep",
        "epoll_wait",
        "poll",
        "select",
        "futex",
        "sigtimedwait",
        "pause",
        "semop",
        "msgrcv",
        "recv",
        "recv-timeout",
        "wait",
    ];
    for call in CALLS {
        let victim = Victim::start(&["blocked", call]);
        victim.wait_for_letter('S');
        let number = || std::fs::read_to_string(format!("/proc/{}/syscall", victim.pid())).unwrap();
        wait_until("it is in its call", || number() != "running\n");
        let before = number();
        for _ in 0..3 {
            Dumped::with(victim.pid(), &["--mini", "--format", "core"]);
        }
        victim.assert_untraced();
        victim.wait_for_letter('S');
        let counts = [Slot::Interrupted, Slot::Returned].map(|slot| victim.state.get(slot));
        assert_eq!(counts, [0, 0], "{call}: EINTR, returns");
        // A sleep is continued by the system call restart_syscall.
        let numbers = [first_word(&before), "219"].map(str::to_owned);
        assert!(
            numbers.iter().any(|n| n == first_word(&number())),
            "{call}: {}",
            number()
        );
    }
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

#[test]
fn b19_a_hundred_dumps_leave_a_busy_target_as_it_was() {
    for kind in ["busy", "sleep"] {
        let mut victim = Victim::start(&["selfcheck", kind]);
        let before = trace(&victim);
        for _ in 0..100 {
            Dumped::with(victim.pid(), &["--mini", "--format", "core"]);
        }
        victim.assert_alive();
        assert_eq!(trace(&victim), before, "{kind}");
    }
}

/// What dumps might leave behind in a process: the numbers of descriptors, threads and mappings, and its
/// children.
fn trace(victim: &Victim) -> (usize, usize, usize, String) {
    let pid = victim.pid();
    let count = |path: &str| {
        std::fs::read_dir(format!("/proc/{pid}/{path}"))
            .unwrap()
            .count()
    };
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))
        .unwrap()
        .lines()
        .count();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    (count("fd"), count("task"), maps, children)
}
