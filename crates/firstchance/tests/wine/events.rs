//! Exceptions, debug strings, modules, threads and breakpoints, which firstchance sees as a debugger, and that the
//! program runs on as if nobody watched.

use std::path::PathBuf;

use crate::machine::{firstchance, started, victim};
use crate::support::{
    Firstchance, Program, Run, Running, Victim, compile, files_in, folder, lldb, slow_tests,
    stackwalk, wait_until,
};

/// How often the victim does what one line asks for.
const TIMES: u64 = 100;

/// The exceptions that no handler sees under Wine. When a debugger detaches, Wine takes the one that is being reported
/// for handled, and `RaiseException` returns. (A fault is raised again. Under Windows, neither counts as handled.)
const LOST_UNDER_WINE: u64 = 1;

const THROWS: Program = Program {
    source: "windows_throws.cpp",
    compiler: ("x86_64-w64-mingw32-g++", "g++-mingw-w64-x86-64"),
    options: &["-O1", "-g", "-Wall", "-Werror", "-static"],
};

fn events() -> Victim {
    victim(&["events"])
}

fn throws(folder: &tempfile::TempDir) -> Victim {
    let exe = folder.path().join("throws.exe");
    std::fs::copy(compile(&THROWS), &exe).expect("a copy");
    started(&exe, &[])
}

/// Waits until firstchance is attached and everything is armed.
pub(crate) fn followed(command: Firstchance, victim: &mut Victim) -> Running {
    let running = command.spawn();
    wait_until("a debugger is there", || victim.ask("debugged") == ["1"]);
    running
}

fn watch(victim: &Victim, when: &[&str], what: &str, count: &str) -> Firstchance {
    let mut command = firstchance(&["watch", "--json", &victim.pid_text(), "--do", what]);
    for condition in when {
        command = command.args(&["--when", condition]);
    }
    command.args(&["-n", count])
}

fn handled(victim: &mut Victim) -> u64 {
    victim.ask("handled")[0].parse().expect("a number")
}

/// Asserts that there is one dump, with this reason.
fn one_dump(run: &Run, folder: &tempfile::TempDir) -> (PathBuf, String) {
    let files = files_in(folder.path());
    let [file] = &files[..] else {
        panic!("{files:?}: {run:#?}");
    };
    let dumps = run.events("dump");
    let reason = dumps[0]["reason"].as_str().expect("text").to_owned();
    (file.clone(), reason)
}

#[test]
fn first_chances_are_counted_as_the_program_counts_them() {
    let mut victim = events();
    let command = watch(&victim, &["exception first chance"], "none", "0");
    let running = followed(command, &mut victim);
    victim.ask("raise");
    victim.ask("fault");
    assert_eq!(handled(&mut victim), 2 * TIMES);
    victim.tell("exit");
    assert_eq!(victim.wait().code(), Some(7));
    let run = running.finish();
    for name in ["E0F1C0DE", "C0000005.ACCESS_VIOLATION"] {
        assert_eq!(run.count_of(name), TIMES, "{name}: {run:#?}");
    }
}

#[test]
fn a_crash_is_dumped_once_at_its_place_and_ends_as_it_would() {
    for (word, code, name) in [
        ("crash", 0xC000_0005_u32, "C0000005.ACCESS_VIOLATION"),
        ("die", 0xE0F1_C0DE, "E0F1C0DE"),
    ] {
        let (mut victim, folder) = (events(), folder());
        let command = watch(&victim, &["unhandled exception"], "full dump", "5");
        let running = followed(command.current_dir(folder.path()), &mut victim);
        victim.ask("fault");
        victim.tell(word);
        // Linux sees only the last byte of an exit code.
        assert_eq!(victim.wait().code(), Some((code & 0xff) as i32), "{word}");
        let run = running.finish();
        let (dump, reason) = one_dump(&run, &folder);
        assert_eq!(reason, format!("Unhandled exception: {name}"));
        let walked = stackwalk(&dump);
        assert_eq!(walked["crash_info"]["crashing_thread"], 0, "{word}");
        let seen = lldb(&dump, None, &["thread list"]);
        assert!(seen.contains(&format!("{code:#x}")), "{seen}");
        if word == "crash" {
            assert_eq!(walked["crash_info"]["address"], "0x0000000000000010");
            let inspect = Firstchance::new(&["inspect", "--json"]).arg(&dump);
            let told: serde_json::Value =
                serde_json::from_str(&inspect.run_well().stdout).expect("JSON");
            let access = &told["cause"]["access"];
            assert_eq!(
                (&access["place"], &access["null-offset"]),
                (&"null".into(), &16.into())
            );
            assert_eq!(access["reported"], true, "{access}");
            assert_eq!(told["verdict"]["kind"], "crash");
            assert!(
                told["threads"][0]["last-error"].is_u64(),
                "{}",
                told["threads"][0]
            );
        }
    }
}

