//! Rows B1 to B6 and B15: what happens to the target while it is held.

use std::{process::Command, time::Duration};

use crate::dump_refuse::assert_empty;
use crate::support::{
    Child, Core, Dumped, Firstchance, Program, Running, Victim, compile, files_in, folder,
    state_of, threads_of, victim_exe, wait_until,
};

/// Long for a command that ends, and short for one that never does.
const SOON: Duration = Duration::from_secs(20);

/// Begins a dump that waits at the fault point where all threads are stopped.
fn held(victim: &Victim, file: &std::path::Path) -> Running {
    let dump = Firstchance::full_dump(victim.pid(), file).failpoint("all-stopped:stop");
    let mut running = dump.spawn();
    running.wait_until_stopped();
    running
}

#[test]
fn b1_a_stopped_target_stays_stopped() {
    let mut victim = Victim::start(&["idle"]);
    victim.signal(libc::SIGSTOP);
    victim.wait_for_letter('T');
    let dumped = Dumped::full(victim.pid());
    assert_eq!(dumped.core().threads(), [victim.pid()]);
    victim.assert_untraced();
    assert_eq!(victim.letter(), 'T');
    victim.signal(libc::SIGCONT);
    victim.assert_alive();
}

#[test]
fn b2_continued_while_held_it_runs_afterwards() {
    let mut victim = Victim::start(&["idle"]);
    victim.signal(libc::SIGSTOP);
    victim.wait_for_letter('T');
    let folder = folder();
    let running = held(&victim, &folder.path().join("x.core"));
    victim.signal(libc::SIGCONT);
    running.go_on();
    running.finish().assert_code(0);
    victim.assert_alive();
    victim.wait_for_letter('S');
}

#[test]
fn b3_stopped_while_held_it_is_stopped_afterwards() {
    let mut victim = Victim::start(&["idle"]);
    let folder = folder();
    let running = held(&victim, &folder.path().join("x.core"));
    victim.signal(libc::SIGSTOP);
    running.go_on();
    running.finish().assert_code(0);
    victim.assert_untraced();
    victim.wait_for_letter('T');
    victim.signal(libc::SIGCONT);
    victim.assert_alive();
}

#[test]
fn b4_terminated_while_held_it_dies_of_that_afterwards() {
    use std::os::unix::process::ExitStatusExt as _;
    let mut victim = Victim::start(&["idle"]);
    let folder = folder();
    let running = held(&victim, &folder.path().join("x.core"));
    victim.signal(libc::SIGTERM);
    running.go_on();
    running.finish().assert_code(0);
    assert_eq!(victim.wait().signal(), Some(libc::SIGTERM));
}

/// It depends on time whether the rest can still be copied. An incomplete dump must never look complete.
#[test]
fn b5_killed_while_held_or_copied_the_dump_says_so() {
    for point in [
        "all-stopped:stop",
        "registers:stop",
        "read-memory:stop",
        "write:stop",
    ] {
        let mut victim = Victim::start(&["idle"]);
        let folder = folder();
        let path = folder.path().join("x.core");
        let mut running = Firstchance::full_dump(victim.pid(), &path)
            .failpoint(point)
            .spawn();
        running.wait_until_stopped();
        victim.kill_without_waiting();
        let run = running.finish_through_stops();
        println!("{point}: {run:?}");
        match run.code {
            Some(0) => assert_eq!(files_in(folder.path()), [path]),
            Some(5) => assert!(!path.exists(), "{point}: an incomplete dump looks whole"),
            _ => panic!("{point}: {run:#?}"),
        }
    }
}

#[test]
fn b6_a_target_that_ends_meanwhile_leaves_a_whole_dump_or_none() {
    for point in ["before-stop:stop", "seize:stop"] {
        let mut victim = Victim::start(&["exit", "3"]);
        let folder = folder();
        let path = folder.path().join("x.core");
        let mut running = Firstchance::full_dump(victim.pid(), &path)
            .failpoint(point)
            .spawn();
        running.wait_until_stopped();
        victim.tell("end");
        // A seized thread is gone only when its tracer has waited for it.
        victim.wait_for_letters("ZXt");
        let run = running.finish_through_stops();
        match run.code {
            // It was stopped at its very end, with all its memory.
            Some(0) => {
                let core = Core::new(&path, victim_exe());
                assert_eq!(core.threads(), [victim.pid()]);
            }
            Some(3 | 5) => assert!(files_in(folder.path()).is_empty(), "{point}: {run:#?}"),
            _ => panic!("{point}: {run:#?}"),
        }
        assert_eq!(victim.wait().code(), Some(3), "{point}");
    }
}

/// Whether the new program runs, or a thread waits in the kernel until the others have ended.
fn is_executing(pid: u32) -> bool {
    let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command.contains("idle") || threads_of(pid).iter().any(|tid| state_of(*tid) == 'D')
}

#[test]
fn b15_a_target_that_becomes_another_program_is_let_go() {
    for point in ["interrupt:stop", "before-stop:stop"] {
        let mut victim = Victim::start(&["exec-by-thread"]);
        let folder = folder();
        let path = folder.path().join("x.core");
        let mut running = Firstchance::full_dump(victim.pid(), &path)
            .failpoint(point)
            .spawn();
        running.wait_until_stopped();
        victim.tell("exec");
        wait_until("the exec is done or waits for its other threads", || {
            is_executing(victim.pid())
        });
        let run = running.finish_through_stops();
        println!("{point}: {run:?}");
        match run.code {
            // The new program was running before the dump began, and is dumped.
            Some(0) => assert_eq!(point, "before-stop:stop"),
            _ => assert!(matches!(run.code, Some(5)), "{point}: {run:#?}"),
        }
        assert_eq!(path.exists(), run.code == Some(0), "{point}");
        victim.wait_until_ready();
        victim.assert_alive();
    }
}

/// Its parent traces one of its threads, and never lets that end: to seize another one waits for that, in the kernel.
#[test]
fn n43_a_process_that_hangs_in_an_execve_is_given_up() {
    const HANGS: Program = Program::c("hangs_in_execve.c");
    let mut hangs = Child::start(&mut Command::new(compile(&HANGS)));
    let pid = hangs.line();
    let folder = folder();
    let dump = Firstchance::new(&["dump", &pid]).current_dir(folder.path());
    let run = dump.deadline(SOON).run();
    run.assert_says("becoming another program (execve) and does not get there");
    assert_empty(folder.path());
    // Nor does a watch hang that is to end.
    let when = ["watch", "--when", "virtual > 1KiB", "-n", "0"];
    let watch = Firstchance::new(&when).args(&[&pid]).deadline(SOON);
    let running = watch.current_dir(folder.path()).spawn();
    let running = running.until_it_says("does not get there");
    running.signal(libc::SIGINT);
    running.finish().assert_code(7);
    assert_empty(folder.path());
    hangs.tell("");
    hangs.wait();
}
