//! The stages in their order. Fast ones come first. The tests on real processes come last, so that
//! their failures are at the end of the log.

use anyhow::{Result, ensure};

use super::{FAILPOINTS, Options, Stage, debian13, wine};
use crate::shell::{Cmd, in_ci, target_dir, which};
use crate::{dist, tidy, tools};

/// All stages.
#[rustfmt::skip]
pub(super) const STAGES: &[Stage] = &[
    Stage { name: "fmt", run: fmt },
    Stage { name: "tidy", run: |_| tidy::run() },
    Stage { name: "clippy", run: clippy },
    Stage { name: "doc", run: doc },
    Stage { name: "deny", run: deny },
    Stage { name: "windows", run: windows },
    Stage { name: "aarch64", run: aarch64 },
    Stage { name: "doctest", run: doctest },
    Stage { name: "wine", run: wine::run },
    Stage { name: "fuzz", run: fuzz },
    Stage { name: "test", run: test },
];

/// Stages that run only where they are named: each takes as long as several others. (That `dist` keeps lines findable is also
/// tested by `xtask`'s own test, on a small program.)
#[rustfmt::skip]
pub(super) const ON_DEMAND: &[Stage] = &[
    Stage { name: "attacks", run: attacks },
    Stage { name: "dist", run: |_| dist::check() },
];

fn fmt(_: &Options) -> Result<()> {
    Cmd::cargo("fmt --all -- --check").run()
}

fn clippy(_: &Options) -> Result<()> {
    Cmd::cargo(&format!(
        "clippy --workspace --all-targets {FAILPOINTS} -- -D warnings"
    ))
    .run()
}

fn doc(_: &Options) -> Result<()> {
    Cmd::cargo("doc --workspace --no-deps --document-private-items")
        .env(
            "RUSTDOCFLAGS",
            "-D warnings -A rustdoc::private_intra_doc_links",
        )
        .run()
}

/// Licences, bans and sources. Advisories are not checked: that needs a database from the network.
fn deny(_: &Options) -> Result<()> {
    ensure!(
        which("cargo-deny").is_some(),
        "cargo install --locked cargo-deny"
    );
    println!("advisories: not checked, as their database may be out of reach here");
    println!("            (`cargo deny check advisories` does it where there is a network)");
    Cmd::cargo("fetch --quiet --locked").run()?;
    Cmd::cargo("deny --offline check licenses bans sources").run()
}

fn test(options: &Options) -> Result<()> {
    ensure!(
        which("cargo-nextest").is_some(),
        "cargo install --locked cargo-nextest"
    );
    let line = "nextest run --workspace --no-fail-fast --failure-output final";
    // Those of `wine` are the stage of that name.
    let tests = Cmd::cargo(&format!("{line} {FAILPOINTS}"))
        .arg("-E")
        .arg("not binary(wine)");
    if !options.all {
        return tests.env("FIRSTCHANCE_SLOW_TESTS", "").run();
    }
    debian13::make()?;
    debian13::about(tests)
        .env("FIRSTCHANCE_SLOW_TESTS", "1")
        .env("FIRSTCHANCE_IN_DEBIAN13", debian13::runner())
        .run()
}

/// Attackers beside root's watch, dumps and crash handler, for five minutes.
fn attacks(_: &Options) -> Result<()> {
    Cmd::cargo(&format!(
        "nextest run -p firstchance --no-fail-fast {FAILPOINTS}"
    ))
    .arg("-E")
    .arg("binary(real) and (test(attackers_) or test(/n(20|3[1-9]|4[0-2])_/))")
    .env("FIRSTCHANCE_ATTACK_SECONDS", "300")
    .arg("--profile")
    .arg("attacks")
    .run()
}

fn doctest(_: &Options) -> Result<()> {
    Cmd::cargo(&format!("test --workspace --doc {FAILPOINTS}")).run()
}

/// Everything for Windows: the lints of its own code, and programs that link.
fn windows(_: &Options) -> Result<()> {
    let target = format!("--workspace --target {}", wine::TARGET);
    Cmd::cargo(&format!("clippy {target} --all-targets -- -D warnings")).run()?;
    Cmd::cargo(&format!("build {target}")).run()?;
    wine::build()
}

fn aarch64(_: &Options) -> Result<()> {
    Cmd::cargo("check --workspace --target aarch64-unknown-linux-gnu").run()
}

/// A short run of every fuzz target: enough to see that it runs and finds nothing at once.
fn fuzz(options: &Options) -> Result<()> {
    ensure!(
        tools::has_nightly(),
        "rustup toolchain install nightly --profile minimal"
    );
    ensure!(
        which("cargo-fuzz").is_some(),
        "cargo install --locked cargo-fuzz"
    );
    if !tools::has_fuzz_targets() {
        ensure!(!in_ci(), "there is no folder fuzz/");
        println!("there is no folder fuzz/ yet");
        return Ok(());
    }
    let seconds = if options.all { 120 } else { 15 };
    let targets = Cmd::cargo("+nightly fuzz list").read()?;
    targets
        .lines()
        .try_for_each(|target| fuzz_one(target, seconds))
}

fn fuzz_one(target: &str, seconds: u32) -> Result<()> {
    Cmd::cargo(&format!("+nightly fuzz run {target} --target-dir"))
        .arg(target_dir().join("fuzz"))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg("-print_final_stats=1")
        .run_quietly("stat::number_of_executed_units")
}
