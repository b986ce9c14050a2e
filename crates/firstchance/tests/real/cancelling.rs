//! `firstchance cancel`, and users who would keep others from it.
//!
//! The names of tests begin with the number of the fault that each of them found.

use crate::{
    dump_refuse::NOBODY,
    support::{Child, Firstchance, Running, Victim, file_in, folder, only_one},
};
use std::{fs::File, process::Command};

/// Answers everybody who asks whether it monitors a process.
const FALSE_MONITOR: &str = "\
import os, socket, sys
folder, answer = sys.argv[1:]
os.makedirs(folder, 0o700)
os.chmod(os.path.dirname(folder), 0o700)
door = socket.socket(socket.AF_UNIX)
door.bind(folder + '/1')
door.listen(5)
print('ready', flush=True)
while True:
    asker, _ = door.accept()
    try:
        while True:
            asker.sendall(answer.encode() * (1 << 20 if answer == 'x' else 1))
            if answer != 'x': break
    except OSError:
        pass
";

fn watch(victim: &Victim, folder: &tempfile::TempDir) -> Running {
    Firstchance::new(&["watch", "--json", &victim.pid_text()])
        .args(&["--when", "cpu > 99% for 1h", "-o"])
        .arg(folder.path())
        .spawn()
        .until_it_says("\"event\":\"effective\"")
}

/// The folder of a user who has no other, without what tests before this one have left.
struct OfNobody(&'static str, #[expect(dead_code, reason = "a lock")] File);

impl OfNobody {
    fn new() -> Self {
        let folder = Self("/tmp/firstchance-1000", only_one("folder-of-nobody"));
        let _ = std::fs::remove_dir_all(folder.0);
        folder
    }
}

impl Drop for OfNobody {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0);
    }
}

#[test]
fn n35_false_monitors_of_another_user_neither_answer_for_root_nor_take_its_memory() {
    let of_nobody = OfNobody::new();
    let mut victim = Victim::start(&["idle"]);
    for answer in ["yes\n", "x"] {
        let _ = std::fs::remove_dir_all(of_nobody.0);
        let mut command = Command::new(NOBODY[0]);
        command
            .args(&NOBODY[1..])
            .args(["/usr/bin/python3", "-c", FALSE_MONITOR]);
        let monitors = format!("{}/monitors", of_nobody.0);
        let liar = Child::start(command.args([&monitors[..], answer]));
        assert_eq!(liar.line(), "ready");
        let run = Firstchance::new(&["cancel", &victim.pid_text()]).run();
        run.assert_code(3);
        assert!(run.peak_memory < 64 << 20, "{run:#?}");
    }
    victim.assert_alive();
}

/// Whoever takes the names of all sockets in the abstract namespace keeps no watch from being cancelled.
#[test]
fn n35_names_that_another_user_has_taken_are_not_asked() {
    let squat = "import os, socket\n\
                 doors = []\n\
                 for pid in range(os.getpid(), os.getpid() + 300):\n\
                 \x20door = socket.socket(socket.AF_UNIX)\n\
                 \x20door.bind(b'\\0firstchance/monitor/%d' % pid)\n\
                 \x20doors.append(door)\n\
                 print('ready', flush=True)\n\
                 input()\n";
    let mut command = Command::new(NOBODY[0]);
    let squatter = Child::start(
        command
            .args(&NOBODY[1..])
            .args(["/usr/bin/python3", "-c", squat]),
    );
    assert_eq!(squatter.line(), "ready");
    let folder = folder();
    let victim = Victim::start(&["idle"]);
    let running = watch(&victim, &folder);
    let run = Firstchance::new(&["cancel", &victim.pid_text()]).run_well();
    assert!(run.stdout.contains("1 monitor ends"), "{run:#?}");
    running.finish().assert_code(7);
}

/// A user cancels his own watches, and root those of all. One whose folder belongs to somebody else watches all the same.
#[test]
fn n35_a_user_without_a_folder_of_his_own_is_warned_and_watches() {
    let of_nobody = OfNobody::new();
    let public = tempfile::tempdir_in("/tmp").expect("a folder");
    let dumps = crate::dump_refuse::folder_of_nobody(&public);
    let program = file_in(&public, "firstchance");
    std::fs::copy(env!("CARGO_BIN_EXE_firstchance"), &program).expect("a copy");
    let sleeper = Child::start(Command::new(NOBODY[0]).args(&NOBODY[1..]).args([
        "sh",
        "-c",
        "echo ready; exec sleep 1000",
    ]));
    assert_eq!(sleeper.line(), "ready");
    let pid = sleeper.pid().to_string();
    let start = || {
        Firstchance::copy_by(NOBODY, &program)
            .args(&["watch", "--json", &pid, "--when", "cpu > 99% for 1h", "-o"])
            .arg(&dumps)
            .spawn()
            .until_it_says("\"event\":\"effective\"")
    };
    let running = start();
    let run = Firstchance::new(&["cancel", &pid]).run_well();
    assert!(run.stdout.contains("1 monitor ends"), "{run:#?}");
    let run = running.finish();
    run.assert_code(7);
    assert!(!run.stderr.contains("Warning"), "{run:#?}");
    let _ = std::fs::remove_dir_all(of_nobody.0);
    std::fs::create_dir(of_nobody.0).expect("a folder of root's");
    let running = start();
    running.signal(libc::SIGINT);
    let run = running.finish();
    run.assert_code(7);
    assert!(run.stderr.contains("Warning: listening for"), "{run:#?}");
}
