//! LocalDumps in the registry, which Wine's own `reg` reads.

use std::os::unix::fs::PermissionsExt as _;

use crate::machine::victim;
use crate::others::written_by_windows;
use crate::registry::{AEDEBUG, POLICY, Place, REPORTING, Registry, drive};

fn local_dumps() -> String {
    format!("{REPORTING}\\LocalDumps")
}

#[test]
fn local_dumps_are_windows_own_values_and_go_again() {
    let (registry, place) = (Registry::clean(), Place::new());
    let folder = place.windows_path("dumps");
    let enable = [
        "postmortem",
        "enable",
        "--folder",
        &folder,
        "--type",
        "full",
    ];
    let run = place
        .firstchance(&enable)
        .args(&["--count", "5"])
        .run_well();
    run.assert_says(&folder);
    let value = |key: &str, name: &str| registry.value(key, name).unwrap_or_default();
    let all = local_dumps();
    assert_eq!(value(&all, "DumpFolder"), format!("REG_EXPAND_SZ {folder}"));
    assert_eq!(value(&all, "DumpCount"), "REG_DWORD 0x5");
    assert_eq!(value(&all, "DumpType"), "REG_DWORD 0x2");
    let set = ["postmortem", "set", "nginx", "--type", "custom", "33"];
    place.firstchance(&set).run_well();
    let nginx = format!("{all}\\nginx.exe");
    assert_eq!(value(&nginx, "DumpType"), "REG_DWORD 0x0");
    assert_eq!(value(&nginx, "CustomDumpFlags"), "REG_DWORD 0x33");
    place
        .firstchance(&["postmortem", "set", "NGINX.EXE", "--type", "mini"])
        .run_well();
    assert_eq!(value(&nginx, "DumpType"), "REG_DWORD 0x1");
    assert_eq!(registry.value(&nginx, "CustomDumpFlags"), None);
    let list = place.firstchance(&["postmortem", "list"]).run_well().stdout;
    assert!(
        list.contains("(all)") && list.contains("nginx.exe"),
        "{list}"
    );
    place
        .firstchance(&["postmortem", "remove", "nginx"])
        .run_well();
    assert!(!registry.has(&nginx));
    place
        .firstchance(&["postmortem", "disable"])
        .run_well()
        .assert_says("no dumps are kept");
    registry.assert_as_new();
}

#[test]
fn what_is_not_said_is_as_the_help_says() {
    let (registry, place) = (Registry::clean(), Place::new());
    let own = drive().join("ProgramData").join("firstchance");
    place.firstchance(&["postmortem", "enable"]).run_well();
    let value = |name: &str| registry.value(&local_dumps(), name).unwrap_or_default();
    let folder = r"C:\ProgramData\firstchance\crashes";
    assert_eq!(value("DumpFolder"), format!("REG_EXPAND_SZ {folder}"));
    assert_eq!(value("DumpCount"), "REG_DWORD 0xa");
    assert_eq!(value("DumpType"), "REG_DWORD 0x1");
    assert!(own.join("crashes").is_dir());
    std::fs::remove_dir_all(own).expect("our own folder");
    // This folder is different for each account, and Windows creates it when a process crashes.
    let per_account = r"%LOCALAPPDATA%\CrashDumps";
    let enable = ["postmortem", "enable", "--folder", per_account];
    place.firstchance(&enable).run_well();
    assert_eq!(value("DumpFolder"), format!("REG_EXPAND_SZ {per_account}"));
}

