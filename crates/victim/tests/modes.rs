//! The victims keep what they promise, before others are judged by them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use victim::{Slot, State};

struct Victim {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    facts: Vec<String>,
    state: State,
    file: PathBuf,
}

impl Victim {
    /// Starts it and waits until it is ready.
    fn start(args: &[&str]) -> Victim {
        let name = format!(
            "victim-{}-{}",
            std::process::id(),
            args.join("-").replace('/', "_")
        );
        let file = std::env::temp_dir().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_victim"));
        command.args(args).env("VICTIM_STATE", &file);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let state = State::open(&file).unwrap();
        let mut victim = Victim {
            child,
            input,
            output,
            facts: Vec::new(),
            state,
            file,
        };
        victim.wait_until_ready();
        victim
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(
            !line.is_empty(),
            "the victim has ended; it said {:?}",
            self.facts
        );
        line.trim_end().to_owned()
    }

    fn wait_until_ready(&mut self) {
        loop {
            let line = self.line();
            if line.starts_with("ready ") {
                return;
            }
            self.facts.push(line);
        }
    }

    fn ping(&mut self) {
        writeln!(self.input, "ping").unwrap();
        assert_eq!(self.line(), "pong");
    }

    fn wait_for(&self, slot: Slot, least: u64) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.state.get(slot) < least {
            assert!(
                Instant::now() < deadline,
                "{slot:?} stays at {}",
                self.state.get(slot)
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}

#[test]
fn those_that_listen_answer() {
    for args in [
        &["idle"][..],
        &["leak", "4"],
        &["threads", "20"],
        &["spin"],
        &["churn", "2"],
    ] {
        Victim::start(args).ping();
    }
}

#[test]
fn those_that_count_count() {
    let modes = [
        &["spin", "2"][..],
        &["churn", "2"],
        &["pause", "4"],
        &["write", "4"],
    ];
    for args in modes {
        Victim::start(args).wait_for(Slot::Counter, 10);
    }
}

#[test]
fn an_exit_has_its_code() {
    let mut victim = Victim::start(&["exit", "7"]);
    writeln!(victim.input).unwrap();
    assert_eq!(victim.child.wait().unwrap().code(), Some(7));
}

#[test]
fn a_crash_is_a_crash() {
    for mode in ["segv", "abort", "panic", "illegal", "overflow"] {
        let mut victim = Victim::start(&[mode]);
        writeln!(victim.input).unwrap();
        assert!(!victim.child.wait().unwrap().success(), "{mode}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn registers_are_checked_without_errors() {
    for kind in ["busy", "sleep"] {
        let victim = Victim::start(&["selfcheck", kind]);
        victim.wait_for(Slot::Counter, 100);
        assert_eq!(victim.state.get(Slot::Errors), 0, "{kind}");
    }
    if std::arch::is_x86_feature_detected!("avx") {
        Victim::start(&["avx"]).wait_for(Slot::Counter, 100);
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;

    #[test]
    fn one_that_measures_its_gaps_forks_when_it_is_told_to() {
        let mut victim = Victim::start(&["pause", "8"]);
        let pid = victim.child.id().to_string();
        let kill = Command::new("kill").args(["-USR1", &pid]).status();
        assert!(kill.unwrap().success());
        let line = victim.line();
        let milliseconds = line.strip_prefix("fork ").unwrap().parse::<f64>();
        assert!(milliseconds.unwrap() > 0.0, "{line}");
        victim.wait_for(Slot::Counter, victim.state.get(Slot::Counter) + 10);
    }

    fn status(victim: &Victim, field: &str) -> String {
        let text = std::fs::read_to_string(format!("/proc/{}/status", victim.child.id())).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    }

    /// Until the victim's state begins with that letter.
    fn wait_for_state(victim: &Victim, letter: char) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !status(victim, "State").starts_with(letter) {
            assert!(
                Instant::now() < deadline,
                "stays in {}",
                status(victim, "State")
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn memory_of_every_kind_is_made() {
        let folder = std::env::temp_dir().join(format!("victim-folder-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let folder_arg = folder.to_str().unwrap();
        for args in [
            &["maps", "1000"][..],
            &["guard"],
            &["reserve", "8"],
            &["sparse", "64"],
            &["scattered", "1000", "16"],
            &["zeros", "1"],
            &["prot-none-data"],
            &["truncated-map", folder_arg],
            &["uffd"],
            &["secret"],
            &["advised"],
            &["kinds"],
            &["names", folder_arg],
            &["deleted-exe", folder_arg],
            &["signal-info"],
        ] {
            let mut victim = Victim::start(args);
            victim.ping();
            println!("{args:?}: {:?}", victim.facts);
            assert!(
                !victim
                    .facts
                    .iter()
                    .any(|fact| fact.starts_with("fact unavailable"))
            );
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_vfork_parent_waits() {
        wait_for_state(&Victim::start(&["vfork"]), 'D');
    }

    #[test]
    fn the_leader_is_a_zombie_and_the_rest_works() {
        let victim = Victim::start(&["zombie-leader"]);
        wait_for_state(&victim, 'Z');
        victim.wait_for(Slot::Counter, 10);
    }

    #[test]
    fn a_thread_can_become_another_program() {
        let mut victim = Victim::start(&["exec-by-thread"]);
        writeln!(victim.input).unwrap();
        victim.wait_until_ready();
        victim.ping();
        assert_eq!(status(&victim, "Threads"), "1");
    }

    #[test]
    fn a_handler_stands() {
        wait_for_state(&Victim::start(&["handler"]), 'S');
    }

    #[test]
    fn blocked_ones_stay_in_their_calls() {
        for name in [
            "read",
            "inotify",
            "nanosleep",
            "clock_nanosleep",
            "epoll_wait",
            "poll",
            "select",
            "futex",
            "sigtimedwait",
            "pause",
            "semop",
            "msgrcv",
            "recv",
            "recv-timeout",
            "wait",
        ] {
            let victim = Victim::start(&["blocked", name]);
            wait_for_state(&victim, 'S');
            assert_eq!(victim.state.get(Slot::Returned), 0, "{name}");
        }
    }
}
