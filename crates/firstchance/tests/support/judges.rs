//! Other tools that judge dumps: gdb, lldb, readelf, minidump-stackwalk. That our own reader understands our
//! own writer would prove nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Asserts that a tool is installed.
///
/// # Panics
/// If it is not, with the package to install: without it, the test would prove nothing.
pub(crate) fn judge(program: &str, package: &str) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(
        is_there,
        "{program} is missing: `sudo apt-get install {package}`, or `cargo xtask test`"
    );
}

fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    format!("{out}{err}")
}

/// A Python script for gdb that prints the word at each address, or `none`.
const READ_WORDS: &str = "
import gdb, struct
for address in [ADDRESSES]:
    try:
        data = bytes(gdb.selected_inferior().read_memory(address, 8))
        print('word %x' % struct.unpack('<Q', data))
    except gdb.MemoryError:
        print('word none')
";

/// A core file, opened in gdb.
pub(crate) struct Core {
    path: PathBuf,
    exe: Option<PathBuf>,
}

impl Core {
    /// A core, with the file of its program.
    pub(crate) fn new(path: &Path, exe: &Path) -> Core {
        assert!(path.is_file(), "there is no {}", path.display());
        Core {
            path: path.to_owned(),
            exe: Some(exe.to_owned()),
        }
    }

    /// A core without its program: gdb sees only what is in the core.
    pub(crate) fn alone(path: &Path) -> Core {
        assert!(path.is_file(), "there is no {}", path.display());
        Core {
            path: path.to_owned(),
            exe: None,
        }
    }

    /// The output of gdb for these commands.
    pub(crate) fn gdb(&self, commands: &[&str]) -> String {
        judge("gdb", "gdb");
        let mut gdb = Command::new("gdb");
        gdb.args(["-nx", "-batch", "-q", "-iex", "set debuginfod enabled off"]);
        gdb.args(["-iex", "set pagination off", "-iex", "set width 0"]);
        let commands = commands
            .iter()
            .flat_map(|command| ["-ex".to_owned(), (*command).to_owned()]);
        match &self.exe {
            Some(exe) => gdb.arg(exe).arg(&self.path),
            None => gdb.arg("-core").arg(&self.path),
        };
        output(gdb.args(commands))
    }

    /// The ids (of the kernel) of the threads that gdb sees.
    pub(crate) fn threads(&self) -> Vec<u32> {
        let ask = "python print('tids', *[t.ptid[1] or t.ptid[2] for t in gdb.selected_inferior().threads()])";
        let answer = self.gdb(&[ask]);
        let line = answer.lines().find_map(|line| line.strip_prefix("tids"));
        let words = line
            .unwrap_or_else(|| panic!("{answer}"))
            .split_whitespace();
        let mut tids: Vec<u32> = words.map(|word| word.parse().expect("a tid")).collect();
        tids.sort_unstable();
        tids
    }

    /// The 64-bit word at `address`, or `None` if gdb cannot read it.
    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        self.words(&[address])[0]
    }

    /// The words at several addresses, in one run of gdb.
    pub(crate) fn words(&self, addresses: &[u64]) -> Vec<Option<u64>> {
        let list: Vec<String> = addresses.iter().map(u64::to_string).collect();
        let script = READ_WORDS.replace("ADDRESSES", &list.join(", "));
        let folder = super::folder();
        let file = folder.path().join("words.py");
        std::fs::write(&file, script).expect("a script for gdb");
        let answer = self.gdb(&[&format!("source {}", file.display())]);
        let words = answer.lines().filter_map(|line| line.strip_prefix("word "));
        let words = words.map(|word| u64::from_str_radix(word, 16).ok());
        let words: Vec<Option<u64>> = words.collect();
        assert_eq!(words.len(), addresses.len(), "{answer}");
        words
    }

    /// The output of gdb for these commands in the thread with this id.
    pub(crate) fn in_thread(&self, tid: u32, commands: &[&str]) -> String {
        let choose = format!(
            "python [t for t in gdb.selected_inferior().threads() if (t.ptid[1] or t.ptid[2]) == {tid}][0].switch()"
        );
        let all = [choose.as_str()]
            .into_iter()
            .chain(commands.iter().copied());
        self.gdb(&all.collect::<Vec<_>>())
    }

    /// The values of general registers of a thread.
    pub(crate) fn registers(&self, tid: u32, names: &[&str]) -> Vec<u64> {
        let list = names.join("', '");
        let ask = format!(
            "python f = gdb.newest_frame(); [print('reg %x' % (int(f.read_register(r)) % 2**64)) for r in ['{list}']]"
        );
        let answer = self.in_thread(tid, &[&ask]);
        let values = answer.lines().filter_map(|line| line.strip_prefix("reg "));
        let values = values.filter_map(|value| u64::from_str_radix(value, 16).ok());
        let values: Vec<u64> = values.collect();
        assert_eq!(values.len(), names.len(), "{answer}");
        values
    }
}

/// The output of lldb for these commands, with a core or a minidump.
pub(crate) fn lldb(dump: &Path, exe: Option<&Path>, commands: &[&str]) -> String {
    judge("lldb", "lldb");
    let mut lldb = Command::new("lldb");
    lldb.args(["--batch", "--no-lldbinit", "--source-quietly"]);
    let settings = [
        "settings set auto-confirm true",
        "settings set symbols.enable-external-lookup false",
    ];
    for command in settings {
        lldb.args(["--one-line-before-file", command]);
    }
    lldb.args(exe.iter().flat_map(|exe| [Path::new("--file"), exe]));
    lldb.arg("--core").arg(dump);
    for command in commands {
        lldb.args(["--one-line", command]);
    }
    output(&mut lldb)
}

/// The report of minidump-stackwalk about a minidump.
pub(crate) fn stackwalk(dump: &Path) -> serde_json::Value {
    let own = super::target_dir().join("tools/bin/minidump-stackwalk");
    let program = if own.is_file() {
        own
    } else {
        PathBuf::from("minidump-stackwalk")
    };
    let mut command = Command::new(program);
    let output = command.arg("--json").arg(dump).output();
    let output = output.expect("minidump-stackwalk: `cargo install --locked minidump-stackwalk`");
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// The output of readelf for an ELF file.
pub(crate) fn readelf(options: &[&str], file: &Path) -> String {
    judge("readelf", "binutils");
    output(
        Command::new("readelf")
            .arg("--wide")
            .args(options)
            .arg(file)
            .env("LC_ALL", "C"),
    )
}