#[test]
fn e15_what_was_there_before_is_put_back_unless_somebody_has_changed_it() {
    let (registry, place) = (Registry::clean(), Place::new());
    let all = local_dumps();
    registry.set(&all, "DumpCount", "REG_DWORD", "3");
    registry.set(&all, "DumpFolder", "REG_EXPAND_SZ", r"%TEMP%\theirs");
    registry.set(&format!("{all}\\theirs.exe"), "DumpType", "REG_DWORD", "2");
    let folder = place.windows_path("dumps");
    let enable = |options: &[&str]| {
        let enable = ["postmortem", "enable", "--folder", &folder];
        place.firstchance(&enable).args(options).run_well();
    };
    enable(&[]);
    assert_eq!(
        registry.value(&all, "DumpCount").as_deref(),
        Some("REG_DWORD 0x3")
    );
    enable(&["--count", "7"]);
    enable(&["--count", "8", "--type", "full"]);
    place
        .firstchance(&["postmortem", "set", "theirs", "--type", "mini"])
        .run_well();
    registry.set(&all, "DumpType", "REG_DWORD", "1");
    let status = place.firstchance(&["postmortem", "status"]).run();
    status
        .assert_code(1)
        .assert_says("somebody has changed DumpType since");
    let run = place.firstchance(&["postmortem", "disable"]).run_well();
    run.assert_says("DumpType").assert_says("still kept");
    for (key, name, value) in [
        (all.clone(), "DumpCount", "REG_DWORD 0x3"),
        (all.clone(), "DumpFolder", r"REG_EXPAND_SZ %TEMP%\theirs"),
        (all.clone(), "DumpType", "REG_DWORD 0x1"),
        (format!("{all}\\theirs.exe"), "DumpType", "REG_DWORD 0x2"),
    ] {
        assert_eq!(
            registry.value(&key, name).as_deref(),
            Some(value),
            "{key} {name}"
        );
    }
    place
        .firstchance(&["postmortem", "disable"])
        .run()
        .assert_failed();
}

#[test]
fn a_programs_values_turn_local_dumps_on_for_all_which_is_said_and_undone() {
    let (registry, place) = (Registry::clean(), Place::new());
    let set = ["postmortem", "set", "one", "--type", "full"];
    place
        .firstchance(&set)
        .run_well()
        .assert_says("for all programs");
    let one = format!("{}\\one.exe", local_dumps());
    assert_eq!(
        registry.value(&one, "DumpType").as_deref(),
        Some("REG_DWORD 0x2")
    );
    place
        .firstchance(&["postmortem", "remove", "one"])
        .run_well();
    registry.assert_as_new();
}

