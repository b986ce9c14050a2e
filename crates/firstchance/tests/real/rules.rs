//! What a watch does when something goes wrong around it: rows A7 and D4, folders that cannot be written to,
//! readers that do not read its output.

use std::{
    fs,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::support::{
    Child, Core, Firstchance, Tmpfs, Victim, file_in, files_in, folder, proc_status, victim_exe,
    wait_until,
};

/// The text of a rule file: a full dump at once, and another one when the process ends.
fn rules_about(pid: u32, dumps: &Path) -> String {
    format!(
        "[[rule]]\ntarget = \"{pid}\"\nfolder = '{}'\nmax-dumps = 2\n\
         [[rule.on]]\nwhen = \"threads > 0\"\ndo = \"full dump\"\nlimit = 1\n\
         [[rule.on]]\nwhen = \"exit\"\ndo = \"mini dump\"\n",
        dumps.display()
    )
}

fn watch_rules(file: &Path) -> Firstchance {
    Firstchance::new(&["watch", "--rules"]).arg(file)
}

fn partial_files_in(folder: &Path) -> Vec<PathBuf> {
    let is_partial = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "partial");
    files_in(folder).into_iter().filter(is_partial).collect()
}

#[test]
fn a7_rules_resume_after_a_kill_and_clear_away_what_it_left() {
    let folder = folder();
    let dumps = tempfile::tempdir_in(folder.path()).expect("a folder");
    let mut victim = Victim::start(&["leak", "4"]);
    let file = file_in(&folder, "rules.toml");
    fs::write(&file, rules_about(victim.pid(), dumps.path())).expect("a file");
    for point in ["all-stopped", "write"] {
        let run = watch_rules(&file)
            .failpoint(&format!("{point}:kill9"))
            .run();
        assert_eq!(run.signal, Some(libc::SIGKILL), "{run:#?}");
        victim.assert_alive();
        assert_eq!(partial_files_in(dumps.path()).len(), 1, "{point}: {run:#?}");
    }
    let left = partial_files_in(dumps.path());
    let again = watch_rules(&file).spawn();
    let tracer = || proc_status(victim.pid(), "TracerPid").unwrap_or_default();
    wait_until("the dump is there and the end is watched", || {
        files_in(dumps.path())
            .iter()
            .any(|file| file.extension().is_some_and(|e| e == "core"))
            && tracer() != "0"
    });
    victim.kill_without_waiting();
    let run = again.finish();
    run.assert_code(0);
    for path in left {
        run.assert_says(&format!("deleted: {}", path.display()));
    }
    let files = files_in(dumps.path());
    let core = files
        .iter()
        .find(|file| file.extension().is_some_and(|e| e == "core"));
    let core = core.expect("a full dump");
    assert!(
        Core::new(core, victim_exe())
            .threads()
            .contains(&victim.pid())
    );
    assert_eq!(files.len(), 2, "{run:#?}");
}

#[test]
fn a7_only_what_nobody_writes_and_nobody_kept_is_cleared_away() {
    let folder = folder();
    let victim = Victim::start(&["leak", "64"]);
    let kept = file_in(&folder, "kept.core");
    Firstchance::dump(victim.pid(), &["--full", "--timeout", "1ms"], &kept)
        .run()
        .assert_code(5);
    let mut writing = Firstchance::full_dump(victim.pid(), &file_in(&folder, "writing.core"))
        .failpoint("publish:stop")
        .spawn();
    writing.wait_until_stopped();
    fs::write(file_in(&folder, "notes.txt.partial"), "not ours").expect("a file");
    let before = files_in(folder.path());
    assert_eq!(before.len(), 3);
    let other = Victim::start(&["idle"]);
    let place = format!("{}/", folder.path().display());
    Firstchance::new(&["watch", &other.pid_text(), "--when", "now", "-o", &place]).run_well();
    let after = files_in(folder.path());
    assert!(before.iter().all(|file| after.contains(file)), "{after:?}");
    writing.go_on();
    writing.finish().assert_code(0);
    assert!(file_in(&folder, "writing.core").exists());
}

