//! Processes with pages whose owner never gives them: nobody waits for those.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Child, Firstchance, Postmortem, Program, compile, folder, wait_until};

const HUNG_FUSE: Program = Program::c("hung_fuse.c");

fn hung(folder: &std::path::Path, words: &[&str]) -> Command {
    let mut command = Command::new(compile(&HUNG_FUSE));
    command.arg(folder).args(words);
    command
}

/// Lets as many processes crash as these folders, each with its stack on such pages, and one other program. Returns how
/// long that took until the other one was gone.
fn crash_together(
    machine: &Postmortem,
    folders: &[tempfile::TempDir],
    words: &[&str],
) -> (Vec<Kill>, Duration) {
    let crash = |folder: &tempfile::TempDir| {
        let mut command = hung(folder.path(), words);
        Kill(command.stdout(Stdio::null()).spawn().unwrap())
    };
    let start = Instant::now();
    let children: Vec<_> = folders.iter().map(crash).collect();
    machine.crash(&["end=segv"]);
    (children, start.elapsed())
}

/// A process that is killed at the end.
struct Kill(std::process::Child);

impl Drop for Kill {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// More than there are slots: each leaves a dump, and nobody waits long.
#[test]
fn n32_crashes_with_a_stack_that_nobody_gives_leave_dumps() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s", "--count", "50"]);
    machine.set(&compile(&HUNG_FUSE), &["--type", "mini", "--count", "50"]);
    for words in [&["stack"][..], &["stack", "detached"]] {
        let folders: Vec<_> = (0..10).map(|_| folder()).collect();
        let before = machine.list().len();
        let (children, took) = crash_together(&machine, &folders, words);
        for mut child in children {
            child.0.wait().unwrap();
        }
        assert!(took < Duration::from_secs(30), "{took:?}");
        let list = machine.list();
        assert_eq!(list.len(), before + 11, "{list:?}");
        assert!(list.iter().all(|dump| dump["complete"] == true), "{list:?}");
    }
    machine.assert_no_handler();
}

/// The kernel itself reads the first page of a mapped file for its core, and waits for ever: those leave no dump, but
/// hold up nobody else, and are told.
#[test]
fn n32_crashes_that_hold_up_the_kernel_hold_up_no_other() {
    let machine = Postmortem::enabled(&["--repeat-window", "0s", "--count", "50"]);
    machine.set(&compile(&HUNG_FUSE), &["--type", "mini"]);
    let folders: Vec<_> = (0..10).map(|_| folder()).collect();
    let (children, took) = crash_together(&machine, &folders, &["start"]);
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(
        machine.list().len(),
        1,
        "of the program whose pages are its own"
    );
    wait_until("all are told", || {
        let status = Firstchance::new(&["postmortem", "status"]).run();
        status
            .stdout
            .contains("the kernel has written nothing of its core")
    });
    machine.assert_no_handler();
    drop(children);
}

#[test]
fn n32_a_command_line_that_nobody_gives_holds_nobody() {
    for words in [&["arguments"][..], &["arguments", "detached"]] {
        let (at, to) = (folder(), folder());
        let child = Child::start(&mut hung(at.path(), words));
        let line = child.line();
        let pid = line.trim_start_matches("ready ").to_owned();
        let stat = format!("/proc/{pid}/stat");
        wait_until("it waits", || {
            std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "))
        });
        let quick = Duration::from_secs(20);
        let start = Instant::now();
        Firstchance::new(&["ps"]).run_well().assert_says(&pid);
        for words in [
            &["dump", &pid, "--full", "-o"][..],
            &["watch", &pid, "--when", "now", "-o"],
        ] {
            let path = to.path().join(format!("{}.core", words[0]));
            let run = Firstchance::new(words).arg(&path).run_well();
            run.assert_says("its arguments could not be read");
            assert!(path.exists());
        }
        let stack = [
            "watch",
            &pid,
            "--when",
            "now",
            "--do",
            "log stack",
            "-n",
            "1",
        ];
        Firstchance::new(&stack).run_well();
        Firstchance::new(&["procdump", &pid])
            .arg(to.path())
            .run_well();
        assert!(start.elapsed() < quick, "{:?}", start.elapsed());
    }
}
