//! Rows D1 to D13: the files of dumps: names, modes, full disks, links.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{
    Child, Core, Firstchance, Program, Tmpfs, Victim, compile, file_in, files_in, folder, holds,
    judge, lldb, stackwalk, victim_exe, wait_until,
};

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path)
        .expect("it is there")
        .permissions()
        .mode()
        & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

#[test]
fn d1_a_full_disk_is_seen_before_the_target_is_stopped() {
    let disk = Tmpfs::new("4m");
    let mut victim = Victim::start(&["leak", "32"]);
    let run = Firstchance::full_dump(victim.pid(), &disk.path().join("x.core")).run();
    run.assert_code(6).assert_says("MB free");
    assert_eq!(files_in(disk.path()), Vec::<std::path::PathBuf>::new());
    victim.assert_alive();
}

#[test]
fn n43_a_mini_dump_without_room_is_not_told_to_be_a_mini_dump() {
    let victim = Victim::start(&["idle"]);
    let dump = Firstchance::new(&["dump", &victim.pid_text()]).current_dir(Path::new("/proc"));
    let run = dump.run();
    run.assert_code(6)
        .assert_says("/proc has 0 MB free")
        .assert_says("Write to another folder.");
    assert!(!run.stderr.contains("mini dump"), "{run:#?}");
}

#[test]
fn n43_the_bytes_that_are_written_are_those_that_were_to_write() {
    let folder = folder();
    let victim = Victim::start(&["leak", "8"]);
    let path = file_in(&folder, "x.core");
    let run = Firstchance::dump(victim.pid(), &["--custom", "0x33"], &path).run_well();
    let (_, after) = run.stdout.split_once("writing: ").expect("a line");
    let (to_write, _) = after.split_once(" to write").expect("a size");
    run.assert_says(&format!("complete: {to_write} written"));
    let holes = fs::metadata(&path).expect("the dump");
    assert!(holes.blocks() * 512 < holes.len(), "no hole: {run:#?}");
}

#[test]
fn d1_a_disk_that_fills_up_meanwhile_ends_the_dump_and_not_the_target() {
    for point in [
        "reserve:enospc",
        "write:enospc",
        "copy:enospc",
        "sync:enospc",
    ] {
        let folder = folder();
        let mut victim = Victim::start(&["idle"]);
        let path = file_in(&folder, "x.core");
        let run = Firstchance::full_dump(victim.pid(), &path)
            .failpoint(point)
            .run();
        run.assert_code(6);
        assert_eq!(
            files_in(folder.path()),
            Vec::<std::path::PathBuf>::new(),
            "{point}"
        );
        victim.assert_alive();
        victim.assert_untraced();
    }
}

#[test]
fn d2_a_device_that_is_full_and_folders_that_are_none() {
    let folder = folder();
    let mut victim = Victim::start(&["idle"]);
    let pid = victim.pid_text();
    let full = fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let status = Command::new(env!("CARGO_BIN_EXE_firstchance"))
        .args(["dump", "--full", &pid, "-o", "-"])
        .stdout(full)
        .stderr(Stdio::null())
        .status()
        .expect("it runs");
    assert_eq!(status.code(), Some(6));
    let run = Firstchance::full_dump(victim.pid(), Path::new("/dev/full")).run();
    run.assert_code(6).assert_says("it is a device");
    assert!(!Path::new("/dev/full-1").exists());
    fs::write(file_in(&folder, "file"), "x").expect("a file");
    for place in ["file/x.core", "missing/x.core"] {
        let path = file_in(&folder, place);
        Firstchance::full_dump(victim.pid(), &path)
            .run()
            .assert_code(6);
    }
    victim.assert_alive();
}

#[test]
fn d3_a_limit_of_file_size_is_an_error_and_no_death() {
    let folder = folder();
    let path = file_in(&folder, "x.core");
    let mut victim = Victim::start(&["leak", "8"]);
    let run = Firstchance::by(&["prlimit", "--fsize=1000000"])
        .args(&["dump", "--full", &victim.pid_text(), "-o"])
        .arg(&path)
        .run();
    run.assert_code(6);
    assert_eq!(run.signal, None);
    assert_eq!(files_in(folder.path()), Vec::<std::path::PathBuf>::new());
    victim.assert_alive();
}

