//! Registering and unregistering the crash handler beside files and settings of others.

use std::path::Path;

use crate::support::{Firstchance, Postmortem};

#[test]
fn n39_a_file_of_others_is_neither_replaced_nor_removed() {
    let machine = Postmortem::off();
    let theirs = Path::new("/usr/libexec").join(format!("theirs-{}", std::process::id()));
    std::fs::write(&theirs, "#!/bin/sh\n").unwrap();
    let enable = |words: &[&str]| {
        let enable = Firstchance::new(&["postmortem", "enable", "--only-listed", "--program"]);
        enable
            .arg(&theirs)
            .args(words)
            .arg("--folder")
            .arg(&machine.folder)
            .run()
    };
    let refused = enable(&[]);
    let content = std::fs::read(&theirs).unwrap();
    std::fs::remove_file(&theirs).unwrap();
    refused
        .assert_code(4)
        .assert_says("is no copy of firstchance");
    assert_eq!(content, b"#!/bin/sh\n");
    enable(&[]).assert_code(0);
    std::fs::remove_file(&theirs).unwrap();
    std::fs::write(&theirs, "another program by now").unwrap();
    let disable = Firstchance::new(&["postmortem", "disable"]).run();
    let is_there = theirs.exists();
    std::fs::remove_file(&theirs).unwrap();
    disable.assert_code(0);
    assert!(is_there, "it is not ours to remove");
}

/// Without settings nobody knows what was registered before, and `enable` must not take its own handler for that.
#[test]
fn n39_lost_settings_never_leave_a_handler_without_its_program() {
    for last_good in [true, false] {
        let mut machine = Postmortem::off();
        let before = Postmortem::pattern();
        machine.enable(&["--only-listed"]).assert_code(0);
        std::fs::remove_file("/etc/firstchance/postmortem.toml").unwrap();
        if !last_good {
            std::fs::remove_file("/etc/firstchance/postmortem.last-good.toml").unwrap();
        }
        machine.enable(&["--only-listed"]).assert_code(0);
        Firstchance::new(&["postmortem", "disable"]).run_well();
        let now = Postmortem::pattern();
        assert_eq!(now, if last_good { before } else { "core".to_owned() });
        assert!(!Path::new("/usr/libexec/fc-test").exists());
    }
}

#[test]
fn n39_enabling_again_changes_only_what_is_said() {
    let mut machine = Postmortem::off();
    machine
        .enable(&["--only-listed", "--forward", "--quit"])
        .assert_code(0);
    machine.enable(&["--type", "full"]).assert_code(0);
    let settings = || std::fs::read_to_string("/etc/firstchance/postmortem.toml").unwrap();
    for kept in [
        "only-listed = true",
        "forward = true",
        "quit = true",
        "type = \"full\"",
    ] {
        assert!(settings().contains(kept), "{kept}: {}", settings());
    }
    machine.enable(&["--forward=no"]).assert_code(0);
    assert!(settings().contains("forward = false"), "{}", settings());
}

#[test]
fn n39_disabling_leaves_nothing_unless_told_so() {
    let machine = Postmortem::enabled(&[]);
    let files = [
        "/etc/firstchance/postmortem.toml",
        "/etc/firstchance/postmortem.last-good.toml",
        "/etc/sysctl.d/99-firstchance-postmortem.conf",
        "/usr/libexec/fc-test",
    ];
    Firstchance::new(&["postmortem", "disable"]).run_well();
    let left: Vec<_> = files
        .iter()
        .filter(|file| Path::new(file).exists())
        .collect();
    assert_eq!(left, [&""; 0]);
    drop(machine);
    let machine = Postmortem::enabled(&[]);
    Firstchance::new(&["postmortem", "disable", "--keep-settings"]).run_well();
    let kept = std::fs::read_to_string(files[0]).unwrap();
    assert!(kept.contains(machine.program.to_str().unwrap()), "{kept}");
}
