//! Conditions about the limits of a control group, and dumps that are taken inside of a group that is nearly full.

use std::process::Command;

use crate::shared_memory::shown_value;
use crate::support::{Core, Firstchance, Group, Victim, file_in, files_in, folder, victim_exe};

const MIB: u64 = 1 << 20;

/// A victim in a group.
fn victim_in(group: &Group, args: &[&str]) -> Victim {
    let [shell, option, enter] = group.entering();
    let mut command = Command::new(shell);
    Victim::start_by(command.args([option, enter]).arg(victim_exe()).args(args))
}

/// firstchance in a group.
pub(crate) fn firstchance_in(group: &Group) -> Firstchance {
    let enter = group.entering();
    Firstchance::by(&enter.each_ref().map(String::as_str))
}

/// A program grows in a group with a limit, beside a watch in the same group, as in a container.
fn grows_to_its_limit(failpoint: Option<&str>) {
    let folder = folder();
    let group = Group::of("memory");
    group.limit_memory(400 * MIB);
    let mut victim = victim_in(&group, &["leak", "16"]);
    let watch = firstchance_in(&group)
        .args(&[
            "watch",
            &victim.pid_text(),
            "--when",
            "memory >= 80% of limit",
        ])
        .args(&["--do", "full dump", "--poll", "20ms", "-o"])
        .arg(folder.path());
    let watch = match failpoint {
        Some(point) => watch.failpoint(point),
        None => watch,
    };
    let watch = watch.spawn().until_it_says("Press Ctrl-C");
    // It gets no further than to 85 %: what is left has to do for the dump.
    while group.working_set() < 325 * MIB {
        victim.ping();
    }
    let run = watch.finish();
    run.assert_code(0)
        .assert_says("Trigger: memory >= 80% of limit: ");
    assert_eq!(
        (group.kills(), group.times_at_its_limit()),
        (0, 0),
        "{run:#?}"
    );
    victim.assert_alive();
    let dumps = files_in(folder.path());
    assert_eq!(dumps.len(), 1, "{dumps:?}");
    assert!(std::fs::metadata(&dumps[0]).expect("a dump").len() > 250 * MIB);
    assert_eq!(Core::new(&dumps[0], victim_exe()).threads(), [victim.pid()]);
}

#[test]
fn n25_a_dump_near_the_limit_of_a_group_comes_before_the_kernel_kills() {
    grows_to_its_limit(None);
}

/// As on a file system that has no direct writes.
#[test]
fn n25_a_dump_through_the_page_cache_does_not_fill_the_group_either() {
    grows_to_its_limit(Some("direct:eio"));
}

#[test]
fn n25_cpu_is_compared_to_the_quota_of_the_group() {
    let group = Group::of("cpu");
    group.limit_cpu(20);
    let mut spinning = victim_in(&group, &["spin", "1"]);
    let folder = folder();
    let run = Firstchance::new(&["watch", &spinning.pid_text(), "--poll", "200ms", "-o"])
        .arg(folder.path())
        .args(&["--when", "cpu >= 60% of limit for 1s"])
        .run_well();
    run.assert_says("Trigger: cpu >= 60% of limit for 1s: ");
    spinning.assert_alive();
}

/// A watch that may use one processor itself takes the machine for what it is.
#[test]
fn n25_cpu_is_of_all_processors_wherever_the_watch_runs() {
    let spinning = Victim::start(&["spin", "1"]);
    let all = std::thread::available_parallelism()
        .expect("a number")
        .get() as f64;
    let watch = Firstchance::by(&["taskset", "-c", "0"]).args(&[
        "watch",
        &spinning.pid_text(),
        "--when",
        "cpu > 0.1%",
        "--poll",
        "300ms",
        "-o",
    ]);
    let folder = folder();
    let run = watch.arg(folder.path()).run_well();
    let (_, shown) = run
        .stdout
        .split_once("Trigger: cpu > 0.1%: ")
        .expect("a trigger");
    let shown = shown
        .split('%')
        .next()
        .and_then(|value| value.parse::<f64>().ok());
    // One thread uses one processor at most; the clocks of the kernel may differ a little.
    assert!(shown.expect("a percentage") < 115.0 / all, "{run:#?}");
}

/// As in a container that sees its own group at the top of the hierarchy, by the path that the host calls it.
#[test]
fn n25_a_counter_of_a_group_is_read_below_the_root_of_its_mount() {
    let group = Group::of("memory");
    let victim = victim_in(&group, &["leak", "64"]);
    let (own, mount) = (group.folder.display(), group.mount.display());
    let bind = format!("mount --bind {own} {mount} && exec \"$0\" \"$@\"");
    let watch = Firstchance::by(&["unshare", "-m", "sh", "-c", &bind]);
    let level = format!(
        "counter \"cgroup/{}\" > 99999999999999",
        group.memory_file()
    );
    let shown = shown_value(watch, victim.pid(), &level);
    let used = shown.parse::<f64>().unwrap_or_else(|_| panic!("{shown}"));
    assert!((64.0..128.0).contains(&(used / MIB as f64)), "{shown}");
}

#[test]
fn n25_a_limit_that_there_is_not_is_refused_at_the_beginning() {
    for (controller, when, words) in [
        ("memory", "memory >= 90% of limit", "has no limit of memory"),
        ("cpu", "cpu >= 90% of limit", "has no limit of processors"),
    ] {
        let group = Group::of(controller);
        let mut victim = victim_in(&group, &["idle"]);
        let run = firstchance_in(&group)
            .args(&["watch", &victim.pid_text(), "--when", when])
            .run();
        run.assert_code(1).assert_says(words);
        victim.assert_alive();
        let run = firstchance_in(&group)
            .args(&["run", "--when", when, "--", "echo", "it was started"])
            .run();
        run.assert_code(1).assert_says(words);
        assert!(!run.stdout.contains("it was started"), "{run:#?}");
    }
}

/// Of several processes, one may have no limit.
#[test]
fn n25_a_process_without_a_limit_among_others_is_told() {
    let folder = folder();
    let group = Group::of("memory");
    group.limit_memory(400 * MIB);
    let other = Group::of("memory");
    let name = format!("some-{}", std::process::id());
    let program = file_in(&folder, &name[..name.len().min(15)]);
    std::fs::copy(victim_exe(), &program).expect("a copy");
    let start = |group: &Group| {
        let [shell, option, enter] = group.entering();
        Victim::start_by(
            Command::new(shell)
                .args([option, enter])
                .arg(&program)
                .arg("idle"),
        )
    };
    let (limited, free) = (start(&group), start(&other));
    let name = program
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a name");
    let running = Firstchance::new(&["watch", name, "--each", "--poll", "100ms", "-o"])
        .arg(folder.path())
        .args(&["--when", "memory >= 99% of limit"])
        .spawn()
        .until_it_says("it has no limit of memory");
    running.signal(libc::SIGINT);
    let run = running.finish();
    let notes: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.contains("no limit"))
        .collect();
    assert_eq!(notes.len(), 1, "{run:#?}");
    assert!(notes[0].contains(&free.pid_text()) && !notes[0].contains(&limited.pid_text()));
}

#[test]
fn n25_the_doctor_sees_the_limit_of_the_group() {
    let group = Group::of("memory");
    group.limit_memory(400 * MIB);
    let run = firstchance_in(&group).args(&["doctor"]).run();
    run.assert_says("400 MB for this control group");
}
