//! ProcDump's own command lines, under Wine.

use std::path::Path;
use std::time::Duration;

use crate::events::followed;
use crate::machine::{firstchance, started, victim, victim_copy, windows_path};
use crate::support::{Firstchance, Run, Running, Victim, files_in, folder, stackwalk};

/// Longer than any of the command lines takes: the longest has a minute between its dumps.
const LONG: Duration = Duration::from_secs(150);

/// Splits a line into words. `~` stands for a blank within a word.
fn procdump(folder: &Path, line: &str) -> Firstchance {
    let words: Vec<String> = line.split(' ').map(|word| word.replace('~', " ")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let command = firstchance(&["procdump"]).args(&words);
    command.current_dir(folder).deadline(LONG)
}

/// A command line that is running, in a folder of its own.
struct Line {
    line: String,
    running: Running,
    folder: tempfile::TempDir,
    dumps: usize,
}

impl Line {
    fn start(line: &str, dumps: usize) -> Line {
        let folder = folder();
        let running = procdump(folder.path(), line).spawn();
        let line = line.to_owned();
        Line {
            line,
            running,
            folder,
            dumps,
        }
    }

    /// Asserts that it ends with exit code 0 and this number of dumps. Returns its output.
    fn ends(self) -> Run {
        let run = self.running.finish();
        assert_eq!(run.code, Some(0), "{}: {run:#?}", self.line);
        assert!(run.stdout.contains("Dump count reached."), "{run:#?}");
        let files = files_in(self.folder.path());
        assert_eq!(files.len(), self.dumps, "{}: {files:?}", self.line);
        for file in files {
            assert!(stackwalk(&file)["thread_count"].as_u64() > Some(0));
        }
        run
    }
}

fn all_end(lines: Vec<Line>) {
    lines.into_iter().for_each(|line| drop(line.ends()));
}

/// Starts a victim whose program has this name.
fn named(folder: &tempfile::TempDir, name: &str, args: &[&str]) -> Victim {
    started(&victim_copy(folder.path(), name), args)
}

#[test]
fn on_demand_lines_write_their_dumps() {
    let mut victim = victim(&["threads", "2"]);
    for (switches, dumps) in [
        ("", 1),
        ("-ma", 1),
        ("-mm -ma", 2),
        ("-mt", 1),
        ("-mp", 1),
        ("-mc 33", 1),
        ("-ma -accepteula", 1),
        ("/accepteula /ma", 1),
    ] {
        let line = format!("{switches} {}", victim.pid_text());
        Line::start(line.trim(), dumps).ends();
        victim.assert_alive();
    }
}

#[test]
fn a_folder_behind_the_pid_takes_the_dump() {
    let victim = victim(&["threads", "2"]);
    let folder = folder();
    let line = format!("-ma -accepteula {} ", victim.pid_text());
    let command = procdump(folder.path(), line.trim());
    let run = command.arg(windows_path(folder.path())).run_well();
    let files = files_in(folder.path());
    let name = files[0].file_name().expect("a name").to_string_lossy();
    assert!(
        name.starts_with("victim.exe_") && name.ends_with(".dmp"),
        "{run:#?}"
    );
}

#[test]
fn n46_lines_have_full_paths_and_nothing_behind_them() {
    let victim = victim(&["idle"]);
    let line = Line::start(&format!("-ma {}", victim.pid_text()), 1);
    let place = format!("Dump 1 initiated: {}", windows_path(line.folder.path()));
    let run = line.ends();
    let has = |text: &str| run.stdout.contains(text);
    assert!(has(&place) && has("Dump 1 writing: Estimated dump file size is "));
    let complete = run.stdout.lines().find(|line| line.contains(" complete: "));
    assert!(
        complete.is_some_and(|line| line.ends_with(" seconds")),
        "{run:#?}"
    );
}

#[test]
fn lines_with_names() {
    let programs = folder();
    let notepad = named(&programs, "notepad.exe", &["idle"]);
    Line::start("notepad", 1).ends();
    let outlook = named(&programs, "outlook.exe", &["idle"]);
    all_end(vec![
        Line::start("-n 3 -s 5 notepad", 3),
        // This counter never changes under Wine, so that it can only be below a threshold.
        Line::start(
            r"outlook -s 10 -pl \Processor(_Total)\%~Processor~Time 200",
            1,
        ),
    ]);
    Line::start(
        r"-ma outlook.exe -pl \Process(Outlook)\Handle~Count 10000",
        1,
    )
    .ends();
    drop((notepad, outlook));
}

#[test]
fn lines_that_take_a_minute() {
    let programs = folder();
    let first = victim(&["threads", "2"]);
    let one = named(&programs, "x.exe", &["threads", "1"]);
    let five = named(&programs, "y.exe", &["threads", "1"]);
    let pid = first.pid_text();
    all_end(vec![
        Line::start(&format!("-ma -n 3 -s 30 {pid}"), 3),
        Line::start("-r -ma -n 5 -s 15 x.exe", 5),
        Line::start("-r 5 -ma -n 5 -s 15 y.exe", 5),
    ]);
    drop((first, one, five));
}

#[test]
fn lines_above_a_share_of_the_machine() {
    let programs = folder();
    let consume = named(&programs, "consume.exe", &["spin", "6"]);
    let pid = consume.pid_text();
    Line::start("-n 3 -s 5 -c 20 consume", 3).ends();
    // The guide says 85 %, but a victim may get less on a busy machine.
    let run = Line::start(&format!("-ma -n 2 -s 2 -c 5 {pid}"), 2).ends();
    run.assert_says("Dump 2 complete: ");
    consume.assert_counting();
}

/// An idle process never meets the condition. The watch goes on until it is asked to end.
#[test]
fn the_guides_line_above_85_percent_watches_as_it_says() {
    let (victim, folder) = (victim(&["idle"]), folder());
    let pid = victim.pid_text();
    let line = format!("-ma -n 2 -s 2 -c 85 {pid}");
    let monitor = procdump(folder.path(), &line).spawn();
    let monitor = monitor.until_it_says("Press Ctrl-C");
    procdump(folder.path(), &format!("-cancel {pid}")).run_well();
    let run = monitor.finish();
    run.assert_code(7)
        .assert_says("CPU threshold:         >= 85% of system")
        .assert_says("Threshold seconds:     2");
    assert!(files_in(folder.path()).is_empty());
}

#[test]
fn levels_fire() {
    let victim = victim(&["leak", "4"]);
    let pid = victim.pid_text();
    for switches in [
        "-ma -s 1 -m 1",
        "-s 1 -ml 4000",
        r"-s 1 -p \Process(victim)\Thread~Count 1",
        r"-s 1 -pl \Process(victim)\Thread~Count 99",
        "-cl 99 -s 1",
    ] {
        Line::start(&format!("{switches} {pid}"), 1).ends();
    }
}

/// Command lines that wait for something that the program does.
#[test]
fn lines_about_what_a_program_does() {
    let programs = folder();
    for (line, words, dumps, said) in [
        (
            "-ma -e w3wp.exe",
            "fault crash",
            1,
            "Unhandled: C0000005.ACCESS_VIOLATION",
        ),
        ("-ma -e 1 w3wp.exe", "raise", 1, "Exception: E0F1C0DE"),
        (
            "-ma -e 1 -f 0xe0f1c0de w3wp.exe",
            "fault raise",
            1,
            "Exception: E0F1C0DE",
        ),
        (
            "-e 1 -fx ACCESS w3wp.exe",
            "fault raise",
            1,
            "Exception: E0F1C0DE",
        ),
        (
            "-ma -l w3wp.exe",
            "say",
            1,
            "Debug string: NotFound: narrow words",
        ),
        (
            "-mm -n 10 -l -f NotFound w3wp.exe",
            "say say say say say say say say say say",
            10,
            "NotFound",
        ),
        ("-ld -f hid* w3wp.exe", "thread load", 1, "Module load: "),
        ("-ud w3wp.exe", "load", 1, "Module unload: "),
        ("-ct w3wp.exe", "thread", 1, "Thread start: "),
        ("-et w3wp.exe", "thread", 1, "Thread exit: "),
        (
            "-e 1 -b w3wp.exe",
            "break",
            1,
            "Exception: 80000003.BREAKPOINT",
        ),
        ("-e 1 -g w3wp.exe", "break raise", 1, "Exception: E0F1C0DE"),
    ] {
        let mut victim = named(&programs, "w3wp.exe", &["events"]);
        let folder = folder();
        let running = followed(procdump(folder.path(), line), &mut victim);
        words.split(' ').for_each(|word| victim.tell(word));
        let run = running.finish();
        run.assert_code(0).assert_says(said);
        assert_eq!(files_in(folder.path()).len(), dumps, "{line}: {run:#?}");
        victim.kill();
    }
}

/// An empty filter shows everything and dumps nothing, and the program ends as without ProcDump.
#[test]
fn an_empty_filter_shows_exceptions() {
    let programs = folder();
    let mut victim = named(&programs, "shown.exe", &["events"]);
    let folder = folder();
    let command = procdump(folder.path(), "-e 1").arg("-f").arg("");
    let running = followed(command.arg("shown.exe"), &mut victim);
    victim.ask("raise");
    victim.tell("exit");
    assert_eq!(victim.wait().code(), Some(7));
    let run = running.finish();
    assert_eq!(run.stdout.matches("] Exception: E0F1C0DE").count(), 100);
    assert!(files_in(folder.path()).is_empty(), "{run:#?}");
}

/// Exceptions are also shown if they are handled or if no filter selects them, but breakpoints only with `-b`.
#[test]
fn e_shows_every_exception_whatever_is_dumped() {
    let programs = folder();
    for (line, code, dumps) in [
        ("-e observed.exe", Some(0), 1),
        ("-e 1 -f NoSuchThing observed.exe", None, 0),
    ] {
        let mut victim = named(&programs, "observed.exe", &["events"]);
        let folder = folder();
        let running = followed(procdump(folder.path(), line), &mut victim);
        for word in ["break", "raise", "fault"] {
            victim.ask(word);
        }
        victim.tell("crash");
        victim.wait();
        let run = running.finish();
        assert_eq!(run.code == Some(0), code == Some(0), "{line}: {run:#?}");
        let count = |text: &str| run.stdout.matches(text).count();
        assert_eq!(count("] Exception: E0F1C0DE"), 100, "{line}: {run:#?}");
        assert_eq!(
            count("] Exception: C0000005.ACCESS_VIOLATION"),
            101,
            "{line}"
        );
        assert_eq!(count("] Unhandled: C0000005.ACCESS_VIOLATION"), 1, "{line}");
        assert_eq!(count("80000003"), 0, "{line}");
        assert_eq!(files_in(folder.path()).len(), dumps, "{line}: {run:#?}");
    }
}

/// `-b` is about breakpoints that the program handles itself.
#[test]
fn n23_a_breakpoint_that_nobody_handles_is_an_unhandled_exception() {
    let programs = folder();
    for line in ["-e trapped.exe", "-e 1 trapped.exe"] {
        let mut victim = named(&programs, "trapped.exe", &["events"]);
        let folder = folder();
        let running = followed(procdump(folder.path(), line), &mut victim);
        victim.ask("break");
        victim.tell("trap");
        victim.wait();
        let run = running.finish();
        run.assert_code(0)
            .assert_says("Unhandled: 80000003.BREAKPOINT");
        assert!(!run.stdout.contains("Exception: 80000003"), "{run:#?}");
        let files = files_in(folder.path());
        assert_eq!(files.len(), 1, "{line}: {run:#?}");
        let crash = &stackwalk(&files[0])["crash_info"];
        assert_eq!(crash["type"], "EXCEPTION_BREAKPOINT", "{crash:#}");
    }
}

#[test]
fn a_program_that_is_waited_for_or_started_is_dumped_when_it_crashes() {
    let (programs, dumps) = (folder(), folder());
    let later = victim_copy(programs.path(), "later.exe");
    let waits = procdump(dumps.path(), "-e -w later").spawn();
    let running = waits.until_it_says("Waiting for process named later");
    let mut victim = started(&later, &["events"]);
    crate::support::wait_until("it is followed", || victim.ask("debugged") == ["1"]);
    victim.tell("crash");
    running
        .finish()
        .assert_code(0)
        .assert_says("Dump 1 complete: ");
    assert_eq!(files_in(dumps.path()).len(), 1);

    let place = windows_path(dumps.path());
    let run = procdump(programs.path(), "-e -x")
        .args(&[&place, &windows_path(&later), "segv"])
        .run();
    run.assert_code(0).assert_says("Unhandled: C0000005");
    assert_eq!(files_in(dumps.path()).len(), 2);
}

#[test]
fn t_sees_the_end_and_says_what_wine_lacks() {
    let (mut victim, folder) = (victim(&["events"]), folder());
    let line = format!("-t {}", victim.pid_text());
    let running = followed(procdump(folder.path(), &line), &mut victim);
    victim.tell("exit");
    assert_eq!(victim.wait().code(), Some(7));
    running.finish().assert_says("its memory is gone");
}

#[test]
fn x_starts_the_program_and_gives_it_its_arguments() {
    let (programs, dumps) = (folder(), folder());
    let program = victim_copy(programs.path(), "started.exe");
    let place = windows_path(dumps.path());
    let run = procdump(programs.path(), "-ma -s 1 -tc 4 -k -x")
        .args(&[&place, &windows_path(&program), "threads", "3"])
        .run_well();
    assert!(run.stdout.contains("Dump count reached."), "{run:#?}");
    let files = files_in(dumps.path());
    assert_eq!(stackwalk(&files[0])["thread_count"], 4);
}

#[test]
fn w_waits_for_the_next_of_that_name() {
    let (programs, dumps) = (folder(), folder());
    let program = victim_copy(programs.path(), "waited-for.exe");
    let line = "-ma -w waited-for";
    let waits = procdump(dumps.path(), line).spawn();
    let running = waits.until_it_says("Waiting for process named waited-for");
    let _victim = started(&program, &["idle"]);
    let run = running.finish();
    run.assert_code(0).assert_says("Dump 1 complete: ");
    assert_eq!(files_in(dumps.path()).len(), 1);
}

#[test]
fn k_ends_the_program_with_its_last_dump() {
    let mut victim = victim(&["idle"]);
    Line::start(&format!("-ma -k {}", victim.pid_text()), 1).ends();
    victim.wait();
}

#[test]
fn at_gives_up_after_its_time_and_lets_the_target_go() {
    let mut victim = victim(&["threads", "1"]);
    let folder = folder();
    let line = format!("-ma -at 1 {}", victim.pid_text());
    let run = procdump(folder.path(), &line).failpoint("copy:sleep").run();
    run.assert_failed().assert_says("time");
    victim.assert_alive();
}

#[test]
fn cancel_ends_every_monitor_of_that_process() {
    let mut victim = victim(&["threads", "1"]);
    let pid = victim.pid_text();
    let line = format!("-ma -m 900000 {pid}");
    let folder = folder();
    let monitors = [0, 1].map(|_| {
        let monitor = procdump(folder.path(), &line).spawn();
        monitor.until_it_says("Press Ctrl-C")
    });
    procdump(folder.path(), &format!("-cancel {pid}")).run_well();
    for monitor in monitors {
        monitor.finish().assert_code(7);
    }
    assert!(files_in(folder.path()).is_empty());
    victim.assert_alive();
}

#[test]
fn o_and_the_names_that_are_put_together() {
    let victim = victim(&["idle"]);
    let folder = folder();
    for _ in 0..2 {
        let place = windows_path(&folder.path().join("before-pid1-PID"));
        let line = format!("-ma -o {}", victim.pid_text());
        procdump(folder.path(), &line).arg(place).run_well();
    }
    let expected = folder
        .path()
        .join(format!("before-pid1-{}.dmp", victim.pid_text()));
    assert_eq!(files_in(folder.path()), [expected]);
}

#[test]
fn what_is_wrong_says_so_with_the_same_codes() {
    let victim = victim(&["idle"]);
    let (folder, pid) = (folder(), victim.pid_text());
    let run = |line: &str| procdump(folder.path(), line).run();
    run(&format!("-nonsense {pid}")).assert_code(2);
    run("-ma 99999999").assert_code(3);
    run("-ma nobody-of-that-name").assert_code(3);
    assert!(files_in(folder.path()).is_empty());
}
