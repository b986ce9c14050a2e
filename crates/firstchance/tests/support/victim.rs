//! Victims: the program of crates/victim in one of its modes.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use victim::{Slot, State};

use super::{Child, DEADLINE, proc_status, state_of, target_dir, threads_of, wait_until};

/// A victim that is ready.
pub(crate) struct Victim {
    child: Child,
    facts: HashMap<String, String>,
    /// Its counters.
    pub(crate) state: State,
    pid: u32,
    /// Its pid out here, where that is another and known.
    pid_here: Option<u32>,
    _folder: tempfile::TempDir,
}

impl Victim {
    /// Starts `victim ARGS` and waits until it is ready.
    pub(crate) fn start(args: &[&str]) -> Victim {
        Victim::start_by(Command::new(victim_exe()).args(args))
    }

    /// Starts a victim by another program that ends up as the victim, such as `setpriv`.
    pub(crate) fn start_by(command: &mut Command) -> Victim {
        let folder = state_folder();
        let file = folder.path().join("state");
        let state = State::open(&file).expect("the file of counters");
        open_to_all(&file, 0o666);
        let child = Child::start(command.env("VICTIM_STATE", &file));
        let mut victim = Victim {
            child,
            facts: HashMap::new(),
            state,
            pid: 0,
            pid_here: None,
            _folder: folder,
        };
        victim.wait_until_ready();
        victim
    }

    /// Says that its starter became it, and that its own pid means nothing out here.
    pub(crate) fn known_here_as_its_starter(mut self) -> Victim {
        self.pid_here = Some(self.child.pid());
        self
    }

    /// Waits for the line `ready PID`, and keeps the facts before it.
    pub(crate) fn wait_until_ready(&mut self) {
        for line in self.child.lines_until("ready ") {
            let mut words = line.splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some("fact"), Some(name), Some(value)) => {
                    self.facts.insert(name.to_owned(), value.to_owned());
                }
                (Some("ready"), Some(pid), None) => self.pid = pid.parse().expect("a pid"),
                _ => panic!("the victim says {line:?}"),
            }
        }
    }

    /// Its pid, as itself sees it.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    fn pid_here(&self) -> u32 {
        self.pid_here.unwrap_or(self.pid)
    }

    /// Its pid as an argument.
    pub(crate) fn pid_text(&self) -> String {
        self.pid.to_string()
    }

    /// Its pid out here, when it was started in a pid namespace by a program that waits for it.
    pub(crate) fn only_child_of_starter(&self) -> u32 {
        let starter = self.child.pid();
        let path = format!("/proc/{starter}/task/{starter}/children");
        let children = std::fs::read_to_string(path).expect("the starter's children");
        children.trim().parse().expect("one child")
    }

    /// What it said about `name`.
    pub(crate) fn fact(&self, name: &str) -> &str {
        let fact = self.facts.get(name);
        fact.unwrap_or_else(|| panic!("the victim said nothing of {name:?}: {:?}", self.facts))
    }

    /// Whether it said anything about `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.facts.contains_key(name)
    }

    /// An address that it told.
    pub(crate) fn address(&self, name: &str) -> u64 {
        let text = self.fact(name);
        u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("an address")
    }

    /// Writes a line to its input.
    pub(crate) fn tell(&mut self, line: &str) {
        self.child.tell(line);
    }

    /// Writes a line to its input and waits for the answer.
    pub(crate) fn ping(&mut self) {
        self.child.tell("ping");
        assert_eq!(self.child.line(), "pong");
    }

    /// Writes a line to its input; what it says until it is done with it.
    pub(crate) fn ask(&mut self, line: &str) -> Vec<String> {
        self.child.tell(line);
        self.answer()
    }

    /// The next line that it says.
    pub(crate) fn line(&self) -> String {
        self.child.line()
    }

    /// What it says until it is done with a line.
    pub(crate) fn answer(&self) -> Vec<String> {
        let mut lines = self.child.lines_until("pong");
        lines.pop();
        lines
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: i32) {
        self.child.signal(signal);
    }

    /// The letter of its state.
    pub(crate) fn letter(&self) -> char {
        state_of(self.pid_here())
    }

    /// Waits until its state has that letter.
    pub(crate) fn wait_for_letter(&self, letter: char) {
        wait_until(&format!("the victim's state is {letter}"), || {
            self.letter() == letter
        });
    }

    /// Waits until its state has one of these letters.
    pub(crate) fn wait_for_letters(&self, letters: &str) {
        let what = format!("the victim's state is one of {letters}");
        wait_until(&what, || letters.contains(self.letter()));
    }

    /// Kills it; it may not be able to go yet.
    pub(crate) fn kill_without_waiting(&mut self) {
        self.child.signal(libc::SIGKILL);
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait()
    }

    /// Kills it and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill();
    }

    /// It works on as before: it answers or counts, nothing in it was changed, no thread is traced.
    pub(crate) fn assert_alive(&mut self) {
        self.assert_untraced();
        match self.facts.contains_key("listens") {
            true => self.ping(),
            false => self.assert_counting(),
        }
        assert_eq!(
            self.state.get(Slot::Errors),
            0,
            "the victim found itself changed"
        );
    }

    /// Its counter goes on.
    pub(crate) fn assert_counting(&self) {
        let before = self.state.get(Slot::Counter);
        wait_until("the victim counts on", || {
            self.state.get(Slot::Counter) > before + 1
        });
    }

    /// No thread is traced or stands still for a tracer. The kernel may need a moment to let go of
    /// the tracees of a process that was killed.
    pub(crate) fn assert_untraced(&self) {
        let traced = |tid: &u32| proc_status(*tid, "TracerPid").is_some_and(|tracer| tracer != "0");
        let stands = |tid: &u32| state_of(*tid) == 't';
        let what = format!("no thread of {} is traced (at most {DEADLINE:?})", self.pid);
        wait_until(&what, || {
            !threads_of(self.pid_here())
                .iter()
                .any(|tid| traced(tid) || stands(tid))
        });
    }
}

