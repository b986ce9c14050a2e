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
fn n39_enabling_again_says_what_has_changed() {
    let mut machine = Postmortem::off();
    machine
        .enable(&["--only-listed", "--count", "3"])
        .assert_code(0);
    let first = machine.folder.clone();
    machine.folder = first.with_file_name("elsewhere");
    let again = machine.enable(&[]);
    again.assert_code(0);
    let changed = format!(
        "Changed: folder {} (was {})",
        machine.folder.display(),
        first.display()
    );
    again.assert_says(&changed);
    again.assert_says("Kept as it was set: count 3, only-listed yes");
}

#[test]
fn n39_a_file_is_no_folder_for_dumps() {
    let mut machine = Postmortem::off();
    std::fs::write(&machine.folder, "a file").unwrap();
    let refused = machine.enable(&["--only-listed"]);
    refused
        .assert_code(6)
        .assert_says("is there, and is not a folder");
}

#[test]
fn n39_disabling_leaves_nothing_unless_told_so() {
    let machine = Postmortem::enabled(&[]);
    machine.crash(&["end=segv"]);
    let files = [
        "/var/lib/firstchance/repeats.json",
        "/etc/firstchance/postmortem.toml",
        "/etc/firstchance/postmortem.last-good.toml",
        "/etc/sysctl.d/99-firstchance-postmortem.conf",
        "/usr/libexec/fc-test",
    ];
    assert!(Path::new(files[0]).exists(), "the crash was not counted");
    Firstchance::new(&["postmortem", "disable"]).run_well();
    let left: Vec<_> = files
        .iter()
        .filter(|file| Path::new(file).exists())
        .collect();
    assert_eq!(left, [&""; 0]);
    drop(machine);
    let machine = Postmortem::enabled(&[]);
    Firstchance::new(&["postmortem", "disable", "--keep-settings"]).run_well();
    let kept = std::fs::read_to_string(files[1]).unwrap();
    assert!(kept.contains(machine.program.to_str().unwrap()), "{kept}");
}

fn limit() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/core_pipe_limit");
    text.unwrap().trim().to_owned()
}

/// As long as the folder has them, also when the settings name another one, or none.
#[test]
fn n39_dumps_from_before_are_listed_when_the_settings_are_gone() {
    let mut machine = Postmortem::enabled(&[]);
    machine.crash(&["end=segv"]);
    let dump = machine.only_dump();
    let name = dump.file_name().unwrap().to_string_lossy().into_owned();
    let first = std::mem::replace(&mut machine.folder, dump.with_file_name("other"));
    let list = || Firstchance::new(&["dumps", "list"]).run_well().stdout;
    let folder = first.display().to_string();
    let assert_listed = || {
        let listed = list();
        assert!(listed.contains(&name), "{listed}");
        // There may be others, of crashes that no test has caused.
        let mut places = listed.lines().filter(|line| line.starts_with("In "));
        assert!(places.any(|place| place.contains(&folder)), "{listed}");
    };
    assert_listed();
    machine.enable(&[]).assert_code(0);
    assert_listed();
    let disabled = Firstchance::new(&["postmortem", "disable"]).run_well();
    let kept = format!("1 dump in {folder}");
    disabled.assert_says(&kept);
    assert_listed();
    let status = || Firstchance::new(&["postmortem", "status"]).run_well();
    status().assert_says(&kept);
    Firstchance::new(&["dumps", "delete", &name]).run_well();
    assert!(!list().contains(&folder));
    assert!(!status().stdout.contains(&folder));
}

#[test]
fn n39_what_is_set_while_dumps_are_off_is_told_to_do_nothing_yet() {
    let _machine = Postmortem::off();
    let set = Firstchance::new(&["postmortem", "exclude", "nginx"]).run_well();
    set.assert_says("`firstchance postmortem enable` puts it to work");
}

#[test]
fn n39_an_ordinary_user_is_told_that_this_needs_root() {
    let user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];
    for line in [
        "postmortem enable",
        "postmortem enable --folder /tmp/dumps",
        "postmortem disable",
        "postmortem set nginx --type full",
        "postmortem remove nginx",
        "postmortem exclude nginx",
        "procdump -i /tmp",
        "procdump -u",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let run = Firstchance::by(&user).args(&words).run();
        run.assert_code(4)
            .assert_says("only root may change what becomes of crashes")
            .assert_says("with sudo");
    }
}