#[test]
fn programs_are_excluded_and_error_reporting_is_switched() {
    let (registry, place) = (Registry::clean(), Place::new());
    let postmortem = |words: &[&str]| {
        let words = [&["postmortem"], words].concat();
        place.firstchance(&words).run()
    };
    let excluded = format!("{REPORTING}\\ExcludedApplications");
    postmortem(&["exclude", "bad"]).assert_code(0);
    assert_eq!(
        registry.value(&excluded, "bad.exe").as_deref(),
        Some("REG_DWORD 0x1")
    );
    postmortem(&["list"]).assert_says("none");
    postmortem(&["remove", "bad.exe"]).assert_code(0);
    assert!(!registry.has(&excluded));
    registry.assert_as_new();
    for (word, value) in [("off", "REG_DWORD 0x1"), ("on", "REG_DWORD 0x0")] {
        postmortem(&["reporting", word]).assert_code(0);
        let hkcu = REPORTING.replace("HKLM", "HKCU");
        for key in [REPORTING, &hkcu] {
            assert_eq!(
                registry.value(key, "Disabled").as_deref(),
                Some(value),
                "{key}"
            );
        }
        postmortem(&["status"]).assert_says(&format!("Error reporting:  {word}"));
    }
    registry.set(POLICY, "Disabled", "REG_DWORD", "1");
    postmortem(&["status"]).assert_says(r"off (HKLM\SOFTWARE\Policies\");
}

#[test]
fn what_windows_would_not_see_to_is_refused_before_anything_is_changed() {
    let (registry, place) = (Registry::clean(), Place::new());
    for options in [
        &["--max-age", "30d"][..],
        &["--keep-free", "5%"],
        &["--type", "plus"],
        &["--format", "core"],
        &["--forward"],
        &["--only-listed"],
        &["--repeat-window", "1h"],
    ] {
        let folder = place.windows_path("dumps");
        let enable = ["postmortem", "enable", "--folder", &folder];
        let run = place.firstchance(&enable).args(options).run();
        run.assert_code(2).assert_says("Windows itself");
        assert!(!place.path("dumps").exists(), "{options:?}");
        registry.assert_as_new();
    }
    let set = ["postmortem", "set", r"C:\x\y.exe", "--type", "full"];
    place
        .firstchance(&set)
        .run()
        .assert_failed()
        .assert_says("no name of a program");
    registry.assert_as_new();
}

/// Wine keeps only the part of an access list that Unix permissions can express.
#[test]
fn d7_a_folder_is_made_for_those_who_crash_and_for_no_one_else() {
    let (registry, place) = (Registry::clean(), Place::new());
    let mode = |name: &str| {
        let found = place.path(name).metadata().expect("a folder");
        found.permissions().mode() & 0o777
    };
    let enable = |name: &str, options: &[&str]| {
        let folder = place.windows_path(name);
        let enable = ["postmortem", "enable", "--folder", &folder];
        place.firstchance(&enable).args(options).run()
    };
    enable("private", &["--grant", "Administrators"]).assert_code(0);
    assert_eq!(mode("private") & 0o007, 0);
    // Under Wine, a new folder gets no more rights than the umask allows, but rights can be added later.
    enable("private", &["--grant", "Everyone"])
        .assert_code(0)
        .assert_says("Everyone");
    assert_eq!(mode("private") & 0o007, 0o007);
    let status = place.firstchance(&["postmortem", "status"]).run();
    status.assert_code(1).assert_says("Everyone can");
    enable("x", &["--grant", "nobody knows me"])
        .assert_failed()
        .assert_says("there is no account");
    std::fs::create_dir(place.path("shared")).expect("a folder");
    place.open_to_all("shared", true);
    enable(r"shared\dumps", &[])
        .assert_code(4)
        .assert_says("can be changed by others");
    assert!(!place.path("shared/dumps").exists());
    std::fs::create_dir(place.path("theirs")).expect("a folder");
    let owner = std::os::unix::fs::chown(place.path("theirs"), Some(65534), None);
    match owner {
        Ok(()) => drop(enable(r"theirs\dumps", &[]).assert_code(4)),
        Err(error) => println!("a folder of somebody else is not tried: {error}"),
    }
    drop(registry);
}

#[test]
fn status_says_what_is_in_the_way() {
    let (registry, place) = (Registry::clean(), Place::new());
    let status = || place.firstchance(&["postmortem", "status"]).run();
    status()
        .assert_code(0)
        .assert_says("Postmortem dumps: off")
        .assert_says("winedbg");
    let folder = place.windows_path("dumps");
    place
        .firstchance(&["postmortem", "enable", "--folder", &folder])
        .run_well();
    status()
        .assert_code(1)
        .assert_says("may keep no dump by LocalDumps");
    registry.set(AEDEBUG, "Auto", "REG_SZ", "0");
    std::fs::remove_dir(place.path("dumps")).expect("our own folder");
    status()
        .assert_code(1)
        .assert_says("is not there: crashes leave nothing");
}

/// A dump by Windows has no record of firstchance. A dump by another program takes its place here.
#[test]
fn dumps_of_windows_own_are_listed_and_never_pruned() {
    let (_registry, place) = (Registry::clean(), Place::new());
    let folder = place.windows_path("dumps");
    let enable = ["postmortem", "enable", "--folder", &folder, "--count", "1"];
    place.firstchance(&enable).run_well();
    let victim = victim(&["threads", "1"]);
    for number in 1..=2 {
        let to = place.path(&format!("dumps/victim.exe.{number}.dmp"));
        written_by_windows(&victim, "0", &to);
    }
    let list = place.firstchance(&["dumps", "list"]).run_well().stdout;
    assert!(
        list.contains("victim.exe.1.dmp") && list.contains("victim.exe.2.dmp"),
        "{list}"
    );
    place
        .firstchance(&["postmortem", "list"])
        .run_well()
        .assert_says(" 2  ");
    place.firstchance(&["dumps", "prune"]).run_well();
    assert!(place.path("dumps/victim.exe.1.dmp").exists());
}
