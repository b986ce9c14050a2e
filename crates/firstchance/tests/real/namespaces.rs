//! Watches in a pid namespace of their own, as in a container, or in a user namespace: the kernel tells them of no starts.

use crate::support::{Firstchance, Running, file_in, files_in, folder};
use std::{fs, process::Command};

/// Starts what is watched in a new namespace when a line comes by the FIFO, and firstchance before that.
const SCRIPT: &str = r#"
(read go < go; ./outer -c './n23-dies -c "sleep 2; kill -SEGV \$\$"; true'; ./n23-dies -c 'sleep 2; kill -SEGV $$'; true) &
program=$0
test "$1" = watch && set -- "$@" --children $!
exec "$program" "$@"
"#;

/// A folder with the programs and the FIFO of the script, and `dumps`.
fn prepared() -> tempfile::TempDir {
    let folder = folder();
    for name in ["outer", "n23-dies"] {
        fs::copy("/bin/sh", file_in(&folder, name)).expect("a shell");
    }
    let made = Command::new("mkfifo").arg(file_in(&folder, "go")).status();
    assert!(made.expect("mkfifo").success());
    fs::create_dir(file_in(&folder, "dumps")).expect("a folder");
    folder
}

fn in_namespace(folder: &tempfile::TempDir, args: &[&str]) -> Running {
    let enter = [
        "unshare",
        "-p",
        "-f",
        "--mount-proc",
        "--kill-child",
        "sh",
        "-c",
        SCRIPT,
    ];
    let asked = [
        "--json",
        "--when",
        "unhandled exception",
        "-n",
        "2",
        "-o",
        "dumps/",
    ];
    Firstchance::by(&enter)
        .args(args)
        .args(&asked)
        .current_dir(folder.path())
        .spawn()
        .until_it_says("\"event\":\"effective\"")
}

/// One dies whose parent is known, and one whose parent starts later, too.
fn assert_both_deaths_are_dumped(args: &[&str]) {
    let folder = prepared();
    let running = in_namespace(&folder, args);
    fs::write(file_in(&folder, "go"), "go\n").expect("the script reads it");
    let run = running.finish();
    run.assert_code(0)
        .assert_says("ten times a second (firstchance runs in a pid namespace of its own");
    assert_eq!(run.events("dump").len(), 2, "{run:#?}");
    assert_eq!(files_in(&file_in(&folder, "dumps")).len(), 2);
    let notes = run.events("note").into_iter();
    let told = notes.filter(|note| note.to_string().contains("ten times a second"));
    assert_eq!(told.count(), 1, "{run:#?}");
}

#[test]
fn n23_in_a_pid_namespace_children_that_start_later_are_watched() {
    assert_both_deaths_are_dumped(&["watch"]);
}

#[test]
fn n23_in_a_pid_namespace_programs_of_a_name_are_watched() {
    // Not by the first word `watch`: without --children.
    assert_both_deaths_are_dumped(&["--log", "log", "watch", "n23-dies", "--wait", "--all"]);
}

#[test]
fn n23_whom_the_kernel_tells_no_starts_is_told_what_is_not_seen() {
    let folder = folder();
    let run = Firstchance::by(&["unshare", "-Ur"])
        .args(&[
            "watch",
            "n23-nobody",
            "--wait",
            "--when",
            "unhandled exception",
            "-o",
            "/tmp/",
        ])
        .current_dir(folder.path())
        .spawn()
        .until_it_says("(the kernel tells only root of them): one that lives for less is not seen");
    run.signal(libc::SIGINT);
    run.finish();
}

#[test]
fn n23_the_doctor_says_what_is_not_seen_of_starts() {
    let told = Firstchance::new(&["doctor"]).run();
    assert!(told.stdout.contains("are told by the kernel"), "{told:#?}");
    let enter = ["unshare", "-p", "-f", "--mount-proc"];
    let run = Firstchance::by(&enter).args(&["doctor"]).run();
    run.assert_says("are looked for ten times a second (firstchance runs in a pid namespace");
}
