//! `inspect A B C`: what changed between the dumps of a series.

use std::process::Command;

use crate::support::{Child, Firstchance, file_in, folder};

/// Does what it is told by a line, and says when that is done.
const SCRIPT: &str = "
import sys, threading, time
def later(event): event.wait()
ends, never = threading.Event(), threading.Event()
brief = threading.Thread(target=later, args=(ends,), name='brief')
idle = threading.Thread(target=later, args=(never,), daemon=True)
brief.start(); idle.start()
burn, burnt = threading.Event(), threading.Event()
def work():
    burn.wait()
    while time.thread_time() < 1: pass
    burnt.set()
    never.wait()
hot = threading.Thread(target=work, daemon=True)
hot.start()
print(hot.native_id, idle.native_id, brief.native_id, flush=True)
sys.stdin.readline()
burn.set(); burnt.wait(); ends.set(); brief.join()
print('burnt', flush=True)
sys.stdin.readline()
new = threading.Thread(target=later, args=(never,), daemon=True)
new.start()
grown = b'x' * (64 << 20)
print(new.native_id, flush=True)
sys.stdin.readline()
";

#[test]
fn who_worked_stood_came_and_went_and_what_grew_is_told() {
    let mut child = Child::start(Command::new("python3").args(["-c", SCRIPT]));
    let ids = child.line();
    let ids: Vec<u64> = ids
        .split(' ')
        .map(|id| id.parse().expect("an id"))
        .collect();
    let [hot, idle, brief] = ids[..] else {
        panic!("{ids:?}");
    };
    let folder = folder();
    let [a, b, c] = ["a.dmp", "b.core", "c.core"].map(|name| file_in(&folder, name));
    Firstchance::dump(child.pid(), &["--mini"], &a).run_well();
    child.tell("burn");
    assert_eq!(child.line(), "burnt");
    Firstchance::dump(child.pid(), &["--full"], &b).run_well();
    child.tell("grow");
    let new: u64 = child.line().parse().expect("an id");
    Firstchance::dump(child.pid(), &["--mini"], &c).run_well();
    child.tell("end");

    // In any order: what was taken first is the first.
    let compare = |options: &[&str]| {
        let command = Firstchance::new(&["inspect"]).args(options);
        command.arg(&c).arg(&a).arg(&b).run_well().stdout
    };
    let json: serde_json::Value = serde_json::from_str(&compare(&["--json"])).expect("JSON");
    assert_eq!(json["same-process"], true, "{json}");
    let thread = |id: u64| {
        let threads = json["threads"].as_array().expect("threads");
        let mut found = threads.iter().filter(|thread| thread["id"] == id);
        found.next().unwrap_or_else(|| panic!("{id}: {json}"))
    };
    let used = |at: usize| thread(hot)["used-ms"][at].as_u64().expect("a time");
    // The kernel counts in hundredths of a second.
    assert!(used(1) - used(0) >= 980, "{json}");
    assert_eq!(thread(idle)["stood-since"], 1);
    assert!(thread(brief)["used-ms"][1].is_null());
    assert!(thread(new)["used-ms"][1].is_null());
    assert!(!thread(new)["used-ms"][2].is_null());
    let classes = json["classes"].as_array().expect("classes");
    let grown: i64 = classes
        .iter()
        .filter_map(|class| class["grown"].as_i64())
        .sum();
    assert!(grown >= 64 << 20, "{json}");

    let text = compare(&[]);
    for line in [
        format!("thread {hot} \"python3\" has used "),
        format!("thread {new} \"python3\" since dump 3"),
        format!("thread {brief} \"python3\" after dump 1"),
        "Stood still".to_owned(),
        "Grown most".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}: {text}");
    }
}

#[test]
fn dumps_of_different_processes_are_said_to_be_so() {
    let children = [0, 1].map(|_| Child::start(Command::new("sleep").arg("1000")));
    let folder = folder();
    let files = ["a.core", "b.core"].map(|name| file_in(&folder, name));
    for (child, file) in children.iter().zip(&files) {
        Firstchance::dump(child.pid(), &["--mini"], file).run_well();
    }
    let text = Firstchance::new(&["inspect"])
        .arg(&files[0])
        .arg(&files[1])
        .run_well()
        .stdout;
    assert!(text.contains("they are of different processes"), "{text}");
}

/// A word that is nothing is told as such, and what cannot be shown together is refused.
#[test]
fn what_is_neither_a_file_nor_a_section_is_told() {
    let child = Child::start(Command::new("sleep").arg("1000"));
    let folder = folder();
    let path = file_in(&folder, "a.core");
    Firstchance::dump(child.pid(), &["--mini"], &path).run_well();
    for (words, said) in [
        (&["thread"][..], "`thread` is neither a file nor a section"),
        (&["threads", "--json"], "--json prints all sections"),
    ] {
        let command = Firstchance::new(&["inspect"]).arg(&path).args(words);
        let output = command.run();
        assert_ne!(output.code, Some(0));
        assert!(output.stderr.contains(said), "{}", output.stderr);
    }
}
