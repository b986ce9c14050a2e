//! The debug log (`-v`, `--log FILE`): where it is written, and what is in it.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::{Firstchance, Postmortem, Run, Victim, file_in, folder, victim_exe};

/// Whether a line of a debug log has this level, this source and this message.
fn says(log: &str, source_and_message: &str) -> bool {
    let wanted = format!(" DEBUG firstchance::{source_and_message}");
    log.lines().any(|line| line.contains(&wanted))
}

#[test]
fn v_shows_decisions_and_what_was_rejected_and_without_it_nothing_more_is_printed() {
    let folder = folder();
    // No process of another test has this name.
    let name = format!("logged-{}", std::process::id());
    let program = file_in(&folder, &name);
    std::fs::copy(victim_exe(), &program).unwrap();
    let mut victim = Victim::start_by(Command::new(&program).arg("idle"));
    let pid = victim.pid();
    let dump = |options: &[&str]| -> Run {
        let run = Firstchance::new(&["dump", &name, "--overwrite"]).args(options);
        run.arg("-o").arg(file_in(&folder, "x.dmp")).run_well()
    };
    let shown = dump(&["-v"]);
    let own = std::process::id();
    for expected in [
        format!("cli::target: process {pid} is {name}"),
        format!("cli::target: process {own} is not {name}: it is called "),
        "cli::dump: dump 1 of process ".to_owned(),
    ] {
        assert!(says(&shown.stderr, &expected), "{expected}\n{shown:#?}");
    }
    let log = file_in(&folder, "debug.log");
    for run in [dump(&[]), dump(&["--log", log.to_str().unwrap()])] {
        assert_eq!(run.stderr, "");
        assert_eq!(run.stdout.lines().count(), shown.stdout.lines().count());
    }
    let written = std::fs::read_to_string(log).unwrap();
    assert!(
        says(&written, &format!("cli::target: process {pid} is {name}")),
        "{written}"
    );
    victim.assert_alive();
}

#[test]
fn v_shows_the_rule_that_a_command_line_means() {
    let folder = folder();
    let victim = Victim::start(&["idle"]);
    let watch = Firstchance::new(&["watch", "-v", &victim.pid_text(), "-o"]);
    let run = watch.arg(folder.path()).run_well();
    let rule = format!(
        "on {}, when now, do mini dump; at most 1 dump in all",
        victim.pid()
    );
    assert!(
        says(&run.stderr, &format!("cli::watch::session: rule: {rule}")),
        "{run:#?}"
    );
}

#[test]
fn the_v_of_procdump_is_not_ours() {
    let run = Firstchance::new(&["procdump", "-v", "-?"]).run_well();
    assert_eq!(run.stderr, "");
    let run = Firstchance::new(&["-v", "procdump", "-?"]).run_well();
    assert!(says(&run.stderr, "cli::procdump: ProcDump's"), "{run:#?}");
}

#[test]
fn a_log_that_cannot_be_opened_ends_the_command_before_it_begins() {
    let run = Firstchance::new(&["ps", "--log", "/nowhere/x.log"]).run();
    run.assert_code(6).assert_says("/nowhere/x.log");
    assert_eq!(run.stdout, "");
}

#[test]
fn the_postmortem_handler_logs_which_rule_applied_and_why_others_did_not() {
    let machine = Postmortem::enabled(&[]);
    Firstchance::new(&["postmortem", "exclude", "chrome"]).run_well();
    machine.set(std::path::Path::new("/opt/other"), &["--type", "mini"]);
    let log = machine.program.with_extension("log");
    let pattern = Postmortem::pattern();
    let logged = format!(" --log {} crash-handler", log.display());
    machine.write("core_pattern", &pattern.replace(" crash-handler", &logged));
    machine.crash(&["end=segv"]);
    machine.crash(&["end=segv"]);
    machine.only_dump();
    let text = std::fs::read_to_string(&log).unwrap();
    let program = machine.program.display();
    for expected in [
        format!(
            "postmortem::lower: the rule about image:/opt/other does not apply: its program is \
             {program}"
        ),
        format!("postmortem::lower: this rule applies: \"postmortem of {program}\": on each"),
        "postmortem::handler: the rule asks for a dump: Unhandled exception: SIGSEGV".to_owned(),
        "postmortem::case: stored: Ok(".to_owned(),
        "postmortem::case: only counted, as the same crash was stored not long ago".to_owned(),
    ] {
        assert!(says(&text, &expected), "{expected}\n{text}");
    }
}

/// A user of this machine who is not root.
const USER: Option<u32> = Some(1000);

/// Runs a command with this log, which it refuses before it does anything.
fn assert_no_log(log: &Path, why: &str) {
    let run = Firstchance::new(&["ps", "--log"]).arg(log).run();
    run.assert_code(2).assert_says(why);
    assert_eq!(run.stdout, "", "{run:#?}");
}

#[test]
fn n37_a_log_goes_through_no_link_of_others_and_into_no_file_of_theirs() {
    let folder = folder();
    let (log, secret) = (file_in(&folder, "fc.log"), file_in(&folder, "secret"));
    symlink(&secret, &log).unwrap();
    std::os::unix::fs::lchown(&log, USER, USER).unwrap();
    assert_no_log(&log, "it is a link");
    assert!(!secret.exists(), "made through a link");
    std::fs::write(&secret, "as it was").unwrap();
    assert_no_log(&log, "it is a link");
    std::fs::remove_file(&log).unwrap();
    std::fs::hard_link(&secret, &log).unwrap();
    assert_no_log(&log, "it has more than one name");
    std::fs::remove_file(&log).unwrap();
    std::fs::write(&log, "as it was").unwrap();
    chown(&log, USER, USER).unwrap();
    assert_no_log(&log, "it belongs to user 1000");
    assert_no_log(Path::new("/dev/null"), "it is no regular file");
    for file in [&log, &secret] {
        assert_eq!(std::fs::read_to_string(file).unwrap(), "as it was");
    }
}

#[test]
fn n37_a_log_is_private_and_is_added_to() {
    let folder = folder();
    let log = file_in(&folder, "fc.log");
    let mut sizes = Vec::new();
    for _ in 0..2 {
        let run = Firstchance::new(&["ps", "--log"]).arg(&log);
        run.run_well();
        sizes.push(log.metadata().unwrap().size());
    }
    assert!(sizes[1] > sizes[0], "{sizes:?}");
    let mode = log.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn n37_a_log_that_is_a_fifo_is_refused_at_once() {
    let folder = folder();
    let log = file_in(&folder, "fc.log");
    assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
    chown(&log, USER, USER).unwrap();
    assert_no_log(&log, "it is no regular file");
    // Also where somebody reads it.
    let reader = std::fs::File::options().read(true).write(true).open(&log);
    assert_no_log(&log, "it is no regular file");
    drop(reader.unwrap());
}

#[test]
fn n37_man_pages_are_written_through_no_link() {
    let folder = folder();
    let (page, secret) = (
        file_in(&folder, "firstchance.1"),
        file_in(&folder, "secret"),
    );
    symlink(&secret, &page).unwrap();
    Firstchance::new(&["generate", "man"])
        .arg(folder.path())
        .run_well();
    assert!(!secret.exists(), "made through a link");
    assert!(page.symlink_metadata().unwrap().is_file());
    let inner = std::fs::read_to_string(file_in(&folder, "firstchance-dump.1")).unwrap();
    assert!(inner.contains("firstchance"), "{inner}");
}