/// It was killed between its last byte and its name.
#[test]
fn a7_a_dump_that_only_lacked_its_name_gets_it_from_the_next_run() {
    let folder = folder();
    let victim = Victim::start(&["idle"]);
    for name in ["x.core", "x.core", "y.core"] {
        let dump = Firstchance::full_dump(victim.pid(), &file_in(&folder, name));
        let mut killed = dump.failpoint("publish:stop").spawn();
        killed.wait_until_stopped();
        killed.signal(libc::SIGKILL);
        killed.finish();
        if name == "y.core" {
            // Somebody else has taken the name since.
            fs::write(file_in(&folder, name), "not ours").expect("a file");
        }
        let place = format!("{}/", folder.path().display());
        let watch = Firstchance::new(&["watch", &victim.pid_text(), "--when", "now", "-o", &place]);
        watch.run_well().assert_says("whole, and named now");
    }
    for name in ["x.core", "x-1.core", "y-1.core"] {
        let core = Core::new(&file_in(&folder, name), victim_exe());
        assert!(core.threads().contains(&victim.pid()), "{name}");
    }
    let hidden = |file: &&PathBuf| file.extension().is_some_and(|end| end == "partial");
    assert_eq!(files_in(folder.path()).iter().filter(hidden).count(), 0);
}

#[test]
fn d4_the_oldest_of_ours_goes_and_never_the_new_one() {
    let disk = Tmpfs::new("100m");
    let foreign = disk.path().join("foreign.core");
    fs::write(&foreign, "not ours").expect("a file");
    let mut victim = Victim::start(&["leak", "4"]);
    let place = format!("{}/", disk.path().display());
    let run = Firstchance::new(&["watch", &victim.pid_text(), "--when", "every 10ms"])
        .args(&[
            "--do",
            "full dump",
            "-n",
            "5",
            "--max-folder",
            "25MiB",
            "-o",
            &place,
        ])
        .run_well();
    let said = |words: &str| -> Vec<String> {
        let lines = run.stdout.lines();
        lines
            .filter_map(|line| Some(line.split_once(words)?.1.to_owned()))
            .collect()
    };
    let made = said(" initiated: ");
    let deleted = said("Old dump deleted to keep the limits: ");
    assert_eq!(made.len(), 5, "{run:#?}");
    assert!(!deleted.is_empty(), "{run:#?}");
    assert_eq!(
        made[..deleted.len()],
        deleted,
        "the oldest go first: {run:#?}"
    );
    assert!(
        made[deleted.len()..]
            .iter()
            .all(|path| Path::new(path).exists()),
        "{run:#?}"
    );
    assert!(foreign.exists());
    victim.assert_alive();
}

#[test]
fn d4_a_dump_that_would_break_a_limit_is_refused_before_the_target_is_stopped() {
    let disk = Tmpfs::new("24m");
    let mut victim = Victim::start(&["leak", "4"]);
    let place = format!("{}/", disk.path().display());
    for limit in [["--keep-free", "20MiB"], ["--max-folder", "1MiB"]] {
        let run = Firstchance::new(&["watch", &victim.pid_text(), "--when", "now"])
            .args(&["--do", "full dump", "-o", &place])
            .args(&limit)
            .failpoint("before-stop:kill9")
            .run();
        run.assert_code(6).assert_says("limits to keep");
        assert_eq!(files_in(disk.path()), Vec::<PathBuf>::new());
    }
    victim.assert_alive();
}

#[test]
fn n38_a_watch_that_could_keep_no_dump_does_not_begin() {
    let folder = folder();
    for limit in [["--keep-free", "100%"], ["--max-folder", "0B"]] {
        let own = std::process::id().to_string();
        let run = Firstchance::new(&["watch", &own, "--when", "now", "-o"]);
        let run = run.arg(folder.path()).args(&limit).run();
        run.assert_code(2).assert_says("keeps no dump");
    }
}

/// Starts the program so that its output can be read line by line.
fn speaking(args: &[&str]) -> Child {
    Child::start(Command::new(env!("CARGO_BIN_EXE_firstchance")).args(args))
}

fn wait_for_line(child: &Child, words: &str) -> String {
    loop {
        let line = child.line();
        if line.contains(words) {
            return line;
        }
    }
}

#[test]
fn d4_a_dump_too_many_in_its_time_is_suppressed_with_the_reason() {
    let folder = folder();
    let mut victim = Victim::start(&["idle"]);
    let (pid, place) = (victim.pid_text(), format!("{}/", folder.path().display()));
    let when = [
        "watch",
        &pid,
        "--when",
        "threads > 0",
        "-o",
        &place,
        "-n",
        "3",
    ];
    let limits = ["--poll", "50ms", "--max-dumps-per", "10m=2"];
    let mut watch = speaking(&[&when[..], &limits[..]].concat());
    let line = wait_for_line(&watch, "No dump for");
    assert!(line.contains("\"threads > 0: 1\""), "{line}");
    assert!(line.contains("limit of 2 dumps in 10m reached"), "{line}");
    assert_eq!(files_in(folder.path()).len(), 2);
    watch.signal(libc::SIGINT);
    assert_eq!(watch.wait().code(), Some(7));
    victim.assert_alive();
}