#[test]
fn d5_what_has_the_name_already_is_neither_followed_nor_touched() {
    let folder = folder();
    let elsewhere = file_in(&folder, "elsewhere");
    fs::write(&elsewhere, "precious").expect("a file");
    let mut victim = Victim::start(&["idle"]);
    let path = file_in(&folder, "x.core");
    let makers: [(&str, &dyn Fn()); 5] = [
        ("file", &|| fs::write(&path, "precious").expect("a file")),
        ("link", &|| symlink(&elsewhere, &path).expect("a link")),
        ("dangling link", &|| {
            symlink("/nowhere/at/all", &path).expect("a link")
        }),
        ("hard link", &|| {
            fs::hard_link(&elsewhere, &path).expect("a link")
        }),
        ("fifo", &|| {
            let made = Command::new("mkfifo").arg(&path).status();
            assert!(made.is_ok_and(|status| status.success()));
        }),
    ];
    for (what, make) in makers {
        make();
        let before = fs::symlink_metadata(&path).expect("made");
        Firstchance::full_dump(victim.pid(), &path).run_well();
        let after = fs::symlink_metadata(&path).expect("still there");
        assert_eq!(
            (before.ino(), before.len()),
            (after.ino(), after.len()),
            "{what}"
        );
        assert_eq!(
            fs::read_to_string(&elsewhere).expect("readable"),
            "precious",
            "{what}"
        );
        let beside = file_in(&folder, "x-1.core");
        assert!(
            Core::new(&beside, victim_exe())
                .threads()
                .contains(&victim.pid()),
            "{what}"
        );
        fs::remove_file(beside).expect("ours");
        if !after.file_type().is_file() || what == "hard link" {
            let run = Firstchance::dump(victim.pid(), &["--full", "--overwrite"], &path).run();
            let untouched = fs::read_to_string(&elsewhere).is_ok_and(|text| text == "precious");
            assert!(untouched, "{what}: {run:#?}");
            if after.file_type().is_fifo() || after.file_type().is_symlink() {
                run.assert_code(6).assert_says("no regular file");
            }
        }
        fs::remove_file(&path).expect("ours");
    }
    victim.assert_alive();
}

#[test]
fn d6_a_folder_that_is_swapped_for_a_link_meanwhile_keeps_the_dump() {
    let root = folder();
    let [given, moved, bait] = ["given", "moved", "bait"].map(|name| root.path().join(name));
    fs::create_dir(&given).expect("a folder");
    fs::create_dir(&bait).expect("a folder");
    let mut victim = Victim::start(&["idle"]);
    for point in ["reserve:stop", "publish:stop"] {
        let mut running = Firstchance::full_dump(victim.pid(), &given.join("x.core"))
            .failpoint(point)
            .spawn();
        running.wait_until_stopped();
        fs::rename(&given, &moved).expect("moved");
        symlink(&bait, &given).expect("a link");
        running.signal(libc::SIGCONT);
        running.finish().assert_code(0);
        fs::remove_file(&given).expect("the link");
        fs::rename(&moved, &given).expect("moved back");
        assert_eq!(files_in(&bait), Vec::<std::path::PathBuf>::new(), "{point}");
        let path = given.join("x.core");
        let threads = Core::new(&path, victim_exe()).threads();
        assert!(threads.contains(&victim.pid()), "{point}");
        fs::remove_file(path).expect("ours");
    }
    victim.assert_alive();
}

#[test]
fn d7_in_a_folder_that_everybody_may_write_to_nothing_planted_becomes_the_dump() {
    let open = folder();
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o777)).expect("ours");
    let private = folder();
    let elsewhere = file_in(&private, "elsewhere");
    fs::write(&elsewhere, "precious").expect("a file");
    let (path, partial) = (file_in(&open, "x.core"), file_in(&open, ".x.core.partial"));
    let mut victim = Victim::start(&["idle"]);

    symlink(&elsewhere, &partial).expect("a link");
    Firstchance::full_dump(victim.pid(), &path).run_well();
    assert_eq!(mode_of(&file_in(&open, "x-1.core")), 0o600);
    fs::remove_file(&partial).expect("the link");

    let mut running = Firstchance::full_dump(victim.pid(), &path)
        .failpoint("publish:stop")
        .spawn();
    running.wait_until_stopped();
    fs::rename(&partial, file_in(&open, "stolen")).expect("moved");
    fs::write(&partial, "not a dump").expect("a file");
    running.signal(libc::SIGCONT);
    running
        .finish()
        .assert_code(6)
        .assert_says("somebody put another file in its place");
    assert!(!path.exists(), "what is no dump has no dump's name");
    assert_eq!(
        fs::read_to_string(&elsewhere).expect("readable"),
        "precious"
    );
    victim.assert_alive();
}

