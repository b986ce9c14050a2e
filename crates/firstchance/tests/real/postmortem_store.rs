//! Many dumps of crashes: limits, counts, lists.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

use crate::support::{
    Core, Firstchance, Postmortem, Sysctl, Tmpfs, files_in, proc_status, wait_until,
};

#[test]
fn e7_a_crash_loop_is_counted_and_not_stored() {
    let machine = Postmortem::enabled(&[]);
    for _ in 0..10 {
        machine.crash(&["end=segv"]);
    }
    machine.crash(&["end=abort"]);
    let list = machine.list();
    let counts: Vec<_> = list
        .iter()
        .map(|dump| dump["count"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [1, 10], "{list:?}");
    let first = std::path::PathBuf::from(list[1]["path"].as_str().unwrap());
    assert_eq!(machine.record(&first)["repeats"], 9, "in the dump itself");
    let show = Firstchance::new(&["dumps", "show"]).arg(&first).run_well();
    show.assert_says("came 9 times more")
        .assert_says("--repeat-window 0s");
    let list = Firstchance::new(&["dumps", "list", "--folder"]);
    let list = list.arg(&machine.folder).run_well();
    list.assert_says("--repeat-window 0s` stores each");
    let status = Firstchance::new(&["postmortem", "status"]).run();
    status.assert_says("only counted for 1h (--repeat-window 0s stores each)");
    let told = Core::new(&first, &machine.program).gdb(&["bt"]);
    assert!(told.contains("boom (place="), "{told}");
}

#[test]
fn e7_repeats_are_told_in_dumps_of_every_shape() {
    let machine = Postmortem::enabled(&[]);
    let repeats = || {
        machine.crash(&["end=segv"]);
        machine.crash(&["end=segv"]);
        let dump = machine.only_dump();
        let record = machine.record(&dump);
        std::fs::remove_file(dump).unwrap();
        assert_eq!(record["repeats"], 1, "{record}");
        assert_eq!(record["complete"], true);
        record["kind"].as_str().unwrap().to_owned()
    };
    assert_eq!(repeats(), "full");
    machine.set(&machine.program, &["--type", "mini"]);
    assert_eq!(repeats(), "mini");
    machine.failpoint("planned:panic");
    assert_eq!(repeats(), "kernel core");
}

#[test]
fn e7_a_repeat_does_not_make_a_dump_younger() {
    let machine = Postmortem::enabled(&[]);
    machine.crash(&["end=segv"]);
    let age = || machine.only_dump().metadata().unwrap().modified().unwrap();
    let before = age();
    machine.crash(&["end=segv"]);
    assert_eq!(age(), before, "the oldest is still the first to go");
}

/// A hundred different programs crash at once.
fn storm(machine: &Postmortem) {
    let start = |at: usize| {
        let program = machine.program.with_extension(at.to_string());
        let _ = std::fs::hard_link(&machine.program, &program);
        machine.command_of(&program, &["end=segv"]).spawn().unwrap()
    };
    let children: Vec<_> = (0..100).map(start).collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGSEGV));
    }
}

fn storms_wanted(machine: &Postmortem) {
    for at in 0..100 {
        machine.set(&machine.program.with_extension(at.to_string()), &[]);
    }
}

#[test]
fn e8_a_hundred_different_crashes_at_once_each_leave_a_dump() {
    let machine = Postmortem::enabled(&["--type", "mini", "--count", "200"]);
    storms_wanted(&machine);
    storm(&machine);
    let list = machine.list();
    assert_eq!(list.len(), 100);
    assert!(list.iter().all(|dump| dump["complete"] == true));
    let mut names: Vec<_> = list
        .iter()
        .map(|dump| dump["program"].to_string())
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 100, "each its own");
}

