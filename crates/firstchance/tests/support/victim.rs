//! Victims: processes of the program `crates/victim`, each in one of its modes.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use victim::{Slot, State};

use super::{Child, DEADLINE, proc_status, state_of, target_dir, threads_of, wait_until};

/// A running victim that is ready. It is killed when this is dropped.
pub(crate) struct Victim {
    child: Child,
    facts: HashMap<String, String>,
    /// The counters that it increments while it is alive.
    pub(crate) state: State,
    pid: u32,
    /// Its pid in the test's pid namespace, if it is in another one and its pid here is known.
    pid_here: Option<u32>,
    _folder: tempfile::TempDir,
}

impl Victim {
    /// Starts `victim ARGS` and waits until it is ready.
    pub(crate) fn start(args: &[&str]) -> Victim {
        Victim::start_by(Command::new(victim_exe()).args(args))
    }

    /// Starts a victim by another program that executes it, such as `setpriv`.
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

    /// Says that the victim has the pid of the process that the test started. The pid that it prints is that in its
    /// own pid namespace.
    pub(crate) fn known_here_as_its_starter(mut self) -> Victim {
        self.pid_here = Some(self.child.pid());
        self
    }

    /// Waits for the line `ready PID`, and keeps the facts that are printed before it.
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

    /// Its pid, in its own pid namespace.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    fn pid_here(&self) -> u32 {
        self.pid_here.unwrap_or(self.pid)
    }

    /// Its pid as text, for a command line.
    pub(crate) fn pid_text(&self) -> String {
        self.pid.to_string()
    }

    /// Its pid in the test's pid namespace, if a program that waits for it has started it in another one.
    pub(crate) fn only_child_of_starter(&self) -> u32 {
        let starter = self.child.pid();
        let path = format!("/proc/{starter}/task/{starter}/children");
        let children = std::fs::read_to_string(path).expect("the starter's children");
        children.trim().parse().expect("one child")
    }

    /// The fact `name` that it printed.
    ///
    /// # Panics
    /// If it printed no such fact.
    pub(crate) fn fact(&self, name: &str) -> &str {
        let fact = self.facts.get(name);
        fact.unwrap_or_else(|| panic!("the victim said nothing of {name:?}: {:?}", self.facts))
    }

    /// Whether it printed the fact `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.facts.contains_key(name)
    }

    /// The fact `name` as an address.
    pub(crate) fn address(&self, name: &str) -> u64 {
        let text = self.fact(name);
        u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("an address")
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) {
        self.child.tell(line);
    }

    /// Writes a line to its standard input, and waits for the answer.
    pub(crate) fn ping(&mut self) {
        self.child.tell("ping");
        assert_eq!(self.child.line(), "pong");
    }

    /// Writes a line to its standard input. Returns all lines of its answer.
    pub(crate) fn ask(&mut self, line: &str) -> Vec<String> {
        self.child.tell(line);
        self.answer()
    }

    /// Waits for the next line that it prints, and returns it.
    pub(crate) fn line(&self) -> String {
        self.child.line()
    }

    /// Waits for the end of its answer to a line. Returns the lines of the answer.
    pub(crate) fn answer(&self) -> Vec<String> {
        let mut lines = self.child.lines_until("pong");
        lines.pop();
        lines
    }

    /// Sends a signal to the victim.
    pub(crate) fn signal(&self, signal: i32) {
        self.child.signal(signal);
    }

    /// The letter of its state in `/proc`.
    pub(crate) fn letter(&self) -> char {
        state_of(self.pid_here())
    }

    /// Waits until its state has this letter.
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

    /// Kills it, and does not wait for its end: something may still hold it.
    pub(crate) fn kill_without_waiting(&mut self) {
        self.child.signal(libc::SIGKILL);
    }

    /// Waits until it ends.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait()
    }

    /// Kills it, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill();
    }

    /// Asserts that it works as before: it answers or counts, nothing in it was changed, and no thread is traced.
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

    /// Asserts that its counter increases.
    pub(crate) fn assert_counting(&self) {
        let before = self.state.get(Slot::Counter);
        wait_until("the victim counts on", || {
            self.state.get(Slot::Counter) > before + 1
        });
    }

    /// Asserts that no thread is traced, or stopped for a tracer. If the tracer was killed, this waits for the
    /// moment that the kernel needs to release its tracees.
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

/// A folder that every user can reach, because some victims run as another user.
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

/// The program file of victims. The first test builds it, because Cargo does not build the programs of another
/// package for a test.
pub(crate) fn victim_exe() -> &'static Path {
    static EXE: OnceLock<PathBuf> = OnceLock::new();
    EXE.get_or_init(|| {
        let firstchance = Path::new(env!("CARGO_BIN_EXE_firstchance"));
        let exe = firstchance.with_file_name(format!("victim{}", std::env::consts::EXE_SUFFIX));
        let mut stamp = super::only_one("build-victim");
        if !exe.is_file() || !is_fresh(&stamp) {
            build_victim();
            // Cargo does not rewrite a program that is up to date. The time of this file says when it was checked.
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
