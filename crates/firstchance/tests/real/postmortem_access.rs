//! Which users may read the dump of a crash.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Firstchance, Postmortem};

/// Arguments of setpriv for a user, for another one, and for the first with a capability.
const ALICE: &[&str] = &["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];
const BOB: &[&str] = &["setpriv", "--reuid=1001", "--regid=1001", "--clear-groups"];
const SERVICE: &[&str] = &[
    "setpriv",
    "--reuid=1000",
    "--regid=1000",
    "--clear-groups",
    "--inh-caps=+net_raw",
    "--ambient-caps=+net_raw",
];

fn crash_by(user: &[&str], machine: &Postmortem, words: &[&str]) {
    let mut command = Command::new(user[0]);
    command.args(&user[1..]).arg(&machine.program).args(words);
    let status = command.current_dir("/").status().unwrap();
    assert!(status.signal().is_some(), "{status:?}");
}

/// Whether a user can run `program` on `path`.
fn may(user: &[&str], program: &str, path: &Path) -> bool {
    let mut command = Command::new(user[0]);
    command.args(&user[1..]).arg(program).arg(path);
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().unwrap().success()
}

/// The number of dumps that a user is shown.
fn listed(user: &[&str], machine: &Postmortem) -> usize {
    let list = Firstchance::by(user).args(&["dumps", "list", "--json", "--folder"]);
    let run = list.arg(&machine.folder).run();
    run.stdout.lines().count()
}

fn assert_roots_alone(machine: &Postmortem) {
    let dump = machine.only_dump();
    let found = dump.metadata().unwrap();
    let ids = (found.uid(), found.gid(), found.mode() & 0o777);
    assert_eq!(ids, (0, 0, 0o600));
    for user in [ALICE, BOB] {
        assert!(!may(user, "cat", &dump) && !may(user, "ls", &machine.folder));
        assert_eq!(listed(user, machine), 0);
    }
}

#[test]
fn a_user_reads_and_lists_the_dumps_of_their_own_crashes_and_no_others() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    crash_by(ALICE, &machine, &["threads=1", "end=segv"]);
    let alices = machine.only_dump();
    machine.crash(&["end=abort"]);
    crash_by(BOB, &machine, &["end=segv"]);

    assert!(may(ALICE, "cat", &alices));
    assert!(!may(BOB, "cat", &alices));
    for dump in machine.dumps().iter().filter(|dump| **dump != alices) {
        assert!(!may(ALICE, "cat", dump), "{dump:?}");
    }
    for user in [ALICE, BOB] {
        assert!(!may(user, "ls", &machine.folder), "names do not leak");
        assert_eq!(listed(user, &machine), 1);
    }
    assert_eq!(machine.list().len(), 3, "root sees all");
    let show = Firstchance::by(ALICE).args(&["dumps", "show"]).arg(&alices);
    show.run_well().assert_says("SIGSEGV");
    assert!(!may(ALICE, "rm", &alices));
}

#[test]
fn a_user_is_shown_theirs_also_where_other_folders_have_none() {
    let machine = Postmortem::enabled(&[]);
    let other = machine.folder.with_file_name("other");
    machine.set(Path::new("nobody"), &["--folder", other.to_str().unwrap()]);
    let list = || Firstchance::by(ALICE).args(&["dumps", "list"]).run();
    crash_by(BOB, &machine, &["end=segv"]);
    list()
        .assert_failed()
        .assert_says("no dump that you may read");
    crash_by(ALICE, &machine, &["end=abort"]);
    list().assert_code(0).assert_says("SIGABRT");
    assert!(!list().stdout.contains("SIGSEGV"));
}

#[test]
fn what_is_gone_is_no_longer_listed_for_its_user() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    machine.set(&machine.program, &["--count", "2"]);
    for _ in 0..4 {
        crash_by(ALICE, &machine, &["end=segv"]);
    }
    assert_eq!(listed(ALICE, &machine), 2);
    let names = std::fs::read_to_string(machine.folder.join(".readable-by-1000")).unwrap();
    assert_eq!(names.lines().count(), 2, "{names}");
}

#[test]
fn e2_a_set_user_id_programs_dump_is_roots_alone() {
    let machine = Postmortem::enabled(&[]);
    machine.write("suid_dumpable", "2");
    let mode = std::fs::Permissions::from_mode(0o4755);
    std::fs::set_permissions(&machine.program, mode).unwrap();
    crash_by(ALICE, &machine, &["end=segv"]);
    assert_roots_alone(&machine);
}