#[test]
fn d8_d9_a_dump_is_private_whatever_the_umask_and_has_no_name_before_it_is_whole() {
    let folder = folder();
    let path = file_in(&folder, "x.core");
    let mut victim = Victim::start(&["idle"]);
    let mut running = Firstchance::by(&["sh", "-c", "umask 0; exec \"$0\" \"$@\""])
        .args(&["dump", "--full", &victim.pid_text(), "-o"])
        .arg(&path)
        .failpoint("publish:stop")
        .spawn();
    running.wait_until_stopped();
    assert!(!path.exists(), "it must not have its name yet");
    assert_eq!(mode_of(&file_in(&folder, ".x.core.partial")), 0o600);
    running.signal(libc::SIGKILL);
    running.finish();
    assert!(
        !path.exists(),
        "a program that was killed leaves only the partial file"
    );
    Firstchance::dump(victim.pid(), &["--full", "--overwrite"], &path).run_well();
    assert_eq!(mode_of(&path), 0o600);
    assert_eq!(files_in(folder.path()), [path]);
    victim.assert_alive();
}

#[test]
fn d10_a_disk_that_hangs_does_not_hold_the_target() {
    let folder = folder();
    let mut victim = Victim::start(&["selfcheck"]);
    let options = ["--full", "--timeout", "1s"];
    let running = Firstchance::dump(victim.pid(), &options, &file_in(&folder, "x.core"))
        .failpoint("copy:sleep")
        .spawn();
    let traced = |pid| crate::support::proc_status(pid, "TracerPid").is_some_and(|t| t != "0");
    wait_until("the target is held", || traced(victim.pid()));
    wait_until("the target is let go", || !traced(victim.pid()));
    victim.assert_alive();
    running.signal(libc::SIGKILL);
    let _ = running.status("State");
    running.finish();
}

#[test]
fn d11_two_dumps_at_once_of_one_process_are_both_whole() {
    let folder = folder();
    let mut victim = Victim::start(&["threads", "8"]);
    let path = file_in(&folder, "x.core");
    let runs: Vec<_> = (0..2)
        .map(|_| Firstchance::full_dump(victim.pid(), &path).spawn())
        .collect();
    for run in runs.into_iter().map(|running| running.finish()) {
        run.assert_code(0);
    }
    for file in files_in(folder.path()) {
        assert_eq!(
            Core::new(&file, victim_exe()).threads().len(),
            9,
            "{}",
            file.display()
        );
    }
    victim.assert_alive();
}

#[test]
fn d12_dumps_of_the_same_second_have_names_of_their_own() {
    let folder = folder();
    let mut victim = Victim::start(&["idle"]);
    let place = format!("{}/", folder.path().display());
    let run = Firstchance::new(&["dump", "--triage", &victim.pid_text(), "-n", "4"])
        .args(&["--every", "1ms", "-o", &place])
        .run_well();
    assert_eq!(files_in(folder.path()).len(), 4, "{run:#?}");
    victim.assert_alive();
}

#[test]
fn d13_hostile_names_are_refused_or_harmless() {
    let parent = folder();
    let folder = tempfile::tempdir_in(parent.path()).expect("a folder");
    let mut victim = Victim::start(&["idle"]);
    let long = "x".repeat(300);
    for name in [&long[..], "x:y", "CON", ".."] {
        let path = format!("{}/{name}", folder.path().display());
        let run = Firstchance::new(&["dump", "--triage", &victim.pid_text(), "-o", &path]).run();
        // The parent is a folder, and may be named; the others are names of Windows alone.
        let expected = if name == long { 6 } else { 0 };
        assert_eq!(run.code, Some(expected), "{name}: {run:#?}");
    }
    victim.assert_alive();
}

