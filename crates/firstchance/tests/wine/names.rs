//! Names of processes in every language: as targets, as instances of counters, and in names of dumps.

use crate::machine::{firstchance, started, victim_copy, windows_path};
use crate::support::{files_in, folder};

#[test]
fn n26_names_of_every_language_are_found_in_either_case_and_kept_in_file_names() {
    let (programs, dumps) = (folder(), folder());
    let program = victim_copy(programs.path(), "one Größe ж.exe");
    let victim = started(&program, &["threads", "1"]);
    let place = windows_path(dumps.path());
    firstchance(&["procdump", "-mm", "ONE GRÖßE Ж", &place]).run_well();
    let files = files_in(dumps.path());
    let name = files[0].file_name().expect("a name").to_string_lossy();
    assert!(name.starts_with("one Größe ж.exe_"), "{name}");
    assert_eq!(files.len(), 1);
    drop(victim);
}

#[test]
fn n26_instances_of_a_counter_can_have_a_pid_or_be_all_processes() {
    let programs = folder();
    let program = victim_copy(programs.path(), "my Größe ж.exe");
    let victim = started(&program, &["threads", "3"]);
    let other = started(&program, &["idle"]);
    let (pid, others) = (victim.pid_text(), other.pid_text());
    for (instance, value) in [
        (format!("MY GRÖßE Ж_{pid}"), ">= 4"),
        (format!("my größe ж.exe_{others}"), "< 3"),
        ("_Total".to_owned(), "> 8"),
    ] {
        let dumps = folder();
        let counter = format!(r#"counter "\Process({instance})\Thread Count" {value}"#);
        let watch = firstchance(&["watch", &pid, "--when", &counter, "-n", "1", "-o"]);
        let run = watch.arg(windows_path(dumps.path())).run_well();
        assert_eq!(files_in(dumps.path()).len(), 1, "{instance}: {run:#?}");
    }
}

#[test]
fn n45_a_name_that_windows_takes_for_something_else_is_refused_at_the_start() {
    let (programs, dumps) = (folder(), folder());
    let victim = started(&victim_copy(programs.path(), "named.exe"), &["idle"]);
    let (pid, place) = (victim.pid_text(), windows_path(dumps.path()));
    for (name, why) in [
        ("con.dmp", "Windows has a device of that name"),
        ("dump_07:30", "the system allows no `:`"),
        ("a*b", "the system allows no `*`"),
    ] {
        let file = format!("{place}\\{name}");
        let procdump = firstchance(&["procdump", "-m", "100000", &pid, &file]);
        let dump = firstchance(&["dump", &pid, "-o", &file]);
        for command in [procdump, dump] {
            command.run().assert_code(2).assert_says(why);
        }
    }
    assert!(files_in(dumps.path()).is_empty());
}