#[test]
fn a_reader_that_does_not_read_does_not_hold_the_watch() {
    for options in [&["--json"][..], &[]] {
        let folder = folder();
        let victim = Victim::start(&["idle"]);
        let mut watch = Command::new(env!("CARGO_BIN_EXE_firstchance"))
            .args([
                "watch",
                &victim.pid_text(),
                "--when",
                "threads > 0 for 10ms",
                "-n",
                "25",
            ])
            .args(["--do", "triage dump", "--poll", "10ms", "-o"])
            .arg(format!("{}/", folder.path().display()))
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let unread = watch.stdout.take().expect("piped");
        // SAFETY: no memory is involved. The pipe holds less than the lines of two dumps.
        unsafe { libc::fcntl(unread.as_raw_fd(), libc::F_SETPIPE_SZ, 4096) };
        let mut status = None;
        wait_until("the watch ends", || {
            status = watch.try_wait().expect("our own child");
            status.is_some()
        });
        assert_eq!(
            status.and_then(|status| status.code()),
            Some(0),
            "{options:?}"
        );
        assert_eq!(files_in(folder.path()).len(), 25);
        drop(unread);
    }
}

#[test]
fn d2_a_folder_that_cannot_be_written_to_is_said_before_anything_begins() {
    let folder = folder();
    let victim = Victim::start(&["idle"]);
    fs::write(file_in(&folder, "file"), "x").expect("a file");
    for place in ["missing/", "missing/x.dmp", "file/x.dmp"] {
        let place = file_in(&folder, place).display().to_string();
        let never = ["--when", "cpu > 99% for 1h", "-o", &place];
        let run = Firstchance::new(&["watch", &victim.pid_text()])
            .args(&never)
            .run();
        run.assert_code(6).assert_says("creating a file in");
        let started = file_in(&folder, "started");
        Firstchance::new(&["run"])
            .args(&never)
            .args(&["--", "touch"])
            .arg(&started)
            .run()
            .assert_code(6);
        assert!(!started.exists(), "the program must not be started");
    }
}

#[test]
fn n43_a_watch_of_two_targets_is_refused_with_advice() {
    let run = Firstchance::new(&["watch", "1", "30837", "nginx"]).run();
    run.assert_code(2)
        .assert_says("so 30837 nginx cannot be watched, too: ")
        .assert_says("--rules FILE");
    let help = Firstchance::new(&["watch", "--help"]).run_well();
    assert!(!help.stdout.contains("FURTHER"), "{help:#?}");
}

#[test]
fn n43_what_is_not_there_has_one_exit_code() {
    for words in [
        &["inspect", "/nowhere/x.core"][..],
        &["dumps", "show", "nope.core"],
        &["dumps", "delete", "nope.core"],
        &["watch", "--rules", "/nowhere/rules.toml"],
    ] {
        let run = Firstchance::new(words).run();
        assert_eq!(run.code, Some(6), "{words:?}: {run:#?}");
    }
}

#[test]
fn n43_a_file_without_a_rule_is_an_error() {
    let folder = folder();
    let file = file_in(&folder, "rules.toml");
    for text in ["", "# a comment\n", "rule = []\n"] {
        fs::write(&file, text).expect("a file");
        let run = watch_rules(&file).run();
        run.assert_code(2).assert_says("rules.toml has no rule: ");
    }
}

#[test]
fn the_demo_shows_a_cpu_a_memory_trigger_and_a_crash_and_what_is_in_all_dumps() {
    let folder = folder();
    let run = Firstchance::new(&["demo", "-o"])
        .arg(folder.path())
        .run_well();
    for words in [
        "Trigger: core-cpu > 10% for 1s: ",
        "Trigger: memory > 64MiB: ",
        "Dump count reached.",
        "The program was still alive",
        "Trigger: Unhandled exception: SIGABRT",
        "ship_order",
        "price_of_cart",
        "keep_every_mail",
    ] {
        run.assert_says(words);
    }
    assert_eq!(files_in(folder.path()).len(), 3, "{run:#?}");
}