#[test]
fn filters_choose_among_exceptions() {
    for (filter, word, reason) in [
        ("exception code 0xE0F1C0DE", "raise", "Exception: E0F1C0DE"),
        (
            "exception \"ACCESS\"",
            "fault",
            "Exception: C0000005.ACCESS_VIOLATION",
        ),
    ] {
        let (mut victim, folder) = (events(), folder());
        let command = watch(&victim, &[filter], "mini dump", "1");
        let running = followed(command.current_dir(folder.path()), &mut victim);
        let other = if word == "raise" { "fault" } else { "raise" };
        victim.ask(other);
        assert!(files_in(folder.path()).is_empty(), "{filter}");
        victim.ask(word);
        let run = running.finish();
        assert_eq!(one_dump(&run, &folder).1, reason);
        assert!(handled(&mut victim) >= 2 * TIMES - LOST_UNDER_WINE);
        victim.assert_alive();
    }
}

#[test]
fn what_a_program_of_mingw_throws_is_told_by_type_and_message() {
    for (filter, word, name) in [
        (
            "exception \"NotFound\"",
            "throw",
            "20474343.NotFound (\"order 0\")",
        ),
        (
            "exception \"order 7\"",
            "throw",
            "20474343.NotFound (\"order 7\")",
        ),
        (
            "exception \"std::logic_error\"",
            "throw",
            "20474343.NotFound",
        ),
        ("exception = \"int\"", "throw", "20474343.int"),
        (
            "exception \"runtime_error\"",
            "uncaught",
            "20474343.std::runtime_error (\"nobody catches me\")",
        ),
    ] {
        let (programs, dumps) = (folder(), folder());
        let mut program = throws(&programs);
        let command = watch(&program, &[filter], "mini dump", "1");
        let running = followed(command.current_dir(dumps.path()), &mut program);
        program.tell(word);
        let run = running.finish();
        let reason = one_dump(&run, &dumps).1;
        assert!(reason.contains(name), "{filter}: {reason}");
    }
}

#[test]
fn debug_strings_images_and_threads_are_told() {
    for (condition, word, reason) in [
        (
            "debug string \"narrow\"",
            "say",
            "Debug string: NotFound: narrow words",
        ),
        ("debug string \"wide w\"", "say", "Debug string: wide wörds"),
        ("module load \"hid*\"", "load", "hid.dll"),
        ("module unload \"hid.dll\"", "load", "hid.dll"),
        ("thread start", "thread", "Thread start: "),
        ("thread exit", "thread", "Thread exit: "),
    ] {
        let (mut victim, folder) = (events(), folder());
        let command = watch(&victim, &[condition], "mini dump", "1");
        let running = followed(command.current_dir(folder.path()), &mut victim);
        assert!(files_in(folder.path()).is_empty(), "{condition}");
        victim.ask(word);
        let run = running.finish();
        let told = one_dump(&run, &folder).1;
        assert!(told.contains(reason), "{condition}: {told}");
        victim.assert_alive();
    }
}

#[test]
fn w2_who_ends_the_process_is_met_once_and_the_danger_of_breakpoints_is_said() {
    let (mut victim, folder) = (events(), folder());
    let place = "breakpoint ntdll!ZwTerminateProcess";
    let command = watch(&victim, &[place], "full dump", "5");
    let running = followed(command.current_dir(folder.path()), &mut victim);
    victim.tell("exit");
    assert_eq!(victim.wait().code(), Some(7));
    let run = running.finish();
    let (dump, reason) = one_dump(&run, &folder);
    assert_eq!(reason, place);
    assert!(
        run.stdout
            .contains("breakpoints are written into the program")
    );
    let to = dump.to_str().expect("a plain path");
    let stacks = Firstchance::new(&["inspect", to, "threads"])
        .run_well()
        .stdout;
    assert!(stacks.contains("TerminateProcess"), "{stacks}");
}

#[test]
fn a_breakpoint_that_is_met_often_leaves_the_program_as_it_was() {
    let (mut victim, folder) = (events(), folder());
    let place = "breakpoint kernelbase!RaiseException";
    let command = watch(&victim, &[place], "mini dump", "3");
    let running = followed(command.current_dir(folder.path()), &mut victim);
    victim.ask("raise");
    let run = running.finish();
    run.assert_code(0);
    assert_eq!(files_in(folder.path()).len(), 3, "{run:#?}");
    victim.ask("raise");
    assert!(handled(&mut victim) >= 2 * TIMES - LOST_UNDER_WINE);
    victim.assert_alive();
}

