//! Programs that are started: how they are found, and what is said if they cannot be.

use crate::machine::{firstchance, victim_copy, windows_path};
use crate::support::{files_in, folder};

#[test]
fn n24_a_program_that_cannot_be_started_is_an_error() {
    let (here, dumps) = (folder(), folder());
    std::fs::write(here.path().join("text.exe"), "no program").expect("a file");
    let place = windows_path(dumps.path());
    for (program, said) in [
        (
            "no-such-program",
            "no-such-program.exe in the current folder or a folder of PATH",
        ),
        (r"C:\no\such.exe", r"there is no C:\no\such.exe"),
        ("text.exe", "starting text.exe failed"),
    ] {
        let by_run = firstchance(&["run", "--when", "now", "-o", &place, "--", program]);
        let by_x = firstchance(&["procdump", "-ma", "-x", &place, program]);
        for command in [by_run, by_x] {
            let run = command.current_dir(here.path()).run();
            run.assert_code(1).assert_says(said);
            assert!(run.stderr.starts_with("firstchance: starting "), "{run:#?}");
        }
    }
    assert!(files_in(dumps.path()).is_empty());
}

#[test]
fn n24_a_program_of_the_current_folder_is_found_without_its_ending() {
    let (here, dumps) = (folder(), folder());
    victim_copy(here.path(), "started here.exe");
    let place = windows_path(dumps.path());
    for (name, count) in [("started here", 1), ("STARTED HERE.EXE", 2)] {
        let run = firstchance(&["procdump", "-ma", "-s", "1", "-tc", "2", "-k", "-x", &place]);
        let run = run.args(&[name, "threads", "1"]).current_dir(here.path());
        run.run_well().assert_says("Dump count reached.");
        assert_eq!(files_in(dumps.path()).len(), count);
    }
}
