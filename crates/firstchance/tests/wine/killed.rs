//! Rows A1 and W1: whatever happens to firstchance, the target lives on.

use crate::machine::{firstchance, victim, wait_until_it_stands, windows_path};
use crate::support::{files_in, folder, slow_tests};

/// All fault points that a full dump passes.
const POINTS: &[&str] = &[
    "create",
    "before-stop",
    "attached",
    "all-stopped",
    "registers",
    "planned",
    "reserve",
    "read-memory",
    "write",
    "released",
    "sync",
    "publish",
];

#[test]
fn w1_killed_at_every_point_the_target_lives() {
    let mut victim = victim(&["selfcheck", "busy"]);
    for point in POINTS {
        let folder = folder();
        let to = windows_path(&folder.path().join("x.dmp"));
        let dump = firstchance(&["dump", "--full", &victim.pid_text(), "-o", &to]);
        let run = dump.failpoint(&format!("{point}:kill9")).run();
        assert_eq!(run.code, Some(137), "{point} was not passed: {run:#?}");
        victim.assert_alive();
        let whole = |file: &std::path::PathBuf| !file.to_string_lossy().ends_with(".partial");
        assert!(!files_in(folder.path()).iter().any(whole), "{point}");
    }
    // Nothing holds the target: it can be dumped again.
    let folder = folder();
    let to = windows_path(&folder.path().join("x.dmp"));
    firstchance(&["dump", &victim.pid_text(), "-o", &to]).run_well();
    victim.assert_alive();
}

#[test]
fn w1_a_panic_while_it_stands_lets_the_target_go() {
    let mut victim = victim(&["selfcheck", "sleep"]);
    let folder = folder();
    let to = windows_path(&folder.path().join("x.dmp"));
    let dump = firstchance(&["dump", &victim.pid_text(), "-o", &to]);
    let run = dump.failpoint("all-stopped:panic").run();
    assert_ne!(run.code, Some(0), "{run:#?}");
    victim.assert_alive();
}

#[test]
fn w1_every_thread_stands_and_goes_on_when_the_dumper_is_killed() {
    let victim = victim(&["spin", "2"]);
    let folder = folder();
    let to = windows_path(&folder.path().join("x.dmp"));
    let dump = firstchance(&["dump", "--full", &victim.pid_text(), "-o", &to]);
    let dumper = dump.failpoint("all-stopped:sleep").spawn();
    wait_until_it_stands(&victim);
    dumper.signal(libc::SIGKILL);
    drop(dumper);
    victim.assert_counting();
}

/// Between the fault points, too: firstchance is killed after so many thousandths of the time that a dump takes.
#[test]
fn w1_killed_at_any_moment_the_target_lives() {
    let mut victim = victim(&["selfcheck", "busy"]);
    let (folder, pid) = (folder(), victim.pid_text());
    let dump = || {
        let to = windows_path(&folder.path().join("x.dmp"));
        firstchance(&["dump", "--full", "--overwrite", &pid, "-o", &to])
    };
    let whole = dump().run_well().took;
    let rounds = if slow_tests() { 100 } else { 10 };
    for round in 0..rounds {
        let dumper = dump().spawn();
        std::thread::sleep(whole * (round * 619 % 1000) / 1000);
        dumper.signal(libc::SIGKILL);
        drop(dumper);
    }
    victim.assert_alive();
    dump().run_well();
    victim.assert_alive();
}

/// No code of firstchance runs in the target or in Windows' own writer of dumps, so that only the copying can hang.
/// `--timeout` ends it then.
#[test]
fn w4_a_writer_that_hangs_is_given_up_and_the_target_goes_on() {
    let mut victim = victim(&["selfcheck", "busy"]);
    let folder = folder();
    let to = windows_path(&folder.path().join("x.dmp"));
    let dump = firstchance(&["dump", "--full", "--timeout", "1s", "-o", &to]);
    let dump = dump.args(&[&victim.pid_text()]).failpoint("copy:sleep");
    dump.run()
        .assert_code(5)
        .assert_says("the time that was set for a dump");
    victim.assert_alive();
    let whole = |file: &std::path::PathBuf| !file.to_string_lossy().ends_with(".partial");
    assert!(!files_in(folder.path()).iter().any(whole));
}

/// Memory that cannot be read is recorded as a gap, and the dump is not complete.
#[test]
fn w4_memory_that_cannot_be_read_is_confessed() {
    let mut victim = victim(&["threads", "1"]);
    let folder = folder();
    let to = windows_path(&folder.path().join("x.dmp"));
    let dump = firstchance(&["dump", "--full", &victim.pid_text(), "-o", &to]);
    let run = dump.failpoint("read-memory:eio").run();
    assert!(
        run.code != Some(0) || run.stdout.contains("of memory are not in it"),
        "{run:#?}"
    );
    victim.assert_alive();
}
