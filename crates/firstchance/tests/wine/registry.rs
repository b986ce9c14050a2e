//! The registry of Wine's prefix, read and written by Wine's own `reg`, and a folder in the prefix
//! that only its owner can change.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::machine::{programs, windows, windows_path};
use crate::support::{Firstchance, Run, folder, only_one};

pub(crate) const REPORTING: &str = r"HKLM\SOFTWARE\Microsoft\Windows\Windows Error Reporting";
pub(crate) const AEDEBUG: &str = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\AeDebug";
pub(crate) const AEDEBUG_32: &str =
    r"HKLM\SOFTWARE\Wow6432Node\Microsoft\Windows NT\CurrentVersion\AeDebug";
const REPORTING_USER: &str = r"HKCU\SOFTWARE\Microsoft\Windows\Windows Error Reporting";
pub(crate) const POLICY: &str = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\Windows Error Reporting";
/// The settings of Wine for a program that is to see a server.
pub(crate) const ON_A_SERVER: &str = r"HKCU\Software\Wine\AppDefaults\on-a-server.exe";
/// The class of COM that starts Store applications. Wine looks for classes of the machine alone.
pub(crate) const ACTIVATION: &str =
    r"HKLM\Software\Classes\CLSID\{45BA127D-10A8-46EA-8AB7-56EA9078943C}";
const OURS: &str = r"HKLM\SOFTWARE\firstchance";
/// The values in a new prefix.
pub(crate) const WINES_DEBUGGER: &str = "winedbg --auto %ld %ld";

/// The registry's keys for crashes, as in a new prefix. They are reset again when this is dropped. One test at a time
/// has them.
pub(crate) struct Registry(#[expect(dead_code, reason = "held, not used")] File);

impl Registry {
    pub(crate) fn clean() -> Registry {
        let lock = only_one("wine-registry");
        clean();
        Registry(lock)
    }

    /// A value as `reg` prints it: `REG_DWORD 0x5`.
    pub(crate) fn value(&self, key: &str, name: &str) -> Option<String> {
        let run = reg(&["query", key, "/v", name]);
        let words = |line: &str| {
            let line = line.trim().strip_prefix(name)?.trim_start().to_owned();
            let (kind, data) = line.split_once(char::is_whitespace)?;
            Some(format!("{kind} {}", data.trim()))
        };
        run.stdout.lines().find_map(words)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        reg(&["query", key]).code == Some(0)
    }

    pub(crate) fn set(&self, key: &str, name: &str, kind: &str, data: &str) {
        let run = reg(&["add", key, "/v", name, "/t", kind, "/d", data, "/f"]);
        run.assert_code(0);
    }

    /// Sets the text of a key itself.
    pub(crate) fn set_default(&self, key: &str, data: &str) {
        reg(&["add", key, "/ve", "/d", data, "/f"]).assert_code(0);
    }

    /// Whether nothing of firstchance is left.
    pub(crate) fn assert_as_new(&self) {
        assert!(!self.has(OURS), "{:#?}", reg(&["query", OURS, "/s"]));
        let debugger = format!("REG_SZ {WINES_DEBUGGER}");
        assert_eq!(self.value(AEDEBUG, "Debugger"), Some(debugger));
        assert!(!self.has(&format!("{REPORTING}\\LocalDumps")));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        clean();
    }
}

/// Resets the registry in one call of `reg`, because each start of a program takes long.
fn clean() {
    let gone = [
        REPORTING,
        REPORTING_USER,
        POLICY,
        AEDEBUG_32,
        ON_A_SERVER,
        ACTIVATION,
        OURS,
    ];
    let gone = gone.map(|key| format!("[-{}]\r\n", whole(key))).concat();
    let values = format!("\"Debugger\"=\"{WINES_DEBUGGER}\"\r\n\"Auto\"=\"1\"\r\n");
    let text = format!("REGEDIT4\r\n\r\n{gone}[{}]\r\n{values}", whole(AEDEBUG));
    let folder = folder();
    let file = folder.path().join("clean.reg");
    std::fs::write(&file, text).expect("a file");
    reg(&["import", &windows_path(&file)]).assert_code(0);
}

/// The name of a key, as in the text of a registry file.
fn whole(key: &str) -> String {
    let key = key.replacen("HKLM", "HKEY_LOCAL_MACHINE", 1);
    key.replacen("HKCU", "HKEY_CURRENT_USER", 1)
}

fn reg(words: &[&str]) -> Run {
    windows(Path::new("reg"), words).run()
}

/// The drive C: of the prefix.
pub(crate) fn drive() -> PathBuf {
    let prefix = std::env::var_os("WINEPREFIX").expect("a prefix: run by `cargo xtask test`");
    Path::new(&prefix).join("drive_c")
}

/// A folder with the program, on the drive C: of the prefix. It is deleted after the test.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        let folder = tempfile::tempdir_in(drive()).expect("a folder in the prefix");
        for name in ["firstchance.exe", "bcryptprimitives.dll"] {
            let from = programs().join(name);
            std::fs::copy(from, folder.path().join(name)).expect("a copy");
        }
        Place(folder)
    }

    /// The path on Linux.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The path that programs under Wine use.
    pub(crate) fn windows_path(&self, name: &str) -> String {
        let folder = self.0.path().file_name().and_then(|name| name.to_str());
        format!(r"C:\{}\{name}", folder.expect("a plain name"))
    }

    /// The command line `firstchance.exe ARGS`, with the copy in this folder.
    pub(crate) fn firstchance(&self, args: &[&str]) -> Firstchance {
        windows(&self.path("firstchance.exe"), args)
    }

    /// Lets everyone change a file or folder here, or only its owner.
    pub(crate) fn open_to_all(&self, name: &str, open: bool) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(if open { 0o777 } else { 0o755 });
        std::fs::set_permissions(self.path(name), mode).expect("our own file");
    }
}
