//! The programs that can collect crashes. Each is set up for one crash, and the machine's settings
//! are restored afterwards.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::{dump::release, target::Running};
use crate::shell::{Cmd, tools_dir, which};

const PATTERN: &str = "/proc/sys/kernel/core_pattern";
const AT_ONCE: &str = "/proc/sys/kernel/core_pipe_limit";
/// The folder for cores: on the same disk as systemd-coredump's, and only for root.
const FOLDER: &str = "/var/lib/firstchance-bench";
const PROGRAM: &str = "/usr/libexec/firstchance-bench";
const SETTINGS: &str = "/etc/firstchance/postmortem.toml";
const SYSTEMDS: &str = "/var/lib/systemd/coredump";
const SOCKET: &str = "/run/systemd/coredump";
/// Another file that systemd-coredump reads beside its configuration.
const SYSTEMDS_CONFIG: &str = "/run/systemd/coredump.conf.d";

/// A program that collects crashes, or the kernel itself.
pub(super) struct Collector {
    pub(super) name: &'static str,
    /// Whether its file exists from the beginning and is complete only when the process has ended.
    pub(super) at_the_end: bool,
    /// The beginning of its processes' names; empty if it has none.
    process: &'static str,
    folder: &'static str,
    /// The beginning and the end of its files' names.
    file: (&'static str, &'static str),
    begin: fn() -> Result<Option<Running>>,
}

/// The collectors that this machine has.
///
/// # Errors
/// If firstchance's own settings would be overwritten, or the kernel's must not be written.
pub(super) fn all() -> Result<Vec<Collector>> {
    ensure!(
        !Path::new(SETTINGS).exists(),
        "postmortem dumps are set up on this machine: `firstchance postmortem disable` first"
    );
    let ours = |name, end, begin| Collector {
        name,
        at_the_end: false,
        process: "firstchance-ben",
        folder: FOLDER,
        file: ("victim", end),
        begin,
    };
    let systemd = |name, end, begin| Collector {
        name,
        at_the_end: false,
        process: "systemd-coredum",
        folder: SYSTEMDS,
        file: ("core.victim.", end),
        begin,
    };
    Ok(vec![
        ours("firstchance, full", ".core", full),
        ours("firstchance, mini", ".dmp", mini),
        Collector {
            name: "file of the kernel",
            at_the_end: true,
            process: "",
            folder: FOLDER,
            file: ("core.", ""),
            begin: kernel,
        },
        systemd("systemd-coredump", ".zst", compressing),
        systemd("systemd-coredump, `Compress=no`", "", plain),
    ])
}

impl Collector {
    /// Its files from earlier runs.
    pub(super) fn clear(&self) -> Result<()> {
        std::fs::create_dir_all(FOLDER)?;
        while let Some(file) = self.file() {
            std::fs::remove_file(file)?;
        }
        Ok(())
    }

    /// Makes the kernel start it for crashes, until the value is dropped.
    pub(super) fn start(&self) -> Result<Registered> {
        let mut registered = Registered::new()?;
        registered.helper = (self.begin)()?;
        Ok(registered)
    }

    /// Its file, once it has its final name.
    pub(super) fn file(&self) -> Option<PathBuf> {
        let (start, end) = self.file;
        let entries = std::fs::read_dir(self.folder).ok()?.flatten();
        let mut paths = entries.map(|entry| entry.path());
        paths.find(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(start) && name.ends_with(end))
        })
    }

    /// The sum of a figure over all its processes.
    pub(super) fn memory(&self, of: fn(u32) -> u64) -> u64 {
        if self.process.is_empty() {
            return 0;
        }
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_its = |pid: &u32| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
            name.is_ok_and(|name| name.starts_with(self.process))
        };
        pids.filter(is_its).map(of).sum()
    }
}

/// The kernel's settings. They are restored when this is dropped, and also when this program is
/// killed: a process of its own waits for its end.
pub(super) struct Registered {
    keeper: Child,
    helper: Option<Running>,
}

/// The script that restores the settings; its input ends when this program does.
const KEEP: &str = r#"cat > /dev/null
    printf %s "$1" > /proc/sys/kernel/core_pattern
    printf %s "$2" > /proc/sys/kernel/core_pipe_limit"#;

