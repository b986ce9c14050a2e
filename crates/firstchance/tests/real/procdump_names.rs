//! The names of programs and of dumps in the Linux dialect of ProcDump's command line.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::procdump_linux::{linux, names_in};
use crate::support::{Child, Firstchance, Victim, folder, victim_exe};

/// As ProcDump for Linux names it: `postgres: checkpointer` is `postgres:`.
#[test]
fn n45_a_program_that_writes_over_its_arguments_has_the_first_word_as_its_name() {
    let dumps = folder();
    let name = format!("poster{}:", std::process::id());
    let words = format!("{name} writes to the disk");
    let mut command = Command::new(victim_exe());
    let victim = Victim::start_by(command.arg0(words).arg("idle"));
    let pid = victim.pid();
    for (switch, stops) in [
        ("-w", "Stopping monitors for process:"),
        ("", "Stopping monitor for process"),
    ] {
        let command = linux(switch).args(&[&name]).arg(dumps.path());
        let run = command.run_well();
        for line in [
            format!("Starting monitor for process {name} ({pid})"),
            format!("{stops} {name} ({pid})"),
        ] {
            assert!(run.stdout.contains(&line), "{run:#?}");
        }
    }
    let stem = format!("{}__time_", &name[..name.len() - 1]);
    let names = names_in(dumps.path());
    assert_eq!(names.len(), 2);
    assert!(
        names.iter().all(|name| name.starts_with(&stem)),
        "{names:?}"
    );
}

#[test]
fn n45_several_dumps_within_a_second_each_have_their_own_file() {
    let victim = Victim::start(&["idle"]);
    let ending = format!(".{}", victim.pid());
    // Also with -o, and from one command line to the next.
    let dumps = folder();
    for (line, count) in [("-n 3 -s 0", 3), ("", 4), ("-o -n 3 -s 0", 7), ("-o", 8)] {
        let command = linux(line).args(&[&victim.pid_text()]);
        command.arg(dumps.path()).run_well();
        let names = names_in(dumps.path());
        assert_eq!(names.len(), count, "{line}: {names:?}");
        assert!(
            names.iter().all(|name| name.ends_with(&ending)),
            "{names:?}"
        );
    }
}

#[test]
fn n45_a_program_that_x_starts_has_dumps_of_the_names_of_any_other() {
    for switches in ["-e -x", "-t -x"] {
        let dumps = folder();
        let run = linux(switches)
            .arg(dumps.path())
            .args(&["sh", "-c", "ulimit -c 0; kill -SEGV $$"])
            .run_well();
        let names = names_in(dumps.path());
        assert_eq!(names.len(), 1, "{run:#?}");
        let (stem, pid) = names[0].split_once('.').expect("a pid");
        assert!(
            stem.starts_with("sh_ex") && pid.parse::<u32>().is_ok(),
            "{names:?}"
        );
    }
}

/// Which of them a dump is of, its name says, and each line about it.
#[test]
fn n46_dumps_of_a_process_and_its_children_name_their_process() {
    let script = ["-c", "echo ready; (read line; true); true"];
    let parent = Child::start(Command::new("sh").args(script));
    assert_eq!(parent.line(), "ready");
    let pid = parent.pid().to_string();
    let both = ["threads >= 1", "--do", "mini dump", "-n", "2"];
    for words in [
        &["procdump", "-pt", "-n", "2", "-s", "0", "-tc", "1", &pid][..],
        &[&["watch", "--children", &pid, "--when"][..], &both].concat(),
    ] {
        let dumps = folder();
        let run = Firstchance::new(words).current_dir(dumps.path()).run_well();
        let names = names_in(dumps.path());
        assert_eq!(names.len(), 2, "{run:#?}");
        for name in names {
            let pid = name.split('_').nth(1).expect("a pid");
            let is_told = |line: &str| {
                line.contains(" complete: ") && line.ends_with(&format!(" (process {pid})"))
            };
            assert!(run.stdout.lines().any(is_told), "{name}: {run:#?}");
        }
    }
}

/// ProcDump for Linux looks at the names again and again, and nobody is told when they change.
#[test]
fn n45_a_process_that_takes_the_name_later_is_found() {
    let name = format!("late{}:", std::process::id());
    let script = format!(
        "import ctypes, sys
def comm(name): ctypes.CDLL(None).prctl(15, name, 0, 0, 0)
def argv(name):
    start = int(open('/proc/self/stat').read().rsplit(')')[1].split()[45])
    ctypes.memmove(start, name + b' writes', len(name) + 8)
print('ready', flush=True)
(comm if input() == 'comm' else argv)(b'{name}')
print('named', flush=True)
input()
"
    );
    for way in ["comm", "argv"] {
        let own = ["watch", &name, "--when", "threads >= 1", "-n", "1"];
        for (words, begun) in [
            (
                &[
                    "procdump", "--linux", "-log", "stdout", "-tc", "1", "-w", &name,
                ][..],
                "from now on nothing is missed",
            ),
            (&[&own[..], &["--each"]].concat(), "Press Ctrl-C"),
            (&[&own[..], &["--wait"]].concat(), "Press Ctrl-C"),
        ] {
            let dumps = folder();
            let start = || {
                let child = Child::start(Command::new("python3").args(["-c", &script]));
                assert_eq!(child.line(), "ready");
                child
            };
            let mut earlier = start();
            let command = Firstchance::new(words).current_dir(dumps.path());
            let running = command.spawn().until_it_says(begun);
            // Who waits for the next process to start takes none that runs, whatever it calls itself.
            let mut child = match words.contains(&"--wait") {
                true => {
                    earlier.tell(way);
                    assert_eq!(earlier.line(), "named");
                    start()
                }
                false => earlier,
            };
            child.tell(way);
            assert_eq!(child.line(), "named");
            let run = running.finish();
            run.assert_code(0);
            let names = names_in(dumps.path());
            assert_eq!(names.len(), 1, "{way}: {run:#?}");
            let dump = dumps.path().join(&names[0]);
            let shown = Firstchance::new(&["inspect"]).arg(&dump).run_well();
            shown.assert_says(&format!("pid {}", child.pid()));
        }
    }
}

/// A name without an ending gets that of each kind.
#[test]
fn n46_two_kinds_of_one_name_have_their_own_endings() {
    let victim = Victim::start(&["idle"]);
    for line in ["-mm -ma", "-ma -mm"] {
        let dumps = folder();
        let words: Vec<&str> = line.split(' ').collect();
        let command = Firstchance::new(&["procdump"]).args(&words);
        let file = dumps.path().join("x");
        command.args(&[&victim.pid_text()]).arg(&file).run_well();
        let mut names = names_in(dumps.path());
        names.sort();
        assert_eq!(names, ["x_full.core", "x_mini.dmp"], "{line}");
    }
}
