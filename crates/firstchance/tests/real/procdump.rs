//! ProcDump's own command lines, with real processes.

use std::process::Command;

use crate::support::{
    Firstchance, Postmortem, Run, Victim, file_in, files_in, folder, victim_exe, wait_until,
};

fn procdump(line: &str) -> Firstchance {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    Firstchance::new(&["procdump"]).args(&words)
}

fn says(run: &Run, lines: &[&str]) {
    for line in lines {
        assert!(run.stdout.contains(line), "{line}: {run:#?}");
    }
}

#[test]
fn on_demand_lines_write_their_dumps() {
    for (switches, dumps) in [
        ("", 1),
        ("-ma", 1),
        ("-ma -accepteula", 1),
        ("-accepteula -ma", 1),
        ("/accepteula /ma", 1),
        ("-mm -ma", 2),
        ("-mt", 1),
        ("-mp", 1),
        ("-mc 33", 1),
        ("-ma -n 3 -s 1", 3),
        ("-r -ma -n 2 -s 1", 2),
    ] {
        let folder = folder();
        let mut victim = Victim::start(&["idle"]);
        let run = procdump(switches)
            .args(&[&victim.pid_text()])
            .arg(folder.path())
            .run_well();
        says(
            &run,
            &[
                "Dump 1 initiated: ",
                "Dump 1 complete: ",
                "Dump count reached.",
            ],
        );
        assert_eq!(files_in(folder.path()).len(), dumps, "{switches}: {run:#?}");
        victim.assert_alive();
    }
}

#[test]
fn a_cpu_line_fires_twice_as_the_guide_has_it() {
    let folder = folder();
    let mut victim = Victim::start(&["spin", "2"]);
    // The guide says 85 %, but a victim may get less on a busy machine.
    let run = procdump("-ma -n 2 -s 1 -c 5")
        .args(&[&victim.pid_text()])
        .arg(folder.path())
        .run_well();
    says(
        &run,
        &[
            "CPU threshold:         >= 5% of system",
            "Threshold seconds:     1",
        ],
    );
    says(&run, &["Dump 2 complete: ", "Dump count reached."]);
    assert_eq!(files_in(folder.path()).len(), 2);
    victim.assert_alive();
}

#[test]
fn memory_and_counter_lines_fire() {
    for line in [
        "-ma -s 1 -m 1",
        "-ml 4000 -s 1",
        r"-s 1 -p \Process(victim)\Thread~Count 1",
        r"-s 1 -pl \Process(victim)\Thread~Count 99",
        "-cl 99 -s 1",
        "-tc 1 -s 1",
        "-fc 1 -s 1",
    ] {
        let folder = folder();
        let victim = Victim::start(&["leak", "4"]);
        let words: Vec<String> = line
            .split_ascii_whitespace()
            .map(|word| word.replace('~', " "))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let run = Firstchance::new(&["procdump"])
            .args(&words)
            .args(&[&victim.pid_text()])
            .arg(folder.path())
            .run_well();
        says(&run, &["Dump count reached."]);
        assert_eq!(files_in(folder.path()).len(), 1, "{line}");
    }
}

#[test]
fn each_of_a_list_of_thresholds_takes_one_dump_as_on_linux() {
    let folder = folder();
    let mut victim = Victim::start(&["leak", "4"]);
    let run = procdump("--linux -m 1,2 -s 1")
        .args(&[&victim.pid_text()])
        .arg(folder.path())
        .run_well();
    says(
        &run,
        &["Commit Threshold:                       >= 1 MB,2 MB"],
    );
    says(&run, &["Number of Dumps:                        2"]);
    let lines: Vec<&str> = run.stdout.lines().collect();
    let triggers = lines.iter().filter(|line| line.contains("Trigger: "));
    assert_eq!(triggers.count(), 2, "{run:#?}");
    let said = |words: &str| lines.iter().any(|line| line.contains(words));
    assert!(!said("No dump for"), "its own pause is no news: {run:#?}");
    assert_eq!(files_in(folder.path()).len(), 2);
    victim.assert_alive();
}

