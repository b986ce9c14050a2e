//! Programs under Wine: `cargo xtask test --only wine` builds them, prepares Wine's prefix and
//! keeps its services running, once for all tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ::victim::Slot;

use crate::support::{Firstchance, Victim, target_dir, wait_until};

/// The command line `firstchance.exe ARGS`.
pub(crate) fn firstchance(args: &[&str]) -> Firstchance {
    windows(&programs().join("firstchance.exe"), args)
}

/// A command that runs a Windows program under Wine.
pub(crate) fn windows(program: &Path, args: &[&str]) -> Firstchance {
    let starter = starter();
    let starter = starter.to_str().expect("a plain path");
    Firstchance::copy_by(&[starter], program).args(args)
}

/// Starts a victim under Wine. Its pid is the one that Windows programs see.
pub(crate) fn victim(args: &[&str]) -> Victim {
    started(&programs().join("victim.exe"), args)
}

/// Starts another program that prints `ready PID` as victims do.
pub(crate) fn started(program: &Path, args: &[&str]) -> Victim {
    Victim::start_by(&mut starting(program, args)).known_here_as_its_starter()
}

/// The command that starts a program.
pub(crate) fn starting(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(starter());
    command.arg(program).args(args);
    command
}

/// Waits until a victim that counts as fast as it can stops counting.
pub(crate) fn wait_until_it_stands(victim: &Victim) {
    let count = || victim.state.get(Slot::Counter);
    wait_until("every thread of the victim stands", || {
        let before = count();
        std::thread::sleep(Duration::from_millis(100));
        count() == before
    });
}

/// Makes a copy of the victim's program under another name.
pub(crate) fn victim_copy(folder: &Path, name: &str) -> PathBuf {
    let copy = folder.join(name);
    std::fs::copy(programs().join("victim.exe"), &copy).expect("a copy");
    let shim = "bcryptprimitives.dll";
    std::fs::copy(programs().join(shim), folder.join(shim)).expect("a copy");
    copy
}

/// A path of Linux, as programs under Wine write it.
pub(crate) fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}

/// A command that starts Wine, with its environment.
fn starter() -> PathBuf {
    let starter = std::env::var_os("FIRSTCHANCE_WINE");
    let starter = starter.expect("no Wine is ready: run `cargo xtask test --only wine`");
    PathBuf::from(starter)
}

/// The folder with the Windows programs that Cargo has built.
pub(crate) fn programs() -> PathBuf {
    target_dir().join("x86_64-pc-windows-gnu").join("debug")
}
