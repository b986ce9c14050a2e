//! What a watch does at levels, at the end and start of processes, and with programs that it starts.

use crate::machine::{firstchance, victim, victim_copy, windows_path};
use crate::support::{files_in, folder, wait_until};

#[test]
fn a_monitor_ends_when_it_is_asked_to() {
    let mut victim = victim(&["threads", "1"]);
    let folder = folder();
    let pid = victim.pid_text();
    let watch = firstchance(&["watch", &pid, "--when", "memory > 900GiB"]);
    let monitor = watch.current_dir(folder.path()).spawn();
    wait_until("the monitor can be reached", || {
        firstchance(&["cancel", &pid]).run().code == Some(0)
    });
    let run = monitor.finish();
    run.assert_code(7).assert_says("cancel");
    victim.assert_alive();
}

#[test]
fn levels_of_every_kind_take_their_dumps() {
    let victim = victim(&["leak", "8"]);
    for condition in [
        "memory >= 1MiB",
        "rss > 1MiB",
        "virtual > 1MiB",
        "threads >= 1",
        "handles >= 1",
        "memory < 4GiB and threads < 100",
        "every 1s",
        "now",
    ] {
        let folder = folder();
        let watch = firstchance(&["watch", &victim.pid_text(), "--when", condition]);
        let run = watch.args(&["-n", "1"]).current_dir(folder.path()).run();
        run.assert_code(0);
        assert_eq!(files_in(folder.path()).len(), 1, "{condition}: {run:#?}");
    }
}

#[test]
fn a_program_that_firstchance_starts_runs_with_its_arguments_and_its_end_is_seen() {
    let (programs, dumps) = (folder(), folder());
    let program = windows_path(&victim_copy(programs.path(), "ends.exe"));
    let run = firstchance(&["run", "--when", "threads > 1000", "--", &program])
        .args(&["exit", "3"])
        .current_dir(dumps.path())
        .run();
    // The process ended before the dump that was asked for.
    run.assert_code(5).assert_says("Dump count not reached");
    assert!(files_in(dumps.path()).is_empty());
}

/// A started program waits, suspended, until the watch is ready. If firstchance is killed then, nothing else would
/// resume it, so that it must end.
#[test]
fn w1_killed_between_the_start_of_a_program_and_its_first_instruction_nothing_is_left() {
    let programs = folder();
    let program = windows_path(&victim_copy(programs.path(), "orphan.exe"));
    let run = firstchance(&["run", "--when", "now", "--", &program, "idle"])
        .failpoint("launched:kill9")
        .run();
    assert_eq!(run.code, Some(137), "{run:#?}");
    wait_until("the program that never began is gone", || {
        !firstchance(&["ps", "orphan.exe"])
            .run_well()
            .stdout
            .contains("orphan.exe")
    });
}

/// Once a started program runs, it is independent.
#[test]
fn w1_a_program_that_was_started_outlives_us() {
    let (programs, dumps) = (folder(), folder());
    let copy = victim_copy(programs.path(), "outlives.exe");
    let program = windows_path(&copy);
    let rule = ["run", "--when", "memory > 900GiB", "--", &program];
    let monitor = firstchance(&rule)
        .args(&["idle"])
        .current_dir(dumps.path())
        .spawn();
    let is_there = || {
        let listed = firstchance(&["ps", "outlives.exe"]).run_well().stdout;
        listed.contains("outlives.exe")
    };
    let monitor = monitor.until_it_says("ready ");
    monitor.signal(libc::SIGKILL);
    drop(monitor);
    assert!(is_there());
    firstchance(&["dump", "outlives", "-o", &windows_path(dumps.path())]).run_well();
    firstchance(&["procdump", "-k", "outlives", &windows_path(dumps.path())]).run_well();
}
