//! What a program says of itself is shown so that it cannot be read as something else, and once.

use std::process::Command;

use crate::support::{Child, Firstchance, file_in, files_in, folder};

/// Turns the direction of writing: what follows is shown from right to left.
const TURNED: char = '\u{202e}';

/// Letters of the kind that a terminal obeys and does not show.
fn assert_plain(shown: &str) {
    let disturbs = |letter: char| letter != '\n' && snapshot::disturbs_text(letter);
    assert!(!shown.contains(disturbs), "{}", shown.escape_debug());
}

fn assert_names_it(command: Firstchance) {
    let run = command.run_well();
    assert!(run.stdout.contains("pay"), "{run:#?}");
    assert_plain(&run.stdout);
    assert_plain(&run.stderr);
}

#[test]
fn n41_letters_that_turn_the_direction_of_writing_are_not_shown() {
    let (programs, dumps) = (folder(), folder());
    let program = file_in(&programs, &format!("pay{TURNED}gnp.exe\u{2066}"));
    std::fs::copy("/bin/sh", &program).expect("a copy");
    let says = format!("echo ready; read x; command cd '/line {TURNED}x'; read x");
    let mut child = Child::start(Command::new(&program).args(["-c", &says]));
    assert_eq!(child.line(), "ready");
    let pid = child.pid().to_string();
    assert_names_it(Firstchance::new(&["ps", &pid]));
    let watch = Firstchance::new(&["watch", &pid, "--when", "debug string \"*line*\"", "-o"])
        .arg(dumps.path())
        .spawn()
        .until_it_says("Ctrl-C");
    child.tell("");
    let watched = watch.finish();
    watched.assert_code(0);
    assert_names_it(Firstchance::new(&["inspect"]).arg(&files_in(dumps.path())[0]));
    assert!(watched.stdout.contains("line"), "{watched:#?}");
    assert_plain(&watched.stderr);
    assert_plain(&watched.stdout);
}

#[test]
fn n41_an_exception_is_logged_once() {
    let script = "print('ready', flush=True); input()\nfor at in range(20):\n try: raise ValueError(f'number {at}')\n except ValueError: pass\ninput()";
    let mut child = Child::start(Command::new("python3").args(["-c", script]));
    assert_eq!(child.line(), "ready");
    let folder = folder();
    let watch = Firstchance::new(&["watch", &child.pid().to_string(), "-n", "20", "-o"])
        .arg(folder.path())
        .args(&["--when", "exception", "--when", "exception \"ValueError\""])
        .args(&["--do", "log exception"])
        .spawn()
        .until_it_says("Ctrl-C");
    child.tell("");
    let run = watch.finish();
    run.assert_code(0);
    for at in 0..20 {
        let line = format!("PYTHON.ValueError (\"number {at}\")");
        assert_eq!(run.stdout.matches(&line).count(), 1, "{line}: {run:#?}");
    }
}
