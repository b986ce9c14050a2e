//! Enables postmortem dumps for one test, and restores everything after it.

use std::fs::File;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::{Firstchance, Program, Run, Sysctl, compile, files_in, wait_until};

/// The kernel's settings for crashes, in the order in which they are restored.
const SETTINGS: [&str; 3] = [
    "kernel/core_pattern",
    "kernel/core_pipe_limit",
    "fs/suid_dumpable",
];
const FILE: &str = "/etc/firstchance/postmortem.toml";
const LAST_GOOD: &str = "/etc/firstchance/postmortem.last-good.toml";
/// The folders that are remembered when the settings are gone.
const PAST: &str = "/var/lib/firstchance/folders.toml";
/// A short path, because the kernel takes only 127 characters of a pattern.
const PROGRAM: &str = "/usr/libexec/fc-test";
/// The program that crashes.
const CRASHES: Program = Program::c("crashes.c");

/// The machine with postmortem dumps enabled, for the programs that the test names only, because other tests
/// crash programs, too.
pub(crate) struct Postmortem {
    /// The folder for dumps.
    pub(crate) folder: PathBuf,
    /// The program of this test that crashes. No other test has a program of its name.
    pub(crate) program: PathBuf,
    before: Option<Vec<u8>>,
    files: tempfile::TempDir,
    _settings: Vec<Sysctl>,
}

impl Postmortem {
    /// Runs `postmortem enable --only-listed OPTIONS` and `postmortem set PROGRAM --type full`.
    pub(crate) fn enabled(options: &[&str]) -> Postmortem {
        let mut postmortem = Postmortem::off();
        postmortem
            .enable(&[&["--only-listed"], options].concat())
            .assert_code(0);
        let program = postmortem.program.clone();
        postmortem.set(&program, &["--type", "full"]);
        postmortem
    }

    /// Enables nothing, but keeps other tests from changing the settings.
    pub(crate) fn off() -> Postmortem {
        let settings: Vec<Sysctl> = SETTINGS.iter().map(|name| Sysctl::hold(name)).collect();
        let files = reachable_folder();
        let program = files.path().join(format!("pm-{}", std::process::id()));
        std::fs::copy(compile(&CRASHES), &program).expect("a copy of the program");
        // Settings with our path are what a test has left that was killed.
        let is_left = |text: &Vec<u8>| String::from_utf8_lossy(text).contains(PROGRAM);
        let before = std::fs::read(FILE).ok().filter(|text| !is_left(text));
        let _ = std::fs::remove_file(FILE);
        let _ = std::fs::remove_file(LAST_GOOD);
        Postmortem {
            folder: files.path().join("dumps"),
            before,
            program,
            files,
            _settings: settings,
        }
    }

    /// Runs `postmortem enable OPTIONS`, with the folder of the test.
    pub(crate) fn enable(&mut self, options: &[&str]) -> Run {
        let enable = Firstchance::new(&["postmortem", "enable", "--program", PROGRAM, "--folder"]);
        enable.arg(&self.folder).args(options).run()
    }

    /// Runs `postmortem set PROGRAM OPTIONS`.
    pub(crate) fn set(&self, program: &Path, options: &[&str]) {
        let set = Firstchance::new(&["postmortem", "set"]).arg(program);
        set.args(options).run_well();
    }

    /// Lets the kernel start the handler with a fault point.
    pub(crate) fn failpoint(&self, point: &str) {
        let pattern = Postmortem::pattern();
        let words = pattern.trim_start_matches('|');
        self.write(
            "core_pattern",
            &format!("|/usr/bin/env FIRSTCHANCE_FAILPOINT={point} {words}"),
        );
    }

    /// Lets the kernel start the handler under strace, which writes the names of the files that it opens.
    pub(crate) fn traced(&self, trace: &Path) {
        super::judge("strace", "strace");
        let pattern = Postmortem::pattern();
        let words = pattern.trim_start_matches('|');
        let strace = format!("|/usr/bin/strace -fAe %file -o {} {words}", trace.display());
        assert!(strace.len() < 128, "{strace}");
        // In the pattern, a percent sign begins a placeholder of the kernel.
        self.write("core_pattern", &strace.replace("%file", "%%file"));
    }

    /// The value of the kernel's `core_pattern`.
    pub(crate) fn pattern() -> String {
        let text = std::fs::read_to_string("/proc/sys/kernel/core_pattern");
        text.expect("a setting of the kernel").trim_end().to_owned()
    }