#[test]
fn e2_a_set_user_id_program_that_says_it_is_dumpable_is_roots_alone() {
    let machine = Postmortem::enabled(&[]);
    let mode = std::fs::Permissions::from_mode(0o4755);
    std::fs::set_permissions(&machine.program, mode).unwrap();
    crash_by(ALICE, &machine, &["user=1000", "dumpable=1", "end=segv"]);
    assert_roots_alone(&machine);
}

#[test]
fn e3_an_unreadable_programs_dump_is_roots_alone() {
    let machine = Postmortem::enabled(&[]);
    machine.write("suid_dumpable", "2");
    std::fs::set_permissions(&machine.program, std::fs::Permissions::from_mode(0o711)).unwrap();
    crash_by(ALICE, &machine, &["end=segv"]);
    assert_roots_alone(&machine);
}

#[test]
fn e4_who_gave_up_being_root_cannot_read_the_dump() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    machine.write("suid_dumpable", "2");
    machine.crash(&["user=1000", "end=segv"]);
    assert_roots_alone(&machine);
}

#[test]
fn e4_who_gave_up_being_root_and_is_dumpable_cannot_either() {
    let machine = Postmortem::enabled(&[]);
    machine.crash(&["user=1000", "dumpable=1", "end=segv"]);
    assert_roots_alone(&machine);
}

#[test]
fn e4_a_program_with_a_capability_is_roots_alone() {
    let machine = Postmortem::enabled(&[]);
    crash_by(SERVICE, &machine, &["dumpable=1", "end=segv"]);
    assert_roots_alone(&machine);
}

#[test]
fn a_program_of_another_group_is_roots_alone() {
    let machine = Postmortem::enabled(&[]);
    machine.write("suid_dumpable", "2");
    let mode = std::fs::Permissions::from_mode(0o2755);
    std::fs::set_permissions(&machine.program, mode).unwrap();
    crash_by(ALICE, &machine, &["end=segv"]);
    assert_roots_alone(&machine);
}

#[test]
fn without_a_descriptor_nobody_knows_whose_memory_was_read() {
    let machine = Postmortem::enabled(&[]);
    let pattern = Postmortem::pattern();
    machine.write("core_pattern", pattern.strip_suffix(" %F").unwrap());
    crash_by(ALICE, &machine, &["end=segv"]);
    assert_roots_alone(&machine);
}

#[test]
fn where_there_are_no_access_lists_dumps_stay_with_root_and_say_so() {
    let machine = Postmortem::enabled(&[]);
    machine.failpoint("access-list:eio");
    crash_by(ALICE, &machine, &["end=segv"]);
    assert_roots_alone(&machine);
    let record = machine.record(&machine.only_dump());
    let warnings = record["warnings"].to_string();
    assert!(
        warnings.contains("user 1000") && warnings.contains("access list"),
        "{record}"
    );
}

#[test]
fn n34_a_user_who_crashes_often_takes_no_dumps_of_others() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s", "--count", "4"]);
    machine.set(&machine.program, &["--type", "mini", "--count", "4"]);
    machine.crash(&["end=segv"]);
    crash_by(ALICE, &machine, &["end=segv"]);
    for _ in 0..8 {
        crash_by(BOB, &machine, &["end=segv"]);
    }
    let users = || {
        let dumps = machine.dumps();
        let users = dumps
            .iter()
            .map(|dump| machine.record(dump)["user"].as_u64());
        let mut users: Vec<_> = users.map(|user| user.expect("its user")).collect();
        users.sort_unstable();
        users
    };
    assert_eq!(users(), [0, 1000, 1001, 1001]);
    crash_by(ALICE, &machine, &["end=abort"]);
    crash_by(ALICE, &machine, &["end=xcpu"]);
    assert_eq!(users(), [0, 1000, 1000, 1001]);
}

#[test]
fn n34_a_repeat_is_counted_for_its_own_user_and_build_and_type() {
    let machine = Postmortem::enabled(&[]);
    let count = |user: &[&str]| {
        crash_by(user, &machine, &["end=segv"]);
        machine.dumps().len()
    };
    machine.set(&machine.program, &["--type", "mini"]);
    assert_eq!(count(ALICE), 1);
    assert_eq!(count(BOB), 2, "another user's crash has a dump of its own");
    assert_eq!(count(ALICE), 2, "counted");
    machine.set(&machine.program, &["--type", "full"]);
    assert_eq!(count(ALICE), 3, "a mini dump does not stand for a full one");
    machine.set(&machine.program, &["--type", "mini"]);
    assert_eq!(count(ALICE), 3, "a full dump stands for a mini one");
}
