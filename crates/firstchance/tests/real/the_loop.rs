//! What the loop of a watch owes: it ends when it has nothing left to do, and goes on where it can.
//! What it costs while nothing happens is in `loop_costs.rs`.
//!
//! The names of tests begin with the number of the fault that each of them found.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::dump_refuse::{NOBODY, folder_of_nobody, public_copy, public_folder};
use crate::support::{
    Child, Firstchance, Run, Victim, file_in, files_in, folder, victim_exe, wait_until,
};

const FIRSTCHANCE: &str = env!("CARGO_BIN_EXE_firstchance");

/// Conditions for which a process is followed, each by other means.
pub(crate) const FOLLOWED: [&str; 4] =
    ["exit", "signal SIGUSR1", "exception", "unhandled exception"];

/// Far more than a watch takes to end on a slow machine.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

pub(crate) fn watch(target: &str, conditions: &[&str], to: &Path) -> Firstchance {
    let command = Firstchance::new(&["watch", target, "-o"]).arg(to);
    when(command.deadline(ENDS_WITHIN), conditions)
}

pub(crate) fn when(command: Firstchance, conditions: &[&str]) -> Firstchance {
    conditions.iter().fold(command, |command, condition| {
        command.args(&["--when", condition])
    })
}

/// A copy of the victim under a name that no other process has.
pub(crate) fn named(folder: &tempfile::TempDir, name: &str) -> (PathBuf, String) {
    // The kernel's short names have 15 letters.
    let name = format!("{name}{}", std::process::id());
    let program = file_in(folder, &name);
    std::fs::copy(victim_exe(), &program).expect("a copy");
    (program, name)
}

/// As many dumps were taken or failed as were ordered.
fn assert_each_order_is_answered(run: &Run) {
    let count = |words: &str| {
        run.stdout
            .lines()
            .filter(|line| line.contains(words))
            .count()
    };
    let dumps = (1..=count("Trigger:")).collect::<Vec<_>>();
    let told = |what: &str| -> usize {
        dumps
            .iter()
            .map(|n| count(&format!("Dump {n} {what}")))
            .sum()
    };
    assert_eq!(told("complete") + told("error"), dumps.len(), "{run:#?}");
}

#[test]
fn n19_a_watch_ends_when_its_process_is_killed_among_its_dumps() {
    for round in 0..24 {
        let folder = folder();
        let mut victim = Victim::start(&["idle"]);
        let conditions = ["threads > 0 for 10ms", FOLLOWED[round % FOLLOWED.len()]];
        let running = watch(&victim.pid_text(), &conditions, folder.path())
            .args(&["-n", "0", "--poll", "1ms", "--do", "triage dump"])
            .spawn()
            .until_it_says("Dump 2 ");
        victim.kill_without_waiting();
        let terminates = round % 3 == 2;
        if terminates {
            running.signal(libc::SIGTERM);
        }
        let run = running.finish();
        victim.wait();
        match terminates {
            true => assert!(matches!(run.code, Some(0 | 7)), "{run:#?}"),
            false => drop(run.assert_code(0)),
        }
        assert_each_order_is_answered(&run);
    }
}

/// The process dies before its dump has stopped it, and again before the next one has.
#[test]
fn n19_a_dump_of_a_process_that_has_just_died_fails_and_the_watch_ends() {
    for (condition, dumps) in FOLLOWED.into_iter().zip([0, 1].into_iter().cycle()) {
        let folder = folder();
        let mut victim = Victim::start(&["leak", "32"]);
        let conditions = ["rss > 48MiB for 10ms", condition];
        let mut running = watch(&victim.pid_text(), &conditions, folder.path())
            .args(&["-n", "3", "--poll", "10ms"])
            .failpoint("before-stop:stop")
            .spawn()
            .until_it_says("Press Ctrl-C");
        victim.tell("more");
        for _ in 0..dumps {
            running.wait_until_stopped();
            // The next dump may begin before this one is told of.
            running.go_on();
        }
        running.wait_until_stopped();
        victim.kill_without_waiting();
        victim.wait_for_letters("tZX");
        let run = running.finish_through_stops();
        victim.wait();
        run.assert_code(5);
        assert_each_order_is_answered(&run);
    }
}

/// What belongs to root and what belongs to the user, by the same name.
struct RootsAndOwn {
    roots: [Victim; 2],
    own: Victim,
    name: String,
    folder: PathBuf,
    firstchance: PathBuf,
    _public: tempfile::TempDir,
}

impl RootsAndOwn {
    fn start() -> Self {
        let public = public_folder();
        let (program, name) = named(&public, "owned");
        let start = |starter: &[&str]| {
            let mut words = starter.to_vec();
            let program = program.to_str().expect("plain text");
            words.extend([program, "exit"]);
            Victim::start_by(Command::new(words[0]).args(&words[1..]))
        };
        let roots = [start(&[]), start(&[])];
        Self {
            own: start(NOBODY),
            roots,
            name,
            folder: folder_of_nobody(&public),
            firstchance: public_copy(&public, Path::new(FIRSTCHANCE)),
            _public: public,
        }
    }

    fn watch(&self, target: &str, conditions: &[&str], number: &str) -> Firstchance {
        let command = Firstchance::copy_by(NOBODY, &self.firstchance)
            .args(&["watch", target, "-n", number, "-o"])
            .arg(&self.folder);
        when(command.deadline(ENDS_WITHIN), conditions)
    }
}