#[test]
fn e8_what_is_too_much_is_lost_and_counted() {
    let machine = Postmortem::enabled(&["--type", "mini", "--count", "200"]);
    storms_wanted(&machine);
    machine.write("core_pipe_limit", "2");
    let lost = || {
        let status = Firstchance::new(&["postmortem", "status"]).run();
        let line = status
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix("Lost:").map(str::to_owned));
        let count = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        count.unwrap_or(0u64)
    };
    let before = lost();
    // The kernel logs at most ten such lines in five seconds, and later how many it left out.
    wait_until("the kernel's log has them", || {
        storm(&machine);
        lost() > before
    });
    let kept = machine.list().len();
    assert!((1..100).contains(&kept), "{kept}");
}

#[test]
fn e12_a_large_process_is_dumped_with_little_memory() {
    let machine = Postmortem::enabled(&[]);
    let (peak, dump) = peak_of_handler(&machine, &["mib=1024", "end=segv"]);
    assert!(peak < 64 << 10, "{peak} kB");
    assert!(dump.metadata().unwrap().len() > 1 << 30);
}

#[test]
fn e12_nine_thousand_threads_are_dumped_with_little_memory() {
    let machine = Postmortem::enabled(&[]);
    let _threads = Sysctl::at_least("kernel/threads-max", 30_000).expect("root");
    let _maps = Sysctl::at_least("vm/max_map_count", 65_530).expect("root");
    let (peak, dump) = peak_of_handler(&machine, &["threads=9000", "end=segv"]);
    assert!(peak < 64 << 10, "{peak} kB");
    let record = machine.record(&dump);
    assert_eq!(
        (&record["method"], &record["complete"]),
        (&"crash".into(), &true.into())
    );
    assert_eq!(Core::new(&dump, &machine.program).threads().len(), 9001);
}

/// The peak memory of the handler, in kB, and the path of the dump.
fn peak_of_handler(machine: &Postmortem, words: &[&str]) -> (u64, std::path::PathBuf) {
    machine.failpoint("released:stop");
    let mut child = machine.command(words).spawn().unwrap();
    let handler = machine.handler_of(child.id());
    wait_until("the handler stands", || {
        crate::support::state_of(handler) == 'T'
    });
    let peak = proc_status(handler, "VmHWM").unwrap();
    crate::postmortem::signal(handler, libc::SIGCONT);
    child.wait().unwrap();
    let peak = peak.trim_end_matches(" kB").parse().unwrap();
    (peak, machine.only_dump())
}

#[test]
fn e12_what_is_too_large_for_the_disk_becomes_a_mini_dump() {
    let disk = Tmpfs::new("32m");
    let machine = Postmortem::enabled(&[]);
    let folder = disk.path().join("dumps");
    machine.set(
        &machine.program,
        &["--type", "full", "--folder", folder.to_str().unwrap()],
    );
    machine.crash(&["mib=64", "end=segv"]);
    let dumps = files_in(&folder);
    assert_eq!(dumps.len(), 1, "{dumps:?}");
    let record = machine.record(&dumps[0]);
    assert_eq!(
        (&record["kind"], &record["complete"]),
        (&"mini".into(), &true.into())
    );
    assert!(
        record["comment"]
            .as_str()
            .unwrap()
            .contains("instead of a full one"),
        "{record}"
    );
}

#[test]
fn d4_the_oldest_of_ours_goes_and_foreign_files_stay() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    machine.set(&machine.program, &["--count", "2"]);
    std::fs::write(machine.folder.join("theirs.core"), "not ours").unwrap();
    for end in ["end=segv", "end=abort", "end=xcpu", "end=segv"] {
        machine.crash(&[end]);
    }
    let reasons: Vec<_> = machine
        .list()
        .iter()
        .map(|dump| dump["reason"].clone())
        .collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(
        reasons[0].as_str().unwrap().contains("SIGSEGV"),
        "{reasons:?}"
    );
    assert!(
        reasons[1].as_str().unwrap().contains("SIGXCPU"),
        "{reasons:?}"
    );
    assert!(machine.folder.join("theirs.core").is_file());
}

