//! The debug log (`-v`, `--log FILE`): where it is written, and what is in it.

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