    /// Writes a setting of the kernel. All of them are restored after the test.
    pub(crate) fn write(&self, name: &str, value: &str) {
        let folder = if name == "suid_dumpable" {
            "fs"
        } else {
            "kernel"
        };
        std::fs::write(format!("/proc/sys/{folder}/{name}"), value).expect("a setting");
    }

    /// A command that runs the program, which crashes as these words say.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        self.command_of(&self.program, words)
    }

    /// A command that runs another program, which crashes as these words say.
    pub(crate) fn command_of(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.current_dir(self.files.path());
        command
    }

    /// Lets the program crash, and waits until it is gone. The kernel waits for the handler, so that the handler
    /// has ended then.
    pub(crate) fn crash(&self, words: &[&str]) -> ExitStatus {
        let status = self.command(words).status().expect("the program");
        assert!(status.signal().is_some(), "it did not crash: {status:?}");
        status
    }

    /// The files in the folder for dumps, without the lists of files that a user may read.
    pub(crate) fn dumps(&self) -> Vec<PathBuf> {
        if !self.folder.is_dir() {
            return Vec::new();
        }
        let mut files = files_in(&self.folder);
        let is_list = |file: &PathBuf| {
            let name = file.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with('.'))
        };
        files.retain(|file| !is_list(file));
        files
    }

    /// The only file in the folder for dumps.
    pub(crate) fn only_dump(&self) -> PathBuf {
        let mut dumps = self.dumps();
        assert_eq!(
            dumps.len(),
            1,
            "{dumps:?}; the kernel's log: {}",
            kernel_log()
        );
        dumps.remove(0)
    }

    /// The output of `firstchance dumps list --json` for the folder.
    pub(crate) fn list(&self) -> Vec<serde_json::Value> {
        let list = Firstchance::new(&["dumps", "list", "--json", "--folder"]);
        let run = list.arg(&self.folder).run_well();
        let lines = run.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    /// The record of a dump.
    pub(crate) fn record(&self, dump: &Path) -> serde_json::Value {
        let run = Firstchance::new(&["inspect", "--json"])
            .arg(dump)
            .run_well();
        let all: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
        all["record"].clone()
    }

    /// Waits until no handler of this test's machine is left.
    pub(crate) fn assert_no_handler(&self) {
        wait_until("no handler is left", || {
            let all = Command::new("pgrep")
                .args(["-f", &format!("{PROGRAM} crash-")])
                .output();
            all.expect("pgrep").stdout.is_empty()
        });
    }

    /// The pid of the handler that handles the crash of a process.
    pub(crate) fn handler_of(&self, pid: u32) -> u32 {
        let mut found = None;
        wait_until("the kernel has started the handler", || {
            found = find_handler(pid);
            found.is_some()
        });
        found.expect("it was found")
    }
}

fn find_handler(pid: u32) -> Option<u32> {
    let wanted = format!("\0crash-worker\0{pid}\0");
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(&wanted)
    })
}

/// A folder that every user can list.
fn reachable_folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("postmortem").tempdir();
    let folder = folder.expect("a folder for temporary files");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), mode).expect("our own folder");
    folder
}

/// The lines of the kernel's log about firstchance.
fn kernel_log() -> String {
    let options = |file: &mut std::fs::OpenOptions| {
        file.read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")
    };
    let Ok(mut log) = options(&mut File::options()) else {
        return String::new();
    };
    let mut lines = String::new();
    let mut line = [0; 8192];
    while let Ok(got @ 1..) = std::io::Read::read(&mut log, &mut line) {
        let text = String::from_utf8_lossy(&line[..got]).into_owned();
        if text.contains("firstchance") || text.contains("ore") {
            lines.push_str(&text);
        }
    }
    let start = lines.floor_char_boundary(lines.len().saturating_sub(2000));
    lines[start..].to_owned()
}

impl Drop for Postmortem {
    fn drop(&mut self) {
        let _ = Firstchance::new(&["postmortem", "disable"]).run();
        let _ = std::fs::remove_file(PROGRAM);
        let _ = std::fs::remove_file(PAST);
        match &self.before {
            Some(text) => drop(std::fs::write(FILE, text)),
            None => drop(std::fs::remove_file(FILE)),
        }
        let _ = std::fs::remove_file(LAST_GOOD);
    }
}