#[test]
fn d4_limits_of_bytes_take_the_oldest_and_never_the_new_one() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    machine.set(
        &machine.program,
        &["--type", "full", "--max-bytes", "100MiB"],
    );
    for end in ["end=segv", "end=abort", "end=xcpu"] {
        machine.crash(&["mib=32", end]);
    }
    let reasons: Vec<_> = machine
        .list()
        .iter()
        .map(|dump| dump["reason"].to_string())
        .collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].contains("SIGXCPU"), "{reasons:?}");
    assert!(reasons[1].contains("SIGABRT"), "{reasons:?}");
}

#[test]
fn d4_what_the_disk_has_to_keep_free_is_kept_free() {
    let disk = Tmpfs::new("64m");
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    let folder = disk.path().join("dumps");
    let to = ["--folder", folder.to_str().unwrap(), "--keep-free", "50%"];
    machine.set(&machine.program, &[&["--type", "full"][..], &to].concat());
    machine.crash(&["mib=16", "end=segv"]);
    machine.crash(&["mib=16", "end=abort"]);
    let dumps = files_in(&folder);
    let kinds: Vec<_> = dumps
        .iter()
        .map(|dump| machine.record(dump)["kind"].clone())
        .collect();
    assert_eq!(kinds, ["full"], "there is room for one, the newer");
    let reason = machine.record(&dumps[0])["reason"].to_string();
    assert!(reason.contains("SIGABRT"), "{reason}");
}

/// The bytes that all files in the folder take on the disk.
fn bytes_in(machine: &Postmortem) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let files = machine.dumps();
    let blocks = files.iter().map(|file| file.metadata().unwrap().blocks());
    blocks.sum::<u64>() * 512
}

/// Crashes of which a part of a dump is kept, as the process is killed meanwhile, do not fill the disk.
#[test]
fn n33_parts_of_dumps_count_in_the_limits_and_are_pruned() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    let limits = ["--type", "full", "--max-bytes", "100MiB", "--count", "5"];
    machine.set(&machine.program, &limits);
    for _ in 0..5 {
        crate::postmortem::kill_while_it_is_dumped(&machine);
        assert!(bytes_in(&machine) <= 100 << 20, "{:?}", machine.dumps());
    }
    assert!(!machine.dumps().is_empty(), "the last part is kept");
    machine.crash(&["end=abort"]);
    let dumps = machine.dumps();
    assert!(
        dumps.len() <= 5 && bytes_in(&machine) <= 100 << 20,
        "{dumps:?}"
    );
    assert!(
        machine
            .list()
            .iter()
            .any(|dump| dump["reason"].to_string().contains("SIGABRT"))
    );
}

#[test]
fn n33_a_process_that_lies_about_itself_leaves_a_dump_of_the_type_that_was_asked_for() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    machine.set(
        &machine.program,
        &["--type", "mini", "--max-bytes", "80MiB"],
    );
    machine.crash(&["mib=100", "auxv=odd", "end=segv"]);
    let dump = machine.only_dump();
    assert_eq!(machine.record(&dump)["kind"], "mini");
    assert!(dump.metadata().unwrap().len() < 8 << 20);
    machine.crash(&["end=abort"]);
    assert_eq!(machine.list().len(), 2, "the next one is stored too");
}

/// Where no dump of the type can be had, what is kept of the kernel's core is no more than one of it may be.
#[test]
fn n33_the_kernels_core_is_no_larger_than_the_type_that_was_asked_for() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    machine.set(&machine.program, &["--type", "mini"]);
    machine.failpoint("planned:panic");
    machine.crash(&["mib=100", "end=segv"]);
    let bytes = bytes_in(&machine);
    assert!((1 << 20..66 << 20).contains(&bytes), "{bytes}");
    machine.set(&machine.program, &["--type", "triage"]);
    machine.crash(&["end=abort"]);
    assert_eq!(
        machine.dumps().len(),
        1,
        "a triage dump must not have what the core has"
    );
    let status = Firstchance::new(&["postmortem", "status"]).run();
    status
        .assert_says("Failed:")
        .assert_says("a triage dump could not be taken");
}