#[test]
fn a_breakpoint_waits_for_its_image_and_is_met_in_it() {
    let (mut victim, folder) = (events(), folder());
    let place = "breakpoint hid!HidD_GetHidGuid";
    let command = watch(&victim, &[place], "mini dump", "2");
    let running = followed(command.current_dir(folder.path()), &mut victim);
    // The module is unloaded and loaded again between the two.
    victim.ask("load");
    victim.ask("load");
    let run = running.finish();
    run.assert_code(0).assert_says("waits for an image");
    let dumps = run.events("dump");
    assert_eq!(dumps.len(), 2, "{run:#?}");
    assert_eq!(dumps[1]["reason"], place);
    victim.assert_alive();
}

#[test]
fn who_ends_another_process_is_met_and_whom_it_ends_is_told() {
    let (mut victim, mut other, folder) = (events(), events(), folder());
    let place = "breakpoint ntdll!ZwTerminateProcess";
    let command = watch(&victim, &[place], "mini dump", "1");
    let running = followed(command.current_dir(folder.path()), &mut victim);
    victim.ask(&format!("end {}", other.pid()));
    let run = running.finish();
    let reason = one_dump(&run, &folder).1;
    assert_eq!(reason, format!("{place}: ends PID {}", other.pid()));
    other.wait();
    victim.assert_alive();
}

/// While the program stands at a breakpoint, its own code is restored, so that nothing is left in it if firstchance is
/// killed then. (At other times the program dies when it reaches the next one: row W2.)
#[test]
fn w1_killed_at_a_breakpoint_the_code_is_the_programs_own() {
    for point in ["all-stopped", "copy", "released"] {
        let (mut victim, folder) = (events(), folder());
        let place = "breakpoint kernelbase!RaiseException";
        let command = watch(&victim, &[place], "full dump", "1");
        let command = command.failpoint(&format!("{point}:kill9"));
        let running = followed(command.current_dir(folder.path()), &mut victim);
        victim.ask("raise");
        assert_eq!(running.finish().code, Some(137), "{point}");
        assert_eq!(handled(&mut victim), TIMES, "{point}");
        victim.ask("raise");
        assert_eq!(handled(&mut victim), 2 * TIMES, "{point}");
        victim.assert_alive();
    }
}

/// The program still handles its exceptions: a fault is raised again when the debugger has not answered it.
#[test]
fn w1_killed_at_an_exception_the_target_lives_and_handles_it() {
    for point in [
        "all-stopped",
        "registers",
        "planned",
        "copy",
        "released",
        "sync",
    ] {
        let (mut victim, folder) = (events(), folder());
        let command = watch(&victim, &["exception"], "full dump", "1");
        let command = command.failpoint(&format!("{point}:kill9"));
        let running = followed(command.current_dir(folder.path()), &mut victim);
        victim.ask("fault");
        assert_eq!(running.finish().code, Some(137), "{point}");
        assert_eq!(handled(&mut victim), TIMES, "{point}");
        victim.assert_alive();
    }
}

#[test]
fn w1_killed_at_any_moment_while_exceptions_come_the_target_lives() {
    let mut victim = events();
    let rounds = if slow_tests() { 100 } else { 10 };
    for round in 0..rounds {
        let folder = folder();
        let command = watch(&victim, &["exception"], "mini dump", "0");
        let running = followed(command.current_dir(folder.path()), &mut victim);
        victim.tell("fault");
        std::thread::sleep(std::time::Duration::from_millis(round * 619 % 100));
        running.signal(libc::SIGKILL);
        drop(running);
        victim.answer();
        assert_eq!(handled(&mut victim), (round + 1) * TIMES);
    }
    victim.assert_alive();
}

#[test]
fn a_program_that_is_no_longer_watched_has_nothing_of_ours() {
    let mut victim = events();
    let conditions = ["exception", "breakpoint kernelbase!RaiseException"];
    let command = watch(&victim, &conditions, "none", "0");
    let running = followed(command, &mut victim);
    victim.ask("raise");
    firstchance(&["cancel", &victim.pid_text()]).run_well();
    running.finish();
    assert_eq!(victim.ask("debugged"), ["0"]);
    victim.ask("raise");
    assert_eq!(handled(&mut victim), 2 * TIMES);
    victim.assert_alive();
}
