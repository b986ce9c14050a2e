//! What a start of the program costs, in system calls: time depends on the machine.

use crate::support::{Firstchance, Victim, cpu_ticks, folder, judge, wait_until};

/// The system calls of the program with these arguments, one a line, as strace tells them.
fn calls(arguments: &[&str]) -> Vec<String> {
    judge("strace", "strace");
    let folder = folder();
    let file = folder.path().join("calls");
    let file_name = file.to_str().expect("a plain path");
    // Cargo sets it for tests, and the loader looks there for each library.
    let strace = [
        "env",
        "-u",
        "LD_LIBRARY_PATH",
        "strace",
        "-f",
        "-o",
        file_name,
    ];
    Firstchance::by(&strace).args(arguments).run_well();
    let text = std::fs::read_to_string(file).expect("the calls");
    text.lines().map(str::to_owned).collect()
}

fn count(calls: &[String], part: &str) -> usize {
    calls.iter().filter(|call| call.contains(part)).count()
}

/// `true` makes 40 calls, 25 of which are those of the loader. Ours links three more libraries.
#[test]
fn s3_a_start_takes_few_calls_and_reads_no_files() {
    let calls = calls(&["--version"]);
    assert!(calls.len() < 150, "{} calls: {calls:#?}", calls.len());
    let opened = calls.iter().filter(|call| call.contains("openat("));
    let is_expected = |call: &&String| {
        [".so", "/proc/self/maps"]
            .iter()
            .any(|part| call.contains(part))
    };
    let others: Vec<_> = opened.filter(|call| !is_expected(call)).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(count(&calls, "execve("), 1, "{calls:#?}");
}

/// It slept for a quarter of a second to measure what the processes use, and opened 30 files of each.
#[test]
fn s3_ps_opens_few_files_of_each_process_and_does_not_sleep() {
    let victims: Vec<Victim> = (0..20).map(|_| Victim::start(&["idle"])).collect();
    let calls = calls(&["ps"]);
    assert_eq!(count(&calls, "nanosleep"), 0, "{calls:#?}");
    for victim in &victims {
        let folder = format!("/proc/{}\"", victim.pid());
        assert_eq!(count(&calls, &folder), 1, "{calls:#?}");
    }
    let listed = Firstchance::new(&["ps"]).run_well().stdout.lines().count();
    let opened = count(&calls, "openat(");
    // Threads of the kernel are looked at, too, to tell that they are.
    let looked_at = count(&calls, "\"/proc/");
    assert!(
        opened < 12 * looked_at + 40,
        "{opened} for {looked_at}, {listed} of which are listed"
    );
}

/// A process that works is told apart from one that waits, in either way to measure it.
#[test]
fn s3_ps_tells_who_is_busy_over_its_life_and_over_a_while() {
    let (busy, idle) = (Victim::start(&["spin"]), Victim::start(&["idle"]));
    wait_until("it has worked", || cpu_ticks(busy.pid()) >= 20);
    for options in [
        &["ps", "--json"][..],
        &["ps", "--json", "--cpu-over", "300ms"],
    ] {
        let shown = Firstchance::new(options).run_well();
        let shown: Vec<serde_json::Value> = serde_json::from_str(&shown.stdout).expect("JSON");
        let percent = |victim: &Victim| {
            let line = shown.iter().find(|line| line["pid"] == victim.pid());
            line.and_then(|line| line["cpu-percent"].as_f64())
                .expect("a figure")
        };
        assert!(
            percent(&busy) > percent(&idle),
            "{options:?}: {} and {}",
            percent(&busy),
            percent(&idle)
        );
    }
}