#[test]
fn n33_a_limit_that_is_lowered_takes_effect_at_the_next_crash() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    machine.set(&machine.program, &["--type", "full"]);
    for end in ["end=segv", "end=abort", "end=xcpu"] {
        machine.crash(&["mib=32", end]);
    }
    assert_eq!(machine.list().len(), 3);
    machine.set(
        &machine.program,
        &["--type", "full", "--max-bytes", "20MiB"],
    );
    machine.crash(&["end=segv"]);
    let list = machine.list();
    assert_eq!(list.len(), 1, "{list:?}");
    assert!(bytes_in(&machine) < 20 << 20);
}

/// The names that the dump may get in the next seconds.
fn names_to_come(machine: &Postmortem) -> Vec<std::path::PathBuf> {
    let program = machine.program.file_name().unwrap().to_str().unwrap();
    let name = |seconds: u32| {
        let mut date = std::process::Command::new("date");
        let date = date.args(["-d", &format!("+{seconds} seconds"), "+%y%m%d_%H%M%S"]);
        let when = String::from_utf8(date.output().unwrap().stdout).unwrap();
        machine
            .folder
            .join(format!("{program}_{}.core", when.trim()))
    };
    (0..10).map(name).collect()
}

#[test]
fn d5_what_has_the_name_of_a_dump_already_is_neither_followed_nor_touched() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    let outside = machine.program.with_extension("outside");
    let plant: [fn(&std::path::Path, &std::path::Path); 4] = [
        |name, outside| std::os::unix::fs::symlink(outside, name).unwrap(),
        |name, _| std::os::unix::fs::symlink("/nowhere/x", name).unwrap(),
        |name, _| {
            assert!(
                std::process::Command::new("mkfifo")
                    .arg(name)
                    .status()
                    .unwrap()
                    .success()
            )
        },
        |name, outside| std::fs::hard_link(outside, name).unwrap(),
    ];
    for plant in plant {
        std::fs::write(&outside, "theirs").unwrap();
        let names = names_to_come(&machine);
        names.iter().for_each(|name| plant(name, &outside));
        machine.crash(&["end=segv"]);
        assert_eq!(std::fs::read(&outside).unwrap(), b"theirs");
        let list = machine.list();
        assert_eq!(list.len(), 1, "{list:?}");
        assert!(
            list[0]["id"].as_str().unwrap().contains("-1.core"),
            "{list:?}"
        );
        std::fs::remove_dir_all(&machine.folder).unwrap();
        std::fs::create_dir(&machine.folder).unwrap();
    }
}

#[test]
fn d6_a_folder_that_became_a_link_to_somebody_elses_gets_no_dump() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    let theirs = machine.program.with_file_name("theirs");
    std::fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::chown(&theirs, Some(1000), Some(1000)).unwrap();
    std::fs::rename(&machine.folder, machine.folder.with_extension("old")).unwrap();
    std::os::unix::fs::symlink(&theirs, &machine.folder).unwrap();
    let status = machine.command(&["end=segv"]).status().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGSEGV));
    assert_eq!(files_in(&theirs), Vec::<std::path::PathBuf>::new());
    let status = Firstchance::new(&["postmortem", "status"]).run();
    status
        .assert_says("Failed:")
        .assert_says("belongs to user 1000");
    std::fs::remove_file(&machine.folder).unwrap();
}