#[test]
fn n22_processes_that_may_not_be_touched_do_not_end_the_watch_of_the_others() {
    for (condition, number) in [
        ("now", "1"),
        ("threads > 0", "1"),
        ("exit", "1"),
        ("exit", "5"),
    ] {
        let mut ours = RootsAndOwn::start();
        let command = ours
            .watch(&ours.name, &[condition], number)
            .args(&["--each"]);
        let mut running = command.spawn();
        if condition == "exit" {
            running = running.until_it_says("Press Ctrl-C");
            ours.own.tell("end");
        }
        running = running.until_it_says(" complete: ");
        if number == "5" {
            running.signal(libc::SIGINT);
        }
        let run = running.finish();
        run.assert_code(if number == "5" { 7 } else { 0 });
        assert!(run.stdout.contains("not permitted"), "{run:#?}");
        assert_eq!(files_in(&ours.folder).len(), 1, "{run:#?}");
        ours.roots
            .iter_mut()
            .for_each(|victim| assert_ne!(victim.letter(), 'X'));
    }
}

/// With a number of dumps to reach, and without one.
#[test]
fn n22_a_watch_of_what_may_not_be_touched_ends_with_4_and_says_why() {
    let ours = RootsAndOwn::start();
    for (condition, number) in [("exit", "1"), ("exit", "0"), ("now", "1"), ("now", "0")] {
        let run = ours
            .watch(&ours.roots[0].pid_text(), &[condition], number)
            .run();
        run.assert_code(4).assert_says("Run firstchance as root");
    }
    assert!(files_in(&ours.folder).is_empty());
}

#[test]
fn n22_a_watch_of_what_another_debugger_holds_ends_with_4_and_names_it() {
    let folder = folder();
    let mut victim = Victim::start(&["idle"]);
    let mut tracer = Command::new("strace");
    tracer.args(["-o", "/dev/null", "-p", &victim.pid_text()]);
    let tracer = Child::start(tracer.stderr(Stdio::null()));
    let is_traced = || crate::support::proc_status(victim.pid(), "TracerPid");
    wait_until("strace holds it", || {
        is_traced().is_some_and(|pid| pid != "0")
    });
    for condition in ["exit", "signal SIGUSR1", "exception"] {
        for number in ["1", "0"] {
            let command = watch(&victim.pid_text(), &[condition], folder.path());
            let run = command.args(&["-n", number]).run();
            run.assert_code(4).assert_says("(strace)");
        }
    }
    tracer.signal(libc::SIGINT);
    drop(tracer);
    victim.assert_alive();
}

/// It is gone before it is looked for (3), before or after it is followed (5), or its end was seen
/// and dumped (0).
#[test]
fn n22_a_process_that_ends_while_its_watch_begins_is_not_waited_for() {
    let folder = folder();
    let dumps = file_in(&folder, "dumps");
    std::fs::create_dir(&dumps).expect("a folder");
    let name = format!("brief{}", std::process::id());
    let program = file_in(&folder, &name);
    std::fs::copy("/bin/sleep", &program).expect("a copy");
    for round in 0..60 {
        let milliseconds = round * 7 % 60;
        let mut brief = Command::new(&program);
        let mut brief = brief
            .arg(format!("0.{milliseconds:03}"))
            .spawn()
            .expect("sleep");
        let target = [name.clone(), brief.id().to_string()][round % 2].clone();
        let condition = FOLLOWED[round % 3];
        let running = watch(&target, &[condition], &dumps).spawn();
        brief.wait().expect("our own child");
        let run = running.finish();
        let expected: &[i32] = match condition {
            "exit" => &[0, 3, 5],
            _ => &[3, 5],
        };
        assert!(
            run.code.is_some_and(|code| expected.contains(&code)),
            "{run:#?}"
        );
    }
}

#[test]
fn n22_a_dump_at_once_and_a_rule_about_events_do_not_fight_for_the_process() {
    for round in 0..20 {
        let folder = folder();
        let mut victim = Victim::start(&["idle"]);
        let condition = FOLLOWED[round % FOLLOWED.len()];
        let one = watch(&victim.pid_text(), &["now", condition], folder.path());
        let run = one.run();
        run.assert_code(0);
        assert!(!run.stdout.contains("already traced"), "{run:#?}");
        victim.assert_alive();
    }
}

#[test]
fn n22_two_rules_of_a_file_about_one_process_do_not_fight_for_it() {
    for round in 0..20 {
        let folder = folder();
        let dumps = file_in(&folder, "dumps");
        std::fs::create_dir(&dumps).expect("a folder");
        let mut victim = Victim::start(&["exit"]);
        let rules = file_in(&folder, "rules.toml");
        let rule = |condition: &str| {
            let (pid, dumps) = (victim.pid(), dumps.display());
            format!(
                "[[rule]]\ntarget = \"{pid}\"\nfolder = \"{dumps}\"\nmax-dumps = 1\n\
                 [[rule.on]]\nwhen = \"{condition}\"\ndo = \"mini dump\"\n"
            )
        };
        let other = ["exit", "exit or exception"][round % 2];
        std::fs::write(&rules, rule("now") + &rule(other)).expect("a file");
        let running = Firstchance::new(&["watch", "--rules"])
            .arg(&rules)
            .deadline(ENDS_WITHIN)
            .spawn()
            .until_it_says(" complete: ");
        victim.tell("end");
        let run = running.finish();
        run.assert_code(0);
        assert!(!run.stdout.contains("already traced"), "{run:#?}");
        assert_eq!(files_in(&dumps).len(), 2, "{run:#?}");
        victim.wait();
    }
}
