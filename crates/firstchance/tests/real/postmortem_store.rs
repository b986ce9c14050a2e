//! What becomes of many dumps of crashes: limits, counts, lists.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

use crate::support::{Firstchance, Postmortem, Tmpfs, files_in, proc_status, wait_until};

#[test]
fn e7_a_crash_loop_is_counted_and_not_stored() {
    let machine = Postmortem::enabled(&[]);
    for _ in 0..10 {
        machine.crash(&["end=segv"]);
    }
    machine.crash(&["end=abort"]);
    let list = machine.list();
    let counts: Vec<_> = list
        .iter()
        .map(|dump| dump["count"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [1, 10], "{list:?}");
}

#[test]
fn e8_crashes_at_once_each_leave_a_dump() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    let start = |_| machine.command(&["end=segv"]).spawn().unwrap();
    let children: Vec<_> = (0..8).map(start).collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGSEGV));
    }
    assert_eq!(machine.dumps().len(), 8);
    assert!(machine.list().iter().all(|dump| dump["complete"] == true));
}

#[test]
fn e12_a_large_process_is_dumped_with_little_memory() {
    let machine = Postmortem::enabled(&[]);
    machine.failpoint("released:stop");
    let mut child = machine.command(&["mib=1024", "end=segv"]).spawn().unwrap();
    let handler = machine.handler_of(child.id());
    wait_until("the handler stands", || {
        crate::support::state_of(handler) == 'T'
    });
    let peak = proc_status(handler, "VmHWM").unwrap();
    crate::postmortem::signal(handler, libc::SIGCONT);
    child.wait().unwrap();
    let peak: u64 = peak.trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 64 << 10, "{peak} kB");
    let dump = machine.only_dump();
    assert!(dump.metadata().unwrap().len() > 1 << 30);
}

#[test]
fn e12_what_is_too_large_for_the_disk_becomes_a_mini_dump() {
    let disk = Tmpfs::new("32m");
    let machine = Postmortem::enabled(&[]);
    let folder = disk.path().join("dumps");
    machine.set(
        &machine.program,
        &["--type", "full", "--folder", folder.to_str().unwrap()],
    );
    machine.crash(&["mib=64", "end=segv"]);
    let dumps = files_in(&folder);
    assert_eq!(dumps.len(), 1, "{dumps:?}");
    let record = machine.record(&dumps[0]);
    assert_eq!(
        (&record["kind"], &record["complete"]),
        (&"mini".into(), &true.into())
    );
    assert!(
        record["comment"]
            .as_str()
            .unwrap()
            .contains("instead of a full one"),
        "{record}"
    );
}

#[test]
fn d4_the_oldest_of_ours_goes_and_foreign_files_stay() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    machine.set(&machine.program, &["--count", "2"]);
    std::fs::write(machine.folder.join("theirs.core"), "not ours").unwrap();
    for end in ["end=segv", "end=abort", "end=xcpu", "end=segv"] {
        machine.crash(&[end]);
    }
    let reasons: Vec<_> = machine
        .list()
        .iter()
        .map(|dump| dump["reason"].clone())
        .collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(
        reasons[0].as_str().unwrap().contains("SIGSEGV"),
        "{reasons:?}"
    );
    assert!(
        reasons[1].as_str().unwrap().contains("SIGXCPU"),
        "{reasons:?}"
    );
    assert!(machine.folder.join("theirs.core").is_file());
}

#[test]
fn d7_a_folder_or_settings_that_others_can_change_are_refused() {
    let mut machine = Postmortem::off();
    std::fs::create_dir(&machine.folder).unwrap();
    std::fs::set_permissions(&machine.folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let before = Postmortem::pattern();
    let refused = machine.enable(&["--only-listed"]);
    refused
        .assert_code(4)
        .assert_says("can be written to by others");
    assert_eq!(Postmortem::pattern(), before);
    std::fs::set_permissions(&machine.folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    machine
        .enable(&["--only-listed", "--program", "/tmp/fc"])
        .assert_failed();
    assert_eq!(Postmortem::pattern(), before);
}

#[test]
fn d14_broken_files_and_links_in_a_folder_are_neither_listed_nor_deleted() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    machine.set(&machine.program, &["--count", "1"]);
    machine.crash(&["end=segv"]);
    let dump = std::fs::read(machine.only_dump()).unwrap();
    let outside = machine.program.with_extension("core");
    std::fs::write(&outside, &dump).unwrap();
    std::os::unix::fs::symlink(&outside, machine.folder.join("link.core")).unwrap();
    for (at, size) in [0, 10, 64, 120, 400, 1000].into_iter().enumerate() {
        std::fs::write(machine.folder.join(format!("cut{at}.core")), &dump[..size]).unwrap();
    }
    std::fs::create_dir(machine.folder.join("folder.core")).unwrap();
    machine.crash(&["end=abort"]);
    assert_eq!(machine.list().len(), 1);
    let names = machine.dumps();
    assert_eq!(names.len(), 9, "{names:?}");
    assert!(outside.is_file());
}

#[test]
fn d15_many_dumps_are_listed_at_once() {
    let machine = Postmortem::enabled(&[]);
    machine.set(&machine.program, &["--type", "mini"]);
    machine.crash(&["end=segv"]);
    let dump = machine.only_dump();
    for at in 0..5000 {
        std::fs::hard_link(&dump, machine.folder.join(format!("copy{at}.dmp"))).unwrap();
    }
    let start = std::time::Instant::now();
    assert_eq!(machine.list().len(), 5001);
    let took = start.elapsed();
    // Far more than it takes, as the program is unoptimised and the machine busy.
    assert!(took.as_secs() < 20, "{took:?}");
}

#[test]
fn dumps_are_listed_filtered_and_deleted() {
    let machine = Postmortem::enabled(&[]);
    machine.crash(&["end=segv"]);
    machine.crash(&["end=abort"]);
    let folder = machine.folder.to_str().unwrap();
    let lines = |more: &[&str]| {
        let list = Firstchance::new(&["dumps", "list", "--json", "--folder", folder]);
        list.args(more).run_well().stdout.lines().count()
    };
    assert_eq!(lines(&[]), 2);
    assert_eq!(lines(&["--signature", "SIGABRT"]), 1);
    assert_eq!(lines(&["--program", "nobody"]), 0);
    assert_eq!(lines(&["--since", "1h"]), 2);
    let name = machine.list()[0]["id"].as_str().unwrap().to_owned();
    Firstchance::new(&["dumps", "delete", &name, "--folder", folder]).run_well();
    assert_eq!(lines(&[]), 1);
    Firstchance::new(&["dumps", "delete", &name, "--folder", folder])
        .run()
        .assert_code(2);
    assert_eq!(files_in(&machine.folder).len(), 1);
}
