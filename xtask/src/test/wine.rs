//! Windows programs under Wine: the tests of the crates without system calls, and those of the
//! program itself with Windows victims.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::{FAILPOINTS, Options, debian13};
use crate::shell::{Cmd, Started, root, target_dir, which};

/// The Windows target.
pub(super) const TARGET: &str = "x86_64-pc-windows-gnu";

/// The crates whose tests run on every system, and `platform`.
const SUITES: &[&str] = &[
    "snapshot", "formats", "policy", "analysis", "pages", "platform",
];

/// Runs all of them under this system's Wine; with `--all` also the program under Wine 10.
pub(super) fn run(options: &Options) -> Result<()> {
    build()?;
    let here = Wine::of_this_system()?;
    suites(&here)?;
    here.tests()?;
    if options.all {
        Wine::of_debian13()?.tests()?;
    }
    Ok(())
}

/// Builds the programs that the tests run, and a library that Rust's programs need and Wine 8 does
/// not have.
pub(super) fn build() -> Result<()> {
    let programs = format!("build --target {TARGET} -p firstchance -p victim {FAILPOINTS}");
    Cmd::cargo(&programs).run()?;
    let source = root().join("xtask").join("wine").join("bcryptprimitives.c");
    Cmd::new("x86_64-w64-mingw32-gcc -O1 -Wall -Werror -shared -s -o")
        .arg(shim())
        .arg(source)
        .arg("-ladvapi32")
        .run()
        .context("the shim for Wine")
}

fn programs() -> PathBuf {
    target_dir().join(TARGET).join("debug")
}

fn shim() -> PathBuf {
    programs().join("bcryptprimitives.dll")
}

fn suites(wine: &Wine) -> Result<()> {
    let packages: Vec<String> = SUITES.iter().map(|name| format!("-p {name}")).collect();
    let packages = packages.join(" ");
    let line = format!("test --lib --tests --target {TARGET} {packages}");
    let runner = root().join("xtask").join("wine").join("run.sh");
    wine.about(Cmd::cargo(&line))
        .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", runner)
        .env("WINE_SHIM", shim())
        .run()
}

/// A Wine with a prefix of its own, which is set up once.
struct Wine {
    /// Starts a Windows program.
    program: PathBuf,
    prefix: PathBuf,
    /// A program that keeps Wine's services running. They would end with the last program, and each
    /// next program would wait for their start.
    keeper: Option<Started>,
}

impl Wine {
    fn of_this_system() -> Result<Wine> {
        let program = which("wine").context("sudo apt-get install wine wine64")?;
        Wine::ready(program, "wine")
    }

    /// Wine 10 of a Debian 13 in a folder.
    fn of_debian13() -> Result<Wine> {
        debian13::make()?;
        Wine::ready(debian13::scripts().join("wine10.sh"), "wine10")
    }

    fn ready(program: PathBuf, name: &str) -> Result<Wine> {
        let prefix = target_dir().join(name).join("prefix");
        std::fs::create_dir_all(&prefix)?;
        let mut wine = Wine {
            program,
            prefix,
            keeper: None,
        };
        if wine.prefix.join("system.reg").is_file() {
            // What a run that was killed left behind: its services would be there twice.
            wine.cmd("wineboot --kill").succeeds();
        }
        ensure!(wine.cmd("wineboot --init").succeeds(), "wineboot failed");
        // It leaves its services running, and the next program starts a second set: the service
        // manager that then answers knows of none (seen in new prefixes).
        wine.cmd("wineboot --kill").succeeds();
        let keeper = wine.cmd("").arg(programs().join("victim.exe")).arg("idle");
        wine.keeper = Some(keeper.start_until("ready ")?);
        Ok(wine)
    }

    /// Runs the tests of the program.
    fn tests(&self) -> Result<()> {
        ensure!(
            which("cargo-nextest").is_some(),
            "cargo install --locked cargo-nextest"
        );
        let line = "nextest run -p firstchance --test wine --no-fail-fast --failure-output final";
        self.about(Cmd::cargo(&format!("{line} {FAILPOINTS}")))
            .run()
    }

    fn cmd(&self, line: &str) -> Cmd {
        let words = line.split_whitespace();
        let command = Cmd::of(&self.program);
        words.fold(self.about(command), |command, word| command.arg(word))
    }

    /// Sets the environment for a program that runs under this Wine, or that starts one.
    fn about(&self, command: Cmd) -> Cmd {
        debian13::about(command)
            .env("FIRSTCHANCE_WINE", &self.program)
            .env("WINEPREFIX", &self.prefix)
            .env("WINEDEBUG", "-all")
            // No questions about Mono and Gecko, which are not needed.
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
    }
}

/// Ends the programs of this prefix, and no others.
impl Drop for Wine {
    fn drop(&mut self) {
        self.keeper = None;
        self.cmd("wineboot --kill").succeeds();
    }
}
