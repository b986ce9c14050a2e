//! The ways to name a process, and the list of processes.

use crate::machine::{firstchance, started, victim, victim_copy, windows_path};
use crate::support::{files_in, folder};

#[test]
fn a_worker_is_found_by_its_pool_and_the_scm_site_is_marked() {
    let programs = folder();
    let w3wp = victim_copy(programs.path(), "w3wp.exe");
    let shop = started(&w3wp, &["idle", "-ap", "shop pool"]);
    let scm = started(&w3wp, &["idle", "-ap", "~1shop pool"]);
    let listed = firstchance(&["ps", "w3wp"]).run_well().stdout;
    assert!(listed.contains("[pool shop pool]"), "{listed}");
    assert!(
        listed.contains("[pool ~1shop pool, the SCM site]"),
        "{listed}"
    );
    let run = firstchance(&["dump", "w3wp"]).run();
    run.assert_code(3).assert_says("the SCM site");
    let dumps = folder();
    let to = windows_path(&dumps.path().join("PID.dmp"));
    firstchance(&["dump", "pool:shop pool", "-o", &to]).run_well();
    let expected = dumps.path().join(format!("{}.dmp", shop.pid_text()));
    assert_eq!(files_in(dumps.path()), [expected]);
    drop(scm);
}

#[test]
fn a_service_is_found_by_its_name() {
    // A service of Wine, which runs as long as any program does.
    let folder = folder();
    let to = windows_path(&folder.path().join("PROCESSNAME.dmp"));
    firstchance(&["dump", "service:PlugPlay", "-o", &to]).run_well();
    let expected = folder.path().join("plugplay.exe.dmp");
    assert_eq!(files_in(folder.path()), [expected]);
}

#[test]
fn piped_output_is_utf8_and_no_console_is_needed() {
    let programs = folder();
    let program = victim_copy(programs.path(), "größe_ж.exe");
    let named = started(&program, &["idle"]);
    let listed = firstchance(&["ps", "größe"]).run_well().stdout;
    assert!(listed.contains("größe_ж.exe"), "{listed}");
    let folder = folder();
    let to = windows_path(&folder.path().join("größe_ж.dmp"));
    let run = firstchance(&["dump", "größe_ж", "-o", &to]).run_well();
    assert!(run.stdout.contains("größe_ж.dmp"), "{run:#?}");
    assert_eq!(files_in(folder.path()), [folder.path().join("größe_ж.dmp")]);
    drop(named);
}

#[test]
fn counters_and_the_doctor_speak_of_windows() {
    let victim = victim(&["threads", "3"]);
    let counters = firstchance(&["counters", &victim.pid_text()])
        .run_well()
        .stdout;
    assert!(!counters.contains("/proc"), "{counters}");
    let threads = counters.lines().find(|line| line.contains("Thread Count"));
    let threads = threads.expect("the count of threads").split_whitespace();
    assert!(threads.clone().any(|word| word == "4"), "{counters}");
    let doctor = firstchance(&["doctor"]).run_well().stdout;
    assert!(doctor.contains("SeDebugPrivilege"), "{doctor}");
}
