//! Programs under Wine: `cargo xtask test --only wine` builds them, makes Wine's prefix ready and
//! keeps its services running, once for all tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ::victim::Slot;

use crate::support::{Firstchance, Victim, target_dir, wait_until};

/// `firstchance.exe ARGS`.
pub(crate) fn firstchance(args: &[&str]) -> Firstchance {
    windows(&programs().join("firstchance.exe"), args)
}

/// Any Windows program.
pub(crate) fn windows(program: &Path, args: &[&str]) -> Firstchance {
    let starter = starter();
    let starter = starter.to_str().expect("a plain path");
    Firstchance::copy_by(&[starter], program).args(args)
}

/// A victim under Wine. Its pid is the one that Windows programs see.
pub(crate) fn victim(args: &[&str]) -> Victim {
    started(&programs().join("victim.exe"), args)
}

/// Another program that says `ready PID` as victims do.
pub(crate) fn started(program: &Path, args: &[&str]) -> Victim {
    let mut command = Command::new(starter());
    Victim::start_by(command.arg(program).args(args)).known_here_as_its_starter()
}

/// Waits until a victim that counts as fast as it can does not.
pub(crate) fn wait_until_it_stands(victim: &Victim) {
    let count = || victim.state.get(Slot::Counter);
    wait_until("every thread of the victim stands", || {
        let before = count();
        std::thread::sleep(Duration::from_millis(100));
        count() == before
    });
}

/// A copy of the victim's program under another name.
pub(crate) fn victim_copy(folder: &Path, name: &str) -> PathBuf {
    let copy = folder.join(name);
    std::fs::copy(programs().join("victim.exe"), &copy).expect("a copy");
    let shim = "bcryptprimitives.dll";
    std::fs::copy(programs().join(shim), folder.join(shim)).expect("a copy");
    copy
}

/// A path of ours as Wine's programs name it.
pub(crate) fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}

/// What starts Windows programs; the environment that it wants is there too.
fn starter() -> PathBuf {
    let starter = std::env::var_os("FIRSTCHANCE_WINE");
    let starter = starter.expect("no Wine is ready: run `cargo xtask test --only wine`");
    PathBuf::from(starter)
}

/// Where Cargo puts Windows programs.
pub(crate) fn programs() -> PathBuf {
    target_dir().join("x86_64-pc-windows-gnu").join("debug")
}