#[test]
fn d7_a_folder_or_settings_that_others_can_change_are_refused() {
    let mut machine = Postmortem::off();
    std::fs::create_dir(&machine.folder).unwrap();
    std::fs::set_permissions(&machine.folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let before = Postmortem::pattern();
    let refused = machine.enable(&["--only-listed"]);
    refused
        .assert_code(4)
        .assert_says("can be written to by others");
    assert_eq!(Postmortem::pattern(), before);
    std::fs::set_permissions(&machine.folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    machine
        .enable(&["--only-listed", "--program", "/tmp/fc"])
        .assert_failed();
    assert_eq!(Postmortem::pattern(), before);
}

#[test]
fn d14_broken_files_and_links_in_a_folder_are_neither_listed_nor_deleted() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    machine.set(&machine.program, &["--count", "1"]);
    machine.crash(&["end=segv"]);
    let dump = std::fs::read(machine.only_dump()).unwrap();
    let outside = machine.program.with_extension("core");
    std::fs::write(&outside, &dump).unwrap();
    std::os::unix::fs::symlink(&outside, machine.folder.join("link.core")).unwrap();
    for (at, size) in [0, 10, 64, 120, 400, 1000].into_iter().enumerate() {
        std::fs::write(machine.folder.join(format!("cut{at}.core")), &dump[..size]).unwrap();
    }
    std::fs::create_dir(machine.folder.join("folder.core")).unwrap();
    machine.crash(&["end=abort"]);
    assert_eq!(machine.list().len(), 1);
    let names = machine.dumps();
    assert_eq!(names.len(), 9, "{names:?}");
    assert!(outside.is_file());
}

/// The seconds that `dumps list` and `dumps prune` take for this many dumps, if none has to be deleted.
fn time_over(dump: &[u8], count: usize) -> [f64; 2] {
    let folder = crate::support::folder();
    for at in 0..count {
        let file = std::fs::File::create(folder.path().join(format!("app{at}.dmp"))).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &dump[..16 << 10], 0).unwrap();
        // As large as a real dump, but sparse.
        file.set_len(1 << 30).unwrap();
    }
    ["list", "prune"].map(|what| {
        let run = Firstchance::new(&["dumps", what, "--folder"]).arg(folder.path());
        let run = run.run_well();
        assert!(what == "prune" || run.stdout.contains(&format!("and {} older", count - 500)));
        assert_eq!(files_in(folder.path()).len(), count);
        run.took.as_secs_f64()
    })
}

/// The time must be proportional to the number of dumps (docs/benchmarks.md has the times). The machine may be
/// busy, so that eight times as many dumps may take 24 times as long. If each were compared with each, it would
/// be 64 times.
#[test]
fn d15_the_time_for_many_dumps_grows_with_their_number() {
    let machine = Postmortem::enabled(&[]);
    machine.set(&machine.program, &["--type", "mini"]);
    machine.crash(&["end=segv"]);
    let dump = std::fs::read(machine.only_dump()).unwrap();
    drop(machine);
    let most = if crate::support::slow_tests() {
        100_000
    } else {
        40_000
    };
    let (few, many) = (time_over(&dump, most / 8), time_over(&dump, most));
    for (few, many) in few.into_iter().zip(many) {
        assert!(many < few.max(0.05) * 24.0, "{few} s, then {many} s");
    }
}

