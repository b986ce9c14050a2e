//! Programs that rules start (`do = "run PROGRAM"`).

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{
    Firstchance, Running, Victim, file_in, folder, state_of, threads_of, wait_until,
};

/// A watch of one rule, which starts a program at this condition. Its events are told as JSON.
fn watch(
    folder: &tempfile::TempDir,
    pid: u32,
    when: &str,
    program: &str,
    times: u32,
) -> Firstchance {
    let file = file_in(folder, "rules.toml");
    let text = format!(
        "[[rule]]\nname = \"the rule\"\ntarget = \"{pid}\"\nfolder = '{}'\n\
         [[rule.on]]\nwhen = '{when}'\ndo = '''run {program}'''\nlimit = {times}\n",
        folder.path().display()
    );
    fs::write(&file, text).expect("a file");
    Firstchance::new(&["watch", "--json", "--poll", "10ms", "--rules"]).arg(file)
}

fn events(stdout: &str, name: &str) -> Vec<Value> {
    let lines = stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter(|event| event["event"] == name).collect()
}

/// A script that the test has made.
fn script(folder: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = file_in(folder, "a script");
    fs::write(&path, text).expect("a file");
    path
}

#[test]
fn n27_words_in_quotes_stay_together_and_the_event_is_in_the_environment() {
    let folder = folder();
    let mut victim = Victim::start(&["idle"]);
    let (script, told) = (
        script(
            &folder,
            "out=\"$1\"; shift\nprintf '<%s>\\n' \"$@\" > \"$out\"\nenv >> \"$out\"\n",
        ),
        file_in(&folder, "what it was told"),
    );
    let program = format!(
        "/bin/sh \"{}\" '{}' plain \"two words\" back\\ slash \"a \\\"quote\\\"\" ''",
        script.display(),
        told.display()
    );
    watch(&folder, victim.pid(), "threads > 0", &program, 1).run_well();
    let told = fs::read_to_string(told).expect("it has run");
    let words = "<plain>\n<two words>\n<back slash>\n<a \"quote\">\n<>\n";
    assert!(told.starts_with(words), "{told}");
    for variable in [
        "FIRSTCHANCE_REASON=threads > 0: 1".to_owned(),
        "FIRSTCHANCE_TRIGGER=threads".to_owned(),
        format!("FIRSTCHANCE_PID={}", victim.pid()),
        "FIRSTCHANCE_RULE=the rule".to_owned(),
    ] {
        assert!(
            told.lines().any(|line| line == variable),
            "{variable}: {told}"
        );
    }
    victim.assert_alive();
}

#[test]
fn n27_a_command_line_whose_quote_is_not_closed_is_refused_before_anything_begins() {
    let folder = folder();
    let victim = Victim::start(&["idle"]);
    let run = watch(&folder, victim.pid(), "threads > 0", "/bin/sh -c \"echo", 1).run();
    run.assert_code(1).assert_says("a quote is not closed");
}

#[test]
fn n27_a_program_that_is_not_there_or_cannot_be_executed_is_refused_before_anything_begins() {
    let folder = folder();
    let victim = Victim::start(&["idle"]);
    let no_program = script(&folder, "exit 0\n");
    for (program, words) in [
        ("/no/such/notifier --to me", "No such file"),
        ("no-such-notifier", "No such file"),
        (&format!("'{}'", no_program.display()), "Permission denied"),
    ] {
        let run = watch(&folder, victim.pid(), "threads > 0", program, 1).run();
        run.assert_code(1).assert_says(words);
    }
}

#[test]
fn n27_how_a_program_ended_is_told_and_what_it_writes_is_kept_apart() {
    let folder = folder();
    let victim = Victim::start(&["idle"]);
    let program = "/bin/sh -c \"echo first; echo the last words >&2; exit 3\"";
    let log = file_in(&folder, "debug.log");
    let run = watch(&folder, victim.pid(), "threads > 0", program, 1)
        .args(&["--log"])
        .arg(&log)
        .run_well();
    let started = events(&run.stdout, "program-started");
    let ended = events(&run.stdout, "program-ended");
    assert_eq!((started.len(), ended.len()), (1, 1), "{run:#?}");
    assert_eq!(ended[0]["status"], 3);
    assert_eq!(ended[0]["last-line"], "the last words");
    assert_eq!(ended[0]["program"], program);
    assert_eq!(ended[0]["program-pid"], started[0]["program-pid"]);
    assert!(ended[0]["seconds"].is_f64());
    assert!(!run.stderr.contains("first"), "{run:#?}");
    let log = fs::read_to_string(log).expect("a log");
    assert!(log.contains("says: first"), "{log}");
}

