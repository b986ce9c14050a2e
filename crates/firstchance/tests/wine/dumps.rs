//! Dumps of Windows processes, opened by other tools.

use std::path::Path;

use crate::machine::{firstchance, victim, windows_path};
use crate::support::{Firstchance, folder, lldb, stackwalk};

/// What every tool must find in a dump of `victim threads 3`.
fn assert_seen_by_all(dump: &Path) {
    let walked = stackwalk(dump);
    assert_eq!(walked["system_info"]["os"], "Windows NT", "{walked:#}");
    let threads = walked["threads"].as_array().expect("threads");
    let names: Vec<&str> = threads
        .iter()
        .filter_map(|thread| thread["thread_name"].as_str())
        .collect();
    assert_eq!(names, ["main", "worker-0", "worker-1", "worker-2"]);
    for thread in threads {
        assert_eq!(thread["frames"][0]["module"], "ntdll.dll", "{thread:#}");
    }
    let modules = walked["modules"].as_array().expect("modules");
    let has = |name: &str| modules.iter().any(|module| module["filename"] == name);
    assert!(has("victim.exe") && has("ntdll.dll") && has("kernel32.dll"));
    assert_eq!(walked["main_module"], 0);
    let seen = lldb(dump, None, &["thread list", "image list"]);
    assert_eq!(seen.matches("tid = ").count(), 4, "{seen}");
    assert!(seen.contains("victim.exe"), "{seen}");
}

/// The output of `firstchance inspect` on Linux.
fn assert_inspected(dump: &Path) {
    let path = dump.to_str().expect("a plain path");
    let shown = Firstchance::new(&["inspect", path]).run_well().stdout;
    assert!(shown.contains("Threads      4"), "{shown}");
    assert!(shown.contains("  0  ntdll.dll"), "{shown}");
    assert!(shown.contains("victim.exe"), "{shown}");
}

#[test]
fn dumps_of_each_kind_show_every_thread_and_module() {
    let mut victim = victim(&["threads", "3"]);
    let folder = folder();
    for kind in ["--triage", "--mini", "--plus", "--full"] {
        let path = folder.path().join(format!("x{kind}.dmp"));
        let to = windows_path(&path);
        let run = firstchance(&["dump", kind, &victim.pid_text(), "-o", &to]).run_well();
        assert!(run.stdout.contains("complete"), "{run:#?}");
        victim.assert_alive();
        assert_seen_by_all(&path);
        assert_inspected(&path);
    }
}

#[test]
fn w3_without_clones_a_full_dump_says_how_it_was_taken_and_has_all() {
    let victim = victim(&["threads", "1"]);
    let folder = folder();
    let path = folder.path().join("x.dmp");
    let to = windows_path(&path);
    firstchance(&["dump", "--full", &victim.pid_text(), "-o", &to]).run_well();
    let path = path.to_str().expect("a plain path");
    let section = |name: &str| Firstchance::new(&["inspect", path, name]).run_well().stdout;
    let handles = section("handles");
    assert!(
        handles.contains("File") && handles.contains("Key"),
        "{handles}"
    );
    let summary = Firstchance::new(&["inspect", path]).run_well().stdout;
    for part in ["victim.exe threads 1", "full dump", "stopped", "Wine"] {
        assert!(summary.contains(part), "no {part:?} in\n{summary}");
    }
    // The stack is unwound through the frames of a library into the program, with the unwind data in the dump.
    assert!(summary.contains("1  victim.exe+"), "{summary}");
}

#[test]
fn a_taken_name_gets_a_number_and_an_odd_one_is_refused() {
    let victim = victim(&["idle"]);
    let folder = folder();
    let to = windows_path(&folder.path().join("x.dmp"));
    let dump = |to: &str| firstchance(&["dump", &victim.pid_text(), "-o", to]);
    dump(&to).run_well();
    dump(&to).run_well();
    assert!(folder.path().join("x-1.dmp").exists());
    for odd in ["nul.dmp", "x.dmp:stream", "com1"] {
        let run = dump(&format!("{}\\{odd}", windows_path(folder.path()))).run();
        assert_ne!(run.code, Some(0), "{odd}: {run:#?}");
    }
    let files = crate::support::files_in(folder.path());
    assert_eq!(files.len(), 2, "{files:?}");
}