/// Another handler takes over, and leaves the limit as we have set it.
#[test]
fn n39_each_setting_that_is_still_ours_is_restored() {
    let mut machine = Postmortem::off();
    for (theirs, limit_of_theirs, restored) in
        [("|/bin/false", None, "0"), ("core", Some("7"), "7")]
    {
        machine.write("core_pattern", "core");
        machine.write("core_pipe_limit", "0");
        machine.enable(&["--only-listed"]).assert_code(0);
        assert_eq!(limit(), "128");
        machine.write("core_pattern", theirs);
        if let Some(limit) = limit_of_theirs {
            machine.write("core_pipe_limit", limit);
        }
        let disabled = Firstchance::new(&["postmortem", "disable"]).run_well();
        disabled.assert_says("Another handler has been registered since");
        assert_eq!((&*Postmortem::pattern(), &*limit()), (theirs, restored));
    }
}

/// What `enable` finds of its own is not what was there before.
#[test]
fn n39_enabling_after_another_handler_keeps_what_was_there_before() {
    let mut machine = Postmortem::off();
    machine.write("core_pattern", "core");
    machine.write("core_pipe_limit", "3");
    machine.enable(&["--only-listed"]).assert_code(0);
    machine.write("core_pattern", "files-of-others");
    machine.enable(&["--only-listed"]).assert_code(0);
    Firstchance::new(&["postmortem", "disable"]).run_well();
    assert_eq!(
        (&*Postmortem::pattern(), &*limit()),
        ("files-of-others", "3")
    );
}

/// What could never keep a dump, and what is said about it.
const USELESS: [(&[&str], &str); 7] = [
    (
        &["--folder", "/proc"],
        "/proc is on proc, which stores no files",
    ),
    (&["--folder", "/sys/dumps"], "stores no files"),
    (&["--folder", "/tmp"], "/tmp can be written to by others"),
    (&["--keep-free", "100%"], "keeps no dump"),
    (&["--keep-free", "9000000TiB"], "keeps no dump"),
    (&["--max-age", "0d"], "an age of 0 keeps no dump"),
    (&["--max-bytes", "0B"], "keeps no dump"),
];

#[test]
fn n38_settings_that_can_never_keep_a_dump_are_refused() {
    let machine = Postmortem::enabled(&[]);
    let settings = || std::fs::read_to_string("/etc/firstchance/postmortem.toml").unwrap();
    let (before, pattern) = (settings(), Postmortem::pattern());
    for (options, why) in USELESS {
        for command in [
            &["postmortem", "enable"][..],
            &["postmortem", "set", "nginx"],
            &["explain", "postmortem", "enable"],
        ] {
            let run = Firstchance::new(command).args(options).run();
            assert!(
                run.code.is_some_and(|code| code != 0),
                "{command:?} {run:#?}"
            );
            assert!(
                run.stderr.contains(why),
                "{command:?} {options:?}: {run:#?}"
            );
        }
    }
    assert_eq!((settings(), Postmortem::pattern()), (before, pattern));
    drop(machine);
}

#[test]
fn n38_in_the_file_of_settings_they_are_a_mistake() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    let file = Path::new("/etc/firstchance/postmortem.toml");
    let good = std::fs::read_to_string(file).unwrap();
    for (wrong, why) in [
        ("keep-free = \"100%\"", "keeps no dump"),
        ("max-age = \"0d\"", "an age of 0 keeps no dump"),
        ("count = 0", "a count of 0 keeps no dump"),
        ("folder = \"/proc\"", "/proc is on proc"),
        ("colour = 1", "column 1: unknown field `colour`"),
    ] {
        let with = format!("{good}\n[program-values.other]\n{wrong}\n");
        std::fs::write(file, with).unwrap();
        let status = Firstchance::new(&["postmortem", "status"]).run();
        status.assert_code(1).assert_says("WRONG SETTINGS");
        let line = status
            .stdout
            .lines()
            .find(|line| line.contains("WRONG SETTINGS"));
        let line = line.unwrap_or_default();
        assert!(line.contains(why) && !line.contains("\\x"), "{status:#?}");
        let explained = Firstchance::new(&["explain", "--postmortem"]).run_well();
        explained.assert_says(why);
        machine.crash(&["end=segv"]);
    }
    assert_eq!(machine.dumps().len(), 5, "the last good settings stand");
}

#[test]
fn n38_values_for_a_name_that_no_program_has_are_refused() {
    let machine = Postmortem::off();
    for name in ["", "a/b", "*", "nginx*"] {
        for what in ["set", "exclude"] {
            let run = Firstchance::new(&["postmortem", what, name]).run();
            run.assert_code(2).assert_says("matches no program");
        }
    }
    drop(machine);
}
