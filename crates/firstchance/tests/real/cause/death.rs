//! Programs that die, the dumps that are taken of it, and what `inspect` says of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{
    Child, Core, Firstchance, Program, Running, Sysctl, compile, file_in, folder, judge,
};

/// A dump of a process that died, and what is said of it.
pub(super) struct Death {
    pub(super) exe: PathBuf,
    pub(super) dump: PathBuf,
    pub(super) json: Value,
    pub(super) text: String,
    _folder: tempfile::TempDir,
}

/// Who takes the dump.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    /// A watch of ours, with this action, into a file of this format.
    Watch(&'static str, &'static str),
    /// The kernel.
    Kernel,
    /// gdb.
    Gcore,
}

pub(super) const FULL: By = By::Watch("full dump", "core");
pub(super) const MINI: By = By::Watch("mini dump", "minidump");

impl Death {
    /// Lets a program die with these words, and reads the dump of it.
    pub(super) fn of(program: &Program, words: &[&str], by: By) -> Death {
        let exe = compile(program);
        let folder = folder();
        let dump = match by {
            By::Watch(action, format) => watched(
                &exe,
                words,
                &[action, "--format", format],
                file_in(&folder, "x"),
            ),
            By::Kernel => cored(&exe, words, folder.path()),
            By::Gcore => gcored(&exe, words, folder.path()),
        };
        Death::read(exe, dump, folder)
    }

    pub(super) fn read(exe: PathBuf, dump: PathBuf, folder: tempfile::TempDir) -> Death {
        let inspect = |options: &[&str]| {
            let inspect = Firstchance::new(&["inspect"]).args(options);
            inspect.arg(&dump).run_well().stdout
        };
        Death {
            json: serde_json::from_str(&inspect(&["--json"])).expect("JSON"),
            text: inspect(&[]),
            exe,
            dump,
            _folder: folder,
        }
    }

    pub(super) fn cause(&self) -> &Value {
        &self.json["cause"]
    }

    #[track_caller]
    pub(super) fn assert_kind(&self, kind: &str) {
        assert_eq!(self.cause()["kind"], kind, "{}", self.text);
        assert_eq!(self.json["verdict"]["kind"], "crash", "{}", self.text);
    }

    /// Asserts that the verdict, which is the first paragraph, has these words.
    #[track_caller]
    pub(super) fn assert_says(&self, words: &[&str]) {
        let verdict = self.verdict();
        for word in words {
            assert!(verdict.contains(word), "{word}: {}", self.text);
        }
    }

    pub(super) fn verdict(&self) -> String {
        let mut paragraphs = self.text.split("\n\n");
        let verdict = paragraphs.nth(1).unwrap_or_default();
        assert!(verdict.starts_with("Verdict"), "{}", self.text);
        verdict.to_owned()
    }

    pub(super) fn core(&self) -> Core {
        Core::new(&self.dump, &self.exe)
    }

    /// What gdb says for a command.
    pub(super) fn gdb(&self, command: &str) -> String {
        self.core().gdb(&["set disassembly-flavor intel", command])
    }

    /// The name of the function that did it.
    pub(super) fn function(&self) -> String {
        let thread = &self.json["threads"][0];
        assert_eq!(thread["id"], self.cause()["thread"], "it is not the first");
        let at = self.cause()["frame"].as_u64().expect("a frame") as usize;
        thread["frames"][at]["function"]
            .to_string()
            .replace('"', "")
    }
}

/// A dump that a watch takes.
pub(crate) fn watched(exe: &Path, words: &[&str], action: &[&str], dump: PathBuf) -> PathBuf {
    let mut child = Child::that_crashes(exe, words);
    child.lines_until("ready");
    let running = watch(&child, action, &dump);
    child.tell("go");
    child.wait();
    running.finish().assert_code(0);
    dump
}

/// Watches a process until it dies, and takes a dump of that.
pub(super) fn watch(child: &Child, action: &[&str], dump: &Path) -> Running {
    Firstchance::new(&["watch", "--json", &child.pid().to_string()])
        .args(&["--when", "unhandled exception", "--do"])
        .args(action)
        .arg("-o")
        .arg(dump)
        .spawn()
        .until_it_says("\"event\":\"armed\"")
}

/// The kernel's own core. Other tests install a handler of crashes, and wait meanwhile.
pub(crate) fn cored(exe: &Path, words: &[&str], folder: &Path) -> PathBuf {
    let _setting = Sysctl::hold("kernel/core_pattern");
    let pattern = folder.join("core.%p");
    std::fs::write(
        "/proc/sys/kernel/core_pattern",
        pattern.as_os_str().as_encoded_bytes(),
    )
    .expect("a setting of the kernel");
    let mut command = Command::new("prlimit");
    command
        .args(["--core=unlimited", "--stack=8388608"])
        .arg(exe)
        .args(words);
    command
        .env("GOTRACEBACK", "crash")
        .stderr(std::process::Stdio::null());
    let mut child = Child::start(&mut command);
    child.lines_until("ready");
    child.tell("go");
    child.wait();
    folder.join(format!("core.{}", child.pid()))
}

/// A core that gdb takes when the signal comes.
pub(super) fn gcored(exe: &Path, words: &[&str], folder: &Path) -> PathBuf {
    judge("gdb", "gdb");
    let (input, dump) = (folder.join("input"), folder.join("gcore"));
    std::fs::write(&input, "go\n").expect("a file");
    let run = format!("run {} < {} > /dev/null", words.join(" "), input.display());
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-q", "-iex", "set debuginfod enabled off"]);
    gdb.args([
        "-ex",
        &run,
        "-ex",
        &format!("generate-core-file {}", dump.display()),
    ]);
    let said = gdb.arg(exe).output().expect("gdb");
    assert!(dump.is_file(), "{}", String::from_utf8_lossy(&said.stdout));
    dump
}

/// The number that gdb printed.
pub(super) fn printed(text: &str) -> u64 {
    let mut values = text.lines().filter_map(|line| line.strip_prefix("$1 = "));
    let value = values.next().unwrap_or_else(|| panic!("{text}"));
    let words = value.trim_start_matches("(void *) ").split_whitespace();
    let word = words.take(1).collect::<String>();
    let number = match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => word.parse(),
    };
    number.unwrap_or_else(|_| panic!("no number: {text}"))
}

pub(super) fn number(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value}"));
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("hexadecimal digits")
}

/// The instruction as gdb has it, without its address and the blanks behind the mnemonic.
pub(super) fn instruction(gdb: &str) -> String {
    let line = gdb.lines().find(|line| line.starts_with("=> "));
    let line = line.unwrap_or_else(|| panic!("{gdb}"));
    let text = line.split_once(":\t").map_or("", |(_, text)| text);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}
