//! Row W5: dumps that are refused, and the messages that say why.

use crate::machine::{firstchance, victim, wait_until_it_stands, windows_path};
use crate::support::folder;

#[test]
fn w5_a_process_that_is_gone() {
    let mut victim = victim(&["idle"]);
    let pid = victim.pid_text();
    victim.kill();
    let run = firstchance(&["dump", &pid]).run();
    run.assert_code(3);
    let expected = format!("there is no process {pid}");
    assert!(run.stderr.contains(&expected), "{run:#?}");
}

#[test]
fn w5_a_process_that_another_debugger_has() {
    let mut victim = victim(&["spin", "1"]);
    let pid = victim.pid_text();
    let folder = folder();
    let to = windows_path(&folder.path().join("x.dmp"));
    // The first firstchance holds the process for a minute.
    let first = firstchance(&["dump", &pid, "-o", &to]).failpoint("all-stopped:sleep");
    let first = first.spawn();
    wait_until_it_stands(&victim);
    let second = firstchance(&["dump", &pid, "-o", &format!("{to}.second.dmp")]);
    second.run().assert_code(4).assert_says("already debugged");
    // Its memory can be dumped nevertheless, without stopping it.
    let to = format!("{to}.running.dmp");
    firstchance(&["dump", "--no-stop", &pid, "-o", &to]).run_well();
    first.signal(libc::SIGKILL);
    drop(first);
    victim.assert_alive();
}

#[test]
fn firstchance_does_not_dump_itself_nor_what_is_no_process() {
    let _booted = victim(&["idle"]);
    for odd in ["0", "999999", "nobody.exe"] {
        let run = firstchance(&["dump", odd]).run();
        assert_ne!(run.code, Some(0), "{odd}");
        assert!(run.stderr.starts_with("firstchance: "), "{odd}: {run:#?}");
    }
}