#[test]
fn explain_prints_the_rules_that_the_settings_mean() {
    let machine = Postmortem::enabled(&["--count", "3", "--keep-free", "5%"]);
    Firstchance::new(&["postmortem", "exclude", "chrome"]).run_well();
    let told = Firstchance::new(&["explain", "--postmortem"]).run_well();
    let (program, folder) = (machine.program.display(), machine.folder.display());
    let limits = "at most 1 dump per signature in 1h; keep at most 3 dumps; keep 5% free";
    for line in [
        "# Postmortem dumps are on.".to_owned(),
        "# Programs that no rule is about leave no dump.".to_owned(),
        format!(
            "# \"postmortem of {program}\": on each image:{program}, when unhandled exception not \
             code 0x3, do full dump; into \"{folder}\"; {limits} (as a core)"
        ),
        "# \"postmortem of chrome\": on each chrome, when unhandled exception not code 0x3, do none"
            .to_owned(),
    ] {
        assert!(told.stdout.lines().any(|told| told == line), "{line}\n{told:#?}");
    }
    let file = machine.folder.with_extension("toml");
    std::fs::write(&file, &told.stdout).unwrap();
    let rules = Firstchance::new(&["explain", "--rules"])
        .arg(&file)
        .run_well();
    let toml = |text: &str| text[text.find("[[rule]]").unwrap()..].to_owned();
    assert_eq!(
        toml(&rules.stdout),
        toml(&told.stdout),
        "it is a file of rules"
    );

    machine.crash(&["end=segv"]);
    let record = machine.record(&machine.only_dump());
    let rule = record["rule"].as_str().unwrap();
    assert!(
        told.stdout.contains(rule),
        "the dump quotes its rule: {rule}"
    );

    let enable = [
        "explain",
        "postmortem",
        "enable",
        "--type",
        "plus",
        "--quit",
        "--only-listed=no",
    ];
    let told = Firstchance::new(&enable).run_well();
    let sentence = "on each cmdline:\"*\", when unhandled exception, do plus dump; into";
    assert!(told.stdout.contains(sentence), "{told:#?}");
}

#[test]
fn dumps_are_listed_filtered_and_deleted() {
    let machine = Postmortem::enabled(&[]);
    machine.crash(&["end=segv"]);
    machine.crash(&["end=abort"]);
    let folder = machine.folder.to_str().unwrap();
    let lines = |more: &[&str]| {
        let list = Firstchance::new(&["dumps", "list", "--json", "--folder", folder]);
        list.args(more).run_well().stdout.lines().count()
    };
    assert_eq!(lines(&[]), 2);
    assert_eq!(lines(&["--signature", "SIGABRT"]), 1);
    assert_eq!(lines(&["--program", "nobody"]), 0);
    assert_eq!(lines(&["--since", "1h"]), 2);
    let name = machine.list()[0]["id"].as_str().unwrap().to_owned();
    Firstchance::new(&["dumps", "delete", &name, "--folder", folder]).run_well();
    assert_eq!(lines(&[]), 1);
    Firstchance::new(&["dumps", "delete", &name, "--folder", folder])
        .run()
        .assert_code(6);
    assert_eq!(files_in(&machine.folder).len(), 1);
}

/// The worker is ended while it writes: what it has made would else lie beside the kernel's core until the next crash.
#[test]
fn n33_what_a_worker_that_was_killed_has_made_is_removed_at_once() {
    let machine = Postmortem::enabled(&[]);
    machine.failpoint("planned:kill9");
    machine.crash(&["end=segv"]);
    let core = machine.only_dump();
    assert_eq!(files_in(&machine.folder).len(), 1, "beside {core:?}");
    let status = Firstchance::new(&["postmortem", "status"]).run();
    status.assert_code(1).assert_says(&format!(
        "left only the kernel's core, {}, as the crash handler was ended by SIGKILL\n",
        core.display()
    ));
}

#[test]
fn n33_who_may_not_delete_dumps_is_told_so() {
    let machine = Postmortem::enabled(&["--count", "1"]);
    machine.crash(&["end=segv"]);
    let prune = |by: &[&str]| {
        let prune = Firstchance::by(by).args(&["dumps", "prune", "--folder"]);
        prune.arg(&machine.folder).run()
    };
    let by_user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];
    prune(&by_user)
        .assert_code(4)
        .assert_says("Permission denied")
        .assert_says("with sudo");
    prune(&[]).assert_code(0).assert_says("Nothing to delete");
    let other = crate::support::folder();
    let prune = Firstchance::new(&["dumps", "prune", "--folder"]);
    let run = prune.arg(other.path()).run_well();
    run.assert_says("No limits are set for");
}