#[test]
fn t_dumps_when_the_program_ends_and_x_starts_it() {
    let folder = folder();
    let place = folder.path().display().to_string();
    let run = procdump("-ma -t -x")
        .args(&[&place, "sh", "-c", "exit 4"])
        .run_well();
    says(
        &run,
        &[
            "Terminate monitor:     Enabled",
            "The process has exited.",
            "Dump 1 complete: ",
            "Dump count reached.",
        ],
    );
    assert_eq!(files_in(folder.path()).len(), 1);
}

#[test]
fn w_waits_for_the_next_of_that_name() {
    let folder = folder();
    let program = file_in(&folder, "waited-for");
    std::fs::copy(victim_exe(), &program).expect("a copy");
    let dumps = tempfile::tempdir_in(folder.path()).expect("a folder");
    let running = procdump("-ma -w waited-for").arg(dumps.path()).spawn();
    wait_until("it waits", || crate::watching::is_monitored(running.pid()));
    let _victim = Victim::start_by(Command::new(&program).arg("idle"));
    let run = running.finish();
    run.assert_code(0);
    says(
        &run,
        &[
            "Waiting for process named waited-for...",
            "Dump 1 complete: ",
        ],
    );
}

#[test]
fn k_ends_the_program_with_its_last_dump() {
    let folder = folder();
    let mut victim = Victim::start(&["idle"]);
    procdump("-ma -k")
        .args(&[&victim.pid_text()])
        .arg(folder.path())
        .run_well();
    let status = victim.wait();
    assert!(!status.success(), "{status}");
    assert_eq!(files_in(folder.path()).len(), 1);
}

#[test]
fn the_program_answers_to_the_name_procdump() {
    let folder = folder();
    let link = file_in(&folder, "procdump");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_firstchance"), &link).expect("a link");
    let dumps = tempfile::tempdir_in(folder.path()).expect("a folder");
    let victim = Victim::start(&["idle"]);
    let run = Firstchance::copy_by(&[], &link)
        .args(&["-ma", &victim.pid_text()])
        .arg(dumps.path())
        .run_well();
    says(&run, &["Dump 1 complete: "]);
    assert_eq!(files_in(dumps.path()).len(), 1);
}

#[test]
fn what_is_not_built_yet_says_so_and_what_is_wrong_is_a_usage_error() {
    let victim = Victim::start(&["idle"]);
    let pid = victim.pid_text();
    procdump("-ma -gcm 100")
        .args(&[&pid])
        .run()
        .assert_code(1)
        .assert_says("not built yet");
    procdump("-nonsense").args(&[&pid]).run().assert_code(2);
    procdump("-ma 99999999").run().assert_code(3);
    let run = procdump("-wer -64 -ma")
        .args(&[&pid])
        .current_dir(folder().path())
        .run();
    assert!(run.stderr.lines().count() >= 1, "{run:#?}");
}

#[test]
fn names_with_tokens_and_overwriting() {
    let folder = folder();
    let victim = Victim::start(&["idle"]);
    let file = file_in(&folder, "before-pid1-PID.core");
    for _ in 0..2 {
        procdump("-ma -o")
            .args(&[&victim.pid_text()])
            .arg(&file)
            .run_well();
    }
    let expected = file_in(&folder, &format!("before-pid1-{}.core", victim.pid()));
    assert_eq!(files_in(folder.path()), [expected]);
}

#[test]
fn i_is_postmortem_enable_and_u_is_disable() {
    let postmortem = Postmortem::off();
    let before = format!("core_pattern = {}", Postmortem::pattern());
    let folder = postmortem.folder.to_str().expect("a plain path");
    let run = procdump("-ma -i").args(&[folder]).run_well();
    says(
        &run,
        &[&format!("Before: {before}"), "Now: core_pattern = |"],
    );
    postmortem.crash(&["end=segv"]);
    let name = postmortem.program.file_name().expect("a name");
    let ours = |file: &std::path::PathBuf| {
        let file = file.to_string_lossy();
        file.contains(&*name.to_string_lossy())
    };
    assert_eq!(postmortem.dumps().iter().filter(|f| ours(f)).count(), 1);
    procdump("-mm -ma -i").args(&[folder]).run().assert_code(2);
    let run = procdump("-u").run_well();
    says(
        &run,
        &["Before: core_pattern = |", &format!("Now: {before}")],
    );
    procdump("-u").run().assert_failed();
}
