//! Rows A1, A4 and A6: whatever happens to firstchance, the target lives on.

use std::path::Path;

use crate::support::{
    Core, Firstchance, Victim, files_in, folder, proc_status, state_of, victim_exe, wait_until,
};

/// All fault points that a full dump passes.
const POINTS: &[&str] = &[
    "before-stop",
    "seize",
    "interrupt",
    "stopped",
    "all-stopped",
    "registers",
    "space",
    "create",
    "reserve",
    "read-memory",
    "write",
    "detach",
    "sync",
    "publish",
];

/// Asserts that no file in the folder looks like a dump and is none.
fn assert_no_false_dump(folder: &Path, point: &str) {
    for file in files_in(folder) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".partial") {
            assert!(
                !Core::new(&file, victim_exe()).threads().is_empty(),
                "{point}: {name}"
            );
        }
    }
}

#[test]
fn a1_killed_at_every_point_the_target_lives() {
    for kind in ["busy", "sleep"] {
        let mut victim = Victim::start(&["selfcheck", kind]);
        for point in POINTS {
            let folder = folder();
            let path = folder.path().join("x.core");
            let dump = Firstchance::full_dump(victim.pid(), &path);
            let run = dump.failpoint(&format!("{point}:kill9")).run();
            assert_eq!(
                run.signal,
                Some(libc::SIGKILL),
                "{point} was not passed: {run:#?}"
            );
            victim.assert_alive();
            assert_no_false_dump(folder.path(), point);
        }
    }
}

#[test]
fn a1_killed_at_every_point_a_target_of_many_threads_lives() {
    for args in [&["churn", "4"][..], &["threads", "50"]] {
        let mut victim = Victim::start(args);
        for point in POINTS {
            let folder = folder();
            let path = folder.path().join("x.core");
            let dump = Firstchance::full_dump(victim.pid(), &path);
            let run = dump.failpoint(&format!("{point}:kill9")).run();
            assert_eq!(
                run.signal,
                Some(libc::SIGKILL),
                "{point} was not passed: {run:#?}"
            );
            victim.assert_alive();
        }
    }
}

/// A target that was stopped before the dump stays stopped.
#[test]
fn a1_killed_at_every_point_a_stopped_target_stays_stopped() {
    let mut victim = Victim::start(&["idle"]);
    victim.signal(libc::SIGSTOP);
    victim.wait_for_letter('T');
    for point in POINTS {
        let folder = folder();
        let path = folder.path().join("x.core");
        let dump = Firstchance::full_dump(victim.pid(), &path);
        dump.failpoint(&format!("{point}:kill9")).run();
        victim.assert_untraced();
        victim.wait_for_letter('T');
    }
    victim.signal(libc::SIGCONT);
    victim.assert_alive();
}

#[test]
fn a4_asked_to_end_it_lets_the_target_go_and_leaves_no_half_file() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        for point in ["all-stopped", "read-memory"] {
            let mut victim = Victim::start(&["selfcheck"]);
            let folder = folder();
            let path = folder.path().join("x.core");
            let dump = Firstchance::full_dump(victim.pid(), &path);
            let mut running = dump.failpoint(&format!("{point}:stop")).spawn();
            running.wait_until_stopped();
            running.signal(signal);
            let run = running.finish_through_stops();
            run.assert_code(7);
            assert!(
                files_in(folder.path()).is_empty(),
                "{signal} at {point}: {run:#?}"
            );
            victim.assert_alive();
        }
    }
}

/// Nobody reads the output of firstchance. It must release the target nevertheless.
#[test]
fn a4_a_closed_pipe_does_not_end_the_dump() {
    let mut victim = Victim::start(&["selfcheck"]);
    let folder = folder();
    let path = folder.path().join("x.core");
    let exe = env!("CARGO_BIN_EXE_firstchance");
    let line = format!(
        "'{exe}' dump --full {} -o '{}' | true",
        victim.pid(),
        path.display()
    );
    let status = std::process::Command::new("sh")
        .args(["-c", &line])
        .status()
        .unwrap();
    assert!(status.success());
    victim.assert_alive();
    assert_no_false_dump(folder.path(), "a closed pipe");
}

#[test]
fn a6_a_panic_lets_the_target_go() {
    for point in POINTS {
        let mut victim = Victim::start(&["selfcheck"]);
        let folder = folder();
        let path = folder.path().join("x.core");
        let dump = Firstchance::full_dump(victim.pid(), &path);
        let run = dump.failpoint(&format!("{point}:panic")).run();
        run.assert_failed();
        victim.assert_alive();
        assert_no_false_dump(folder.path(), point);
    }
}

/// The target ends before its tracer does. No stopped thread may wait for the tracer then.
#[test]
fn a1_killed_from_outside_while_it_holds_the_target() {
    let mut victim = Victim::start(&["threads", "20"]);
    let folder = folder();
    let path = folder.path().join("x.core");
    let dump = Firstchance::full_dump(victim.pid(), &path).failpoint("all-stopped:stop");
    let mut running = dump.spawn();
    running.wait_until_stopped();
    wait_until("the target stands", || state_of(victim.pid()) == 't');
    running.signal(libc::SIGKILL);
    assert_eq!(running.finish().signal, Some(libc::SIGKILL));
    victim.assert_alive();
}

/// It is killed at any moment of the stop: threads that have ended by then must not be missing in a dump that looks whole.
#[test]
fn b5_b6_a_dump_lacks_no_thread_of_a_process_that_is_killed_while_it_is_stopped() {
    for round in 0..20 {
        let folder = folder();
        let path = folder.path().join("x.core");
        let mut victim = Victim::start(&["threads", "60"]);
        let running = Firstchance::full_dump(victim.pid(), &path).spawn();
        wait_until("it is being stopped, or has been", || {
            let tracer = proc_status(victim.pid(), "TracerPid");
            tracer.is_none_or(|tracer| tracer != "0") || path.exists()
        });
        std::thread::sleep(std::time::Duration::from_micros(round % 5 * 400));
        victim.kill_without_waiting();
        let run = running.finish();
        victim.wait();
        match run.code {
            Some(0) => {
                let threads = Core::new(&path, victim_exe()).threads().len();
                assert!(threads > 60, "{threads} threads: {run:#?}");
            }
            Some(5) => assert!(!path.exists(), "{run:#?}"),
            _ => panic!("{run:#?}"),
        }
    }
}
