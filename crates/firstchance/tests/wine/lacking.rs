//! What is asked for and cannot be had is said.

use crate::machine::{firstchance, programs, started, victim, victim_copy, windows_path};
use crate::support::{Firstchance, files_in, folder, stackwalk, wait_until};

#[test]
fn n28_a_clone_that_was_asked_for_and_not_had_is_said() {
    let (victim, dumps) = (victim(&["idle"]), folder());
    let place = windows_path(dumps.path());
    let dump = |switches: &[&str]| {
        let command = firstchance(&["procdump"]).args(switches);
        command.args(&[&victim.pid_text(), &place]).run_well()
    };
    let said = "no clone could be made (Wine has no clones): the target was stopped";
    let run = dump(&["-mm", "-r"]);
    assert!(run.stdout.contains(&format!("warning: {said}")), "{run:#?}");
    let files = files_in(dumps.path());
    let path = files[0].to_str().expect("a plain path");
    let record = Firstchance::new(&["inspect", path]).run_well().stdout;
    assert!(record.contains(said), "{record}");
    assert!(!dump(&["-mm"]).stdout.contains("no clone"));
}

/// Wine's kernel takes no dumps of itself.
#[test]
fn n49_a_kernel_dump_that_is_not_had_is_said_and_loses_no_dump() {
    let (mut victim, dumps) = (victim(&["threads", "1"]), folder());
    let place = windows_path(&dumps.path().join("x.dmp"));
    let words = ["procdump", "-mm", "-ma", "-mk", &victim.pid_text(), &place];
    let run = firstchance(&words).run_well();
    let said = "no kernel dump: NtSystemDebugControl(SysDbgGetTriageDump) failed: ";
    assert!(run.stdout.contains(&format!("warning: {said}")), "{run:#?}");
    assert!(run.stdout.contains("Dump count reached."), "{run:#?}");
    let expected = ["x_full.dmp", "x_mini.dmp"].map(|name| dumps.path().join(name));
    assert_eq!(files_in(dumps.path()), expected);
    for path in expected {
        assert_eq!(stackwalk(&path)["thread_count"], 2);
        let inspect = ["inspect", path.to_str().expect("a plain path")];
        Firstchance::new(&inspect).run_well().assert_says(said);
    }
    victim.assert_alive();
}

/// Wine takes reports and says that reporting is disabled.
#[test]
fn n49_a_dump_that_is_not_queued_for_error_reporting_is_there_and_says_so() {
    let (mut victim, dumps) = (victim(&["threads", "1"]), folder());
    let place = windows_path(&dumps.path().join("x.dmp"));
    let words = ["procdump", "-mm", "-ma", "-wer", &victim.pid_text(), &place];
    let run = firstchance(&words).run_well();
    let said = "the dump was not queued for Windows Error Reporting: it is disabled";
    assert_eq!(run.stdout.matches(said).count(), 1, "{run:#?}");
    assert!(
        run.stdout.contains(&format!("Dump 2 warning: {said}")),
        "{run:#?}"
    );
    for (name, is_largest) in [("x_full.dmp", true), ("x_mini.dmp", false)] {
        let path = dumps.path().join(name);
        assert_eq!(stackwalk(&path)["thread_count"], 2);
        let inspect = ["inspect", path.to_str().expect("a plain path")];
        let record = Firstchance::new(&inspect).run_well().stdout;
        assert_eq!(record.contains(said), is_largest, "{name}: {record}");
    }
    victim.assert_alive();
}

/// A library that is called like .NET's runtime, in a process that was started before it or after.
#[test]
fn n28_a_filter_by_a_type_of_dotnet_says_that_it_does_not_work_yet() {
    let said = "exceptions of .NET by their type are not built yet";
    let place = folder();
    let program = victim_copy(place.path(), "managed.exe");
    let library = programs().join("bcryptprimitives.dll");
    std::fs::copy(library, place.path().join("coreclr.dll")).expect("a copy");
    for loads_first in [true, false] {
        let mut victim = started(&program, &["events"]);
        if loads_first {
            victim.ask("keep coreclr.dll");
        }
        let filter = "exception \"System.NullReferenceException\"";
        let pid = victim.pid_text();
        let watch = firstchance(&["watch", &pid, "--when", filter]).spawn();
        wait_until("a debugger is there", || victim.ask("debugged") == ["1"]);
        if !loads_first {
            victim.ask("keep coreclr.dll");
        }
        let watch = watch.until_it_says(said);
        firstchance(&["cancel", &pid]).run_well();
        watch.finish().assert_code(7);
    }
    // What works is not warned of.
    let mut victim = started(&program, &["events"]);
    victim.ask("keep coreclr.dll");
    let watch = firstchance(&["watch", &victim.pid_text(), "--when", "exception \"CLR\""]).spawn();
    wait_until("a debugger is there", || victim.ask("debugged") == ["1"]);
    victim.ask("raise");
    firstchance(&["cancel", &victim.pid_text()]).run_well();
    let run = watch.finish();
    assert!(!format!("{run:?}").contains("not built yet"), "{run:#?}");
}