/// Reading and deleting are refused by the system (exit code 4); a dump that cannot be written has another code.
#[test]
fn n43_who_may_not_read_or_delete_a_dump_is_told_so() {
    let folder = tempfile::tempdir().expect("a folder that users can reach");
    set_mode(folder.path(), 0o755);
    let victim = Victim::start(&["idle"]);
    let dump = file_in(&folder, "x.core");
    Firstchance::full_dump(victim.pid(), &dump).run_well();
    let rules = file_in(&folder, "rules.toml");
    std::fs::write(&rules, "").expect("a file");
    set_mode(&rules, 0o600);
    let user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];
    let by_user = |words: &[&str], path: &Path| Firstchance::by(&user).args(words).arg(path).run();
    for (words, path) in [
        (&["inspect"][..], &dump),
        (&["dumps", "show"], &dump),
        (&["dumps", "open"], &dump),
        (&["dumps", "export"], &dump),
        (&["dumps", "delete"], &dump),
        (&["watch", "--rules"], &rules),
        (&["explain", "--rules"], &rules),
    ] {
        let run = by_user(words, path);
        run.assert_code(4)
            .assert_says("Permission denied")
            .assert_says("with sudo");
    }
    set_mode(&dump, 0o644);
    by_user(&["inspect"], &dump).assert_code(0);
    let delete = by_user(&["dumps", "delete"], &dump);
    delete.assert_code(4).assert_says("with sudo");
    assert!(dump.exists());
    set_mode(folder.path(), 0o700);
    by_user(&["inspect"], &dump).assert_code(4);
    by_user(&["dumps", "list", "--folder"], folder.path()).assert_code(4);
}

/// Each of the command lines has a switch of its own for the time.
#[test]
fn n45_a_dump_that_takes_too_long_is_told_without_a_switch() {
    let folder = folder();
    let victim = Victim::start(&["leak", "64"]);
    let path = file_in(&folder, "x.core");
    let run = Firstchance::dump(victim.pid(), &["--full", "--timeout", "1ms"], &path).run();
    run.assert_code(5)
        .assert_says("it took longer than the time that was set for a dump");
    assert!(!run.stderr.contains("--timeout"), "{run:#?}");
}

#[test]
fn a_timeout_leaves_a_partial_file_that_still_opens() {
    let folder = folder();
    let mut victim = Victim::start(&["leak", "64"]);
    let path = file_in(&folder, "x.core");
    let run = Firstchance::dump(victim.pid(), &["--full", "--timeout", "1ms"], &path).run();
    run.assert_code(5);
    let partial = file_in(&folder, "x.core.partial");
    assert_eq!(files_in(folder.path()), std::slice::from_ref(&partial));
    assert!(
        Core::new(&partial, victim_exe())
            .threads()
            .contains(&victim.pid())
    );
    let inspected = Firstchance::new(&["inspect"]).arg(&partial).run_well();
    assert!(
        inspected.stdout.contains("not whole"),
        "{}",
        inspected.stdout
    );
    victim.assert_alive();
}

#[test]
fn a_dump_on_standard_output_is_the_same_dump() {
    let folder = folder();
    let mut victim = Victim::start(&["threads", "3"]);
    let path = file_in(&folder, "x.core");
    let out = fs::File::create(&path).expect("a file");
    let status = Command::new(env!("CARGO_BIN_EXE_firstchance"))
        .args(["dump", "--full", &victim.pid_text(), "-o", "-"])
        .stdout(out)
        .stderr(Stdio::null())
        .status()
        .expect("it runs");
    assert!(status.success());
    assert_eq!(Core::new(&path, victim_exe()).threads().len(), 4);
    victim.assert_alive();
}

#[test]
fn g1_every_kind_in_both_formats_opens_in_every_stranger() {
    let mut victim = Victim::start(&["threads", "3"]);
    for kind in ["--triage", "--mini", "--plus", "--full"] {
        for format in ["core", "minidump"] {
            let folder = folder();
            let path = file_in(&folder, "x");
            Firstchance::dump(victim.pid(), &[kind, "--format", format], &path).run_well();
            if format == "core" {
                let core = Core::new(&path, victim_exe());
                assert_eq!(core.threads().len(), 4, "{kind}");
                let frames = core.in_thread(victim.pid(), &["backtrace"]);
                let named = frames.contains(" in main") || frames.contains("victim::main");
                assert!(named, "{kind}: {frames}");
            } else {
                let report = stackwalk(&path);
                assert_eq!(
                    report["threads"].as_array().map(Vec::len),
                    Some(4),
                    "{kind}"
                );
            }
            judge("lldb", "lldb");
            let listed = lldb(&path, Some(victim_exe()), &["thread list"]);
            let threads = listed
                .lines()
                .filter(|line| line.contains("thread #"))
                .count();
            assert_eq!(threads, 4, "{kind} {format}: {listed}");
            Firstchance::new(&["inspect"]).arg(&path).run_well();
        }
    }
    victim.assert_alive();
}

