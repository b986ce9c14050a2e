//! The suites of the crates without system calls, run as Windows programs under Wine.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::Options;
use crate::shell::{Cmd, root, target_dir, which};

/// The one Windows target.
pub(super) const TARGET: &str = "x86_64-pc-windows-gnu";

/// The crates whose suites run on every system.
const PURE: &[&str] = &["snapshot", "formats", "policy", "analysis"];

/// Builds and runs them.
pub(super) fn run(_: &Options) -> Result<()> {
    ensure!(which("wine").is_some(), "sudo apt-get install wine wine64");
    let folder = target_dir().join("wine");
    std::fs::create_dir_all(folder.join("prefix"))?;
    let shim = build_shim(&folder)?;
    let packages: Vec<String> = PURE.iter().map(|name| format!("-p {name}")).collect();
    let line = format!(
        "test --lib --tests --target {TARGET} {}",
        packages.join(" ")
    );
    // Between two suites the server would leave, and be met by the next one on its way out.
    in_wine(Cmd::new("wineserver --persistent=600"), &folder).succeeds();
    let outcome = in_wine(Cmd::cargo(&line), &folder)
        .env("WINE_SHIM", shim)
        .run();
    // The server of our own prefix only.
    in_wine(Cmd::new("wineserver --kill"), &folder).succeeds();
    outcome
}

/// The environment of a program that runs under Wine, in a prefix of our own.
fn in_wine(command: Cmd, folder: &Path) -> Cmd {
    let runner = root().join("xtask").join("wine").join("run.sh");
    command
        .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", runner)
        .env("WINEPREFIX", folder.join("prefix"))
        .env("WINEDEBUG", "-all")
        // No questions about Mono and Gecko, which are not needed.
        .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
}

/// The library that Rust's programs want and Wine 8 lacks.
fn build_shim(folder: &Path) -> Result<PathBuf> {
    let shim = folder.join("bcryptprimitives.dll");
    let source = root().join("xtask").join("wine").join("bcryptprimitives.c");
    Cmd::new("x86_64-w64-mingw32-gcc -O1 -Wall -Werror -shared -s -o")
        .arg(&shim)
        .arg(source)
        .arg("-ladvapi32")
        .run()
        .context("the shim for Wine")?;
    Ok(shim)
}
