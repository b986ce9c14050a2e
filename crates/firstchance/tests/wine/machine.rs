//! Programs under Wine, in a prefix of our own below the target folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::support::{Firstchance, Victim, judge, only_one, target_dir};

const TARGET: &str = "x86_64-pc-windows-gnu";

/// Runs a program with its output in files, and tells it when it is over: what Wine starts in the
/// background (its desktop) would keep our pipes open.
const QUIETLY: &str = r#"t=$(mktemp); "$@" >"$t" 2>"$t.2"; c=$?; cat "$t"; cat "$t.2" >&2; rm -f "$t" "$t.2"; exit $c"#;

/// `firstchance.exe ARGS`.
pub(crate) fn firstchance(args: &[&str]) -> Firstchance {
    started_by(&["sh", "-c", QUIETLY, "sh", "wine"], args)
}

/// The same as a process that can be sent signals; what it says is not to be waited for.
pub(crate) fn direct(args: &[&str]) -> Firstchance {
    started_by(&["wine"], args)
}

fn started_by(starter: &[&str], args: &[&str]) -> Firstchance {
    let program = programs().join("firstchance.exe");
    let plain = Firstchance::copy_by(starter, &program).args(args);
    environment()
        .iter()
        .fold(plain, |command, (name, value)| command.env(name, value))
}

/// A victim under Wine. Its pid is the one that Windows programs see.
pub(crate) fn victim(args: &[&str]) -> Victim {
    let mut command = Command::new("wine");
    command.arg(programs().join("victim.exe")).args(args);
    Victim::start_by(command.envs(environment()))
}

/// A path of ours as Wine's programs name it.
pub(crate) fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}

fn prefix() -> PathBuf {
    target_dir().join("wine").join("tests")
}

fn environment() -> Vec<(&'static str, String)> {
    vec![
        ("WINEPREFIX", prefix().display().to_string()),
        ("WINEDEBUG", "-all".to_owned()),
        // No questions about Mono and Gecko, which are not needed; no window.
        ("WINEDLLOVERRIDES", "mscoree,mshtml=".to_owned()),
        ("DISPLAY", String::new()),
    ]
}

/// The folder of the Windows programs, built where they are not fresh.
fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        judge("wine", "wine wine64");
        judge("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64");
        let folder = target_dir().join(TARGET).join("debug");
        let _lock = only_one("wine");
        build();
        build_shim(&folder);
        boot();
        folder
    })
}

fn build() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--target", TARGET, "--target-dir"]);
    cargo
        .arg(target_dir())
        .args(["-p", "firstchance", "-p", "victim"]);
    cargo.args(["--features", "firstchance/failpoints"]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(cargo.status().expect("cargo").success(), "{cargo:?}");
}

/// The library that Rust's programs want and Wine 8 lacks; see xtask.
fn build_shim(folder: &Path) {
    let shim = folder.join("bcryptprimitives.dll");
    if shim.exists() {
        return;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../xtask/wine/bcryptprimitives.c");
    let mut gcc = Command::new("x86_64-w64-mingw32-gcc");
    gcc.args(["-O1", "-shared", "-s", "-o"]).arg(&shim);
    gcc.arg(source).arg("-ladvapi32");
    assert!(gcc.status().expect("gcc").success(), "{gcc:?}");
}

/// Makes the prefix, and starts Wine's services away from our pipes, which they would keep open.
///
/// Debian's wineserver ends with its last program: it is told to stay for five minutes, so that not
/// every test has to start it and its services anew.
fn boot() {
    std::fs::create_dir_all(prefix()).expect("a folder under the target folder");
    let mut server = Command::new("wineserver");
    quietly(server.arg("--persistent=300"));
    quietly(Command::new("wine").args(["wineboot", "--init"]));
}

/// Runs it to its end. (A server that is there already says so, and that is well.)
fn quietly(command: &mut Command) {
    command.envs(environment()).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let status = command
        .status()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(status.code().is_some(), "{command:?}: {status}");
}
