//! ProcDump's own command lines, and the monitors behind them.

use std::path::Path;

use crate::machine::{firstchance, victim};
use crate::support::{Firstchance, files_in, folder, stackwalk, wait_until};

fn procdump(folder: &Path, args: &[&str]) -> Firstchance {
    firstchance(&["procdump"]).args(args).current_dir(folder)
}

fn assert_dumps(folder: &Path, count: usize, threads: usize) {
    let files = files_in(folder);
    assert_eq!(files.len(), count, "{files:?}");
    for file in files {
        let walked = stackwalk(&file);
        assert_eq!(walked["thread_count"], threads, "{}", file.display());
    }
}

#[test]
fn procdump_ma() {
    let mut victim = victim(&["threads", "2"]);
    let folder = folder();
    procdump(folder.path(), &["-ma", &victim.pid_text()]).run_well();
    assert_dumps(folder.path(), 1, 3);
    victim.assert_alive();
}

#[test]
fn procdump_a_series() {
    let mut victim = victim(&["threads", "2"]);
    let folder = folder();
    let line = ["-ma", "-n", "2", "-s", "1", &victim.pid_text()];
    let run = procdump(folder.path(), &line).run_well();
    assert!(run.stdout.contains("Dump count reached"), "{run:#?}");
    assert_dumps(folder.path(), 2, 3);
    victim.assert_alive();
}

#[test]
fn procdump_above_a_share_of_the_processors() {
    // Many threads, so that a busy machine gives them their share all the same.
    let victim = victim(&["spin", "8"]);
    let folder = folder();
    let line = ["-ma", "-n", "1", "-s", "2", "-c", "20", &victim.pid_text()];
    let run = procdump(folder.path(), &line).run_well();
    assert!(run.stdout.contains("cpu >= 20%"), "{run:#?}");
    assert_eq!(files_in(folder.path()).len(), 1);
    victim.assert_counting();
}

#[test]
fn procdump_above_a_commit() {
    let victim = victim(&["threads", "1"]);
    let folder = folder();
    let line = ["-n", "1", "-s", "1", "-m", "2", &victim.pid_text()];
    procdump(folder.path(), &line).run_well();
    assert_dumps(folder.path(), 1, 2);
}

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
    assert!(run.stdout.contains("cancel"), "{run:#?}");
    victim.assert_alive();
}