/// A folder that every user can reach, as some victims run as another.
fn state_folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("victim-state").tempdir();
    let folder = folder.expect("a folder for temporary files");
    open_to_all(folder.path(), 0o755);
    folder
}

fn open_to_all(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, mode).expect("our own file");
}

/// The victim's program: built on demand, as a test program of another package may not name it.
pub(crate) fn victim_exe() -> &'static Path {
    static EXE: OnceLock<PathBuf> = OnceLock::new();
    EXE.get_or_init(|| {
        let firstchance = Path::new(env!("CARGO_BIN_EXE_firstchance"));
        let exe = firstchance.with_file_name(format!("victim{}", std::env::consts::EXE_SUFFIX));
        let mut stamp = super::only_one("build-victim");
        if !exe.is_file() || !is_fresh(&stamp) {
            build_victim();
            // Cargo does not touch a program that is as it should be; this file tells.
            stamp
                .set_len(0)
                .and_then(|()| stamp.write_all(b"built"))
                .expect("our own file");
        }
        exe
    })
}

/// Whether the victim was built after its sources were last changed.
fn is_fresh(stamp: &std::fs::File) -> bool {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../victim");
    let changed = newest(&sources);
    let built = stamp.metadata().and_then(|m| Ok((m.len(), m.modified()?)));
    built.is_ok_and(|(len, when)| len > 0 && when > changed)
}

fn newest(path: &Path) -> SystemTime {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let times = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => newest(&entry.path()),
        _ => entry
            .metadata()
            .and_then(|m| m.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH),
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn build_victim() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "-p", "victim", "--target-dir"])
        .arg(target_dir());
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo");
    assert!(status.success(), "the victim cannot be built");
}