#[test]
fn a_triage_dump_holds_no_secret_of_environment_or_command_line() {
    let folder = folder();
    let mut command = Command::new(victim_exe());
    command
        .args(["idle", "secret-argument-4711"])
        .env("TOKEN", "secret-variable-4711");
    let mut victim = Victim::start_by(&mut command);
    for format in ["core", "minidump"] {
        let path = file_in(&folder, format);
        Firstchance::dump(victim.pid(), &["--triage", "--format", format], &path).run_well();
        let bytes = fs::read(&path).expect("readable");
        for secret in ["secret-argument-4711", "secret-variable-4711"] {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} in a triage {format}");
        }
    }
    victim.assert_alive();
}

/// FUSE, NFS and 9p refuse a rename that must not replace; some of them have no links either.
#[test]
fn n29_a_dump_is_not_lost_where_a_rename_may_not_be_told_to_replace_nothing() {
    let mut victim = Victim::start(&["idle"]);
    for points in ["rename:einval", "rename:einval,link:einval"] {
        let folder = folder();
        let path = file_in(&folder, "x.core");
        let taken = file_in(&folder, "taken.core");
        std::fs::write(&taken, "mine").expect("a file");
        Firstchance::full_dump(victim.pid(), &path)
            .failpoint(points)
            .run_well();
        assert!(
            Core::new(&path, victim_exe())
                .gdb(&["info threads"])
                .contains("LWP")
        );
        Firstchance::full_dump(victim.pid(), &taken)
            .failpoint(points)
            .run();
        assert_eq!(std::fs::read(&taken).expect("it is there"), b"mine");
        let names: Vec<_> = files_in(folder.path());
        assert!(
            names
                .iter()
                .all(|name| name.extension() != Some("partial".as_ref())),
            "{names:?}"
        );
    }
    victim.assert_alive();
}

/// The promises of a triage dump: nothing of the heap, of variables, of the environment and of the command line. Other
/// kinds have them, so that the search would find them.
#[test]
fn n14_a_triage_dump_holds_nothing_of_what_it_promises_to_leave_out() {
    let mut command = Command::new(compile(&Program::c("secrets.c")));
    let child = Child::start(
        command
            .arg("secret-4711")
            .env("TOKEN", "secret-4711-environment"),
    );
    assert!(child.line().starts_with("ready "));
    for (kind, format, is_left_out) in [
        ("--triage", "core", true),
        ("--triage", "minidump", true),
        ("--full", "core", false),
    ] {
        let folder = folder();
        let path = file_in(&folder, "x.dump");
        Firstchance::dump(child.pid(), &[kind, "--format", format], &path).run_well();
        let dump = fs::read(&path).expect("a dump");
        for place in ["", "-heap", "-variable", "-environment"] {
            let secret = format!("secret-4711{place}");
            let [plain, wide] = holds(&dump, &secret);
            assert_eq!(!plain, is_left_out, "{secret} in {kind} {format}");
            assert!(
                !(is_left_out && wide),
                "{secret} in UTF-16 in {kind} {format}"
            );
        }
        assert!(is_left_out || holds(&dump, "secret-4711-heap")[1]);
    }
}

/// What is read of interpreters for their frames is not what these work on.
#[test]
fn n14_a_triage_dump_of_python_and_java_holds_none_of_their_values() {
    const PYTHON: &str = "\
import sys
def serve(token):
    held = {token: [token.upper()]}
    print('ready', flush=True)
    sys.stdin.read()
serve('-'.join(['secret', '4711']))
";
    let classes = compile(&Program::java("HasSecrets.java"));
    let mut python = Command::new("python3");
    python.args(["-c", PYTHON]);
    let mut java = Command::new("/usr/bin/java");
    java.arg("-cp").arg(classes).arg("HasSecrets");
    for mut command in [python, java] {
        let child = Child::start(&mut command);
        assert_eq!(child.line(), "ready");
        for (kind, is_left_out) in [("--triage", true), ("--full", false)] {
            let folder = folder();
            let path = file_in(&folder, "x.dmp");
            Firstchance::dump(child.pid(), &[kind], &path).run_well();
            let dump = fs::read(&path).expect("a dump");
            let found = holds(&dump, "secret-4711").contains(&true)
                || holds(&dump, "SECRET-4711").contains(&true);
            assert_eq!(!found, is_left_out, "{kind} of {command:?}");
            let told = Firstchance::new(&["inspect"])
                .arg(&path)
                .arg("threads")
                .run_well();
            assert!(told.stdout.contains("serve"), "{told:#?}");
        }
    }
}