/// Programs that wait for a lock that the test holds, until it gives it up or ends.
struct Waiting {
    path: PathBuf,
    locked: Option<fs::File>,
}

impl Waiting {
    fn new(folder: &tempfile::TempDir) -> Self {
        let path = file_in(folder, "lock");
        let file = fs::File::create(&path).expect("a file");
        file.lock().expect("nobody else has it");
        Self {
            path,
            locked: Some(file),
        }
    }

    fn program(&self) -> String {
        format!("flock --shared '{}' true", self.path.display())
    }

    fn end(&mut self) {
        self.locked = None;
    }
}

/// The children of a process that have ended and were not waited for.
fn zombies_of(pid: u32) -> usize {
    let children = |tid| fs::read_to_string(format!("/proc/{pid}/task/{tid}/children"));
    let children = threads_of(pid)
        .into_iter()
        .filter_map(|tid| children(tid).ok());
    let children: Vec<u32> = children
        .flat_map(|text| {
            text.split_whitespace()
                .map(|pid| pid.parse().expect("a pid"))
                .collect::<Vec<_>>()
        })
        .collect();
    children
        .into_iter()
        .filter(|pid| state_of(*pid) == 'Z')
        .count()
}

#[test]
fn n27_no_more_than_eight_programs_run_at_once_and_none_stays_a_zombie() {
    let folder = folder();
    let mut victim = Victim::start(&["idle"]);
    let mut waiting = Waiting::new(&folder);
    let command = watch(
        &folder,
        victim.pid(),
        "threads > 0 for 10ms",
        &waiting.program(),
        18,
    );
    // Eight and ten: what ends meanwhile is followed by no other one. Another clause keeps the watch going.
    let rules = file_in(&folder, "rules.toml");
    let text = fs::read_to_string(&rules).expect("our own");
    let other = "[[rule.on]]\nwhen = 'threads > 1000'\ndo = 'none'\nlimit = 1\n";
    fs::write(&rules, text + other).expect("a file");
    let running: Running = command
        .spawn()
        .until_it_says_often("\"event\":\"program-started\"", 8)
        .until_it_says("was not started (1 time): 8 programs of rules are running")
        .until_it_says("was not started (10 times)");
    waiting.end();
    let running = running.until_it_says_often("\"event\":\"program-ended\"", 8);
    // A zombie is one for a moment, until it is waited for.
    wait_until("none is a zombie", || zombies_of(running.pid()) == 0);
    running.signal(libc::SIGINT);
    let run = running.finish();
    run.assert_code(7);
    let started = events(&run.stdout, "program-started").len();
    assert_eq!(
        started,
        events(&run.stdout, "program-ended").len(),
        "{run:#?}"
    );
    victim.assert_alive();
}

#[test]
fn n27_a_run_that_is_over_waits_for_its_programs() {
    let folder = folder();
    let victim = Victim::start(&["idle"]);
    let mut waiting = Waiting::new(&folder);
    let running = watch(&folder, victim.pid(), "threads > 0", &waiting.program(), 1)
        .spawn()
        .until_it_says("\"event\":\"rule-finished\"");
    assert!(running_still(&running));
    waiting.end();
    let run = running.finish();
    run.assert_code(0);
    assert_eq!(events(&run.stdout, "program-ended")[0]["status"], 0);
}

fn running_still(running: &Running) -> bool {
    Path::new(&format!("/proc/{}", running.pid())).exists() && state_of(running.pid()) != 'Z'
}

#[test]
fn n27_somebody_who_cancels_does_not_wait_for_programs() {
    let folder = folder();
    let victim = Victim::start(&["idle"]);
    let waiting = Waiting::new(&folder);
    let running = watch(&folder, victim.pid(), "threads > 0", &waiting.program(), 1)
        .spawn()
        .until_it_says("\"event\":\"rule-finished\"");
    running.signal(libc::SIGINT);
    let run = running.finish();
    assert_eq!(events(&run.stdout, "program-goes-on").len(), 1, "{run:#?}");
    drop(waiting);
}