impl Registered {
    fn new() -> Result<Registered> {
        // In a session of its own, where Ctrl-C does not reach it.
        let mut keeper = Command::new("setsid");
        keeper.args(["sh", "-c", KEEP, "keeper"]);
        for setting in [PATTERN, AT_ONCE] {
            keeper.arg(std::fs::read_to_string(setting)?.trim_end());
        }
        Ok(Registered {
            keeper: keeper.stdin(Stdio::piped()).spawn()?,
            helper: None,
        })
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if Path::new(SETTINGS).exists() {
            let _ = firstchance(&["postmortem", "remove", "victim"]);
            let _ = firstchance(&["postmortem", "disable"]);
        }
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        if self.helper.take().is_some() {
            let _ = std::fs::remove_file(SOCKET);
        }
        let _ = std::fs::remove_dir_all(SYSTEMDS_CONFIG);
        let _ = std::fs::remove_dir_all(FOLDER);
    }
}

fn register(at_once: u32, pattern: &str) -> Result<()> {
    std::fs::write(AT_ONCE, at_once.to_string()).context("core_pipe_limit: root is needed")?;
    std::fs::write(PATTERN, pattern).context("core_pattern: root is needed")
}

fn firstchance(words: &[&str]) -> Result<()> {
    let command = Cmd::of(release("firstchance"));
    let command = words
        .iter()
        .fold(command, |command, word| command.arg(word));
    command.read().map(drop)
}

fn ours(kind: &str) -> Result<Option<Running>> {
    let enable = [
        "postmortem",
        "enable",
        "--only-listed",
        "--program",
        PROGRAM,
        "--folder",
        FOLDER,
        "--repeat-window",
        "0s",
        "--force",
    ];
    firstchance(&enable)?;
    firstchance(&["postmortem", "set", "victim", "--type", kind])?;
    Ok(None)
}

fn full() -> Result<Option<Running>> {
    ours("full")
}

fn mini() -> Result<Option<Running>> {
    ours("mini")
}

fn kernel() -> Result<Option<Running>> {
    register(0, &format!("{FOLDER}/core.%p"))?;
    Ok(None)
}

fn compressing() -> Result<Option<Running>> {
    systemd("")
}

fn plain() -> Result<Option<Running>> {
    systemd("Compress=no")
}

/// The kernel's setting as Debian's package makes it.
fn systemd(setting: &str) -> Result<Option<Running>> {
    let program = systemd_coredump()?;
    std::fs::create_dir_all(SYSTEMDS_CONFIG)?;
    let config = Path::new(SYSTEMDS_CONFIG).join("bench.conf");
    std::fs::write(config, format!("[Coredump]\n{setting}\n"))?;
    std::fs::create_dir_all(SYSTEMDS)?;
    let helper = match Path::new(SOCKET).exists() {
        true => None,
        false => Some(activator(&program)?),
    };
    let words = "%P %u %g %s %t 9223372036854775808 %h %d";
    register(16, &format!("|{} {words}", program.display()))?;
    Ok(helper)
}

/// Does systemd's part: listens, and starts the program for each core.
fn activator(program: &Path) -> Result<Running> {
    let mut command = Command::new("systemd-socket-activate");
    command.args(["--accept", "--seqpacket", "--listen", SOCKET]);
    let quiet = command
        .arg(program)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let running = Running(
        quiet
            .stderr(Stdio::null())
            .spawn()
            .context("systemd's own activator")?,
    );
    while !Path::new(SOCKET).exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Ok(running)
}

/// The path of the installed program, or of one that is unpacked and not installed: the installed
/// package would register itself at the next boot.
fn systemd_coredump() -> Result<PathBuf> {
    let program = Path::new("/lib/systemd/systemd-coredump");
    if program.exists() {
        return Ok(program.to_owned());
    }
    let folder = tools_dir().join("systemd-coredump");
    let unpacked = folder.join("root/lib/systemd/systemd-coredump");
    if !unpacked.exists() {
        ensure!(
            which("apt-get").is_some(),
            "systemd-coredump is missing: install it"
        );
        std::fs::create_dir_all(&folder)?;
        let script = "cd \"$0\" && apt-get download systemd-coredump && dpkg -x *.deb root";
        Cmd::new("sh -c").arg(script).arg(&folder).read()?;
    }
    Ok(unpacked)
}
