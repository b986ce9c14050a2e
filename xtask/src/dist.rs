//! `cargo xtask dist`: the program as it is shipped. It is stripped, and its debug information is a file beside it, which
//! debuggers and the program's own backtraces find by `.gnu_debuglink` (gdb, "Debugging Information in Separate Files").

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::shell::{Cmd, target_dir};

/// Builds the program, and writes it and its debug information into `target/dist/shipped`.
///
/// # Errors
/// If it cannot be built, or binutils are missing.
pub(crate) fn run() -> Result<()> {
    let program = build()?;
    println!("written: {} and {0}.debug", program.display());
    Ok(())
}

/// Builds the program, and checks that gdb finds its lines.
///
/// # Errors
/// If gdb does not find them.
pub(crate) fn check() -> Result<()> {
    let line = line_of(&build()?, "11firstchance4main")?;
    ensure!(line.contains("main.rs"), "gdb finds no line: {line}");
    println!("{line}");
    Ok(())
}

fn build() -> Result<PathBuf> {
    Cmd::cargo("build --quiet --profile dist -p firstchance").run()?;
    let folder = target_dir().join("dist");
    split(
        &folder.join("firstchance"),
        &folder.join("shipped").join("firstchance"),
    )
}

/// Writes a program without its symbols to `shipped`, and what it lacks to `shipped.debug`. Returns `shipped`.
fn split(built: &Path, shipped: &Path) -> Result<PathBuf> {
    let folder = shipped.parent().context("a folder")?;
    std::fs::create_dir_all(folder)?;
    let debug = PathBuf::from(format!("{}.debug", shipped.display()));
    Cmd::new("objcopy --only-keep-debug --compress-debug-sections=zlib")
        .arg(built)
        .arg(&debug)
        .read()?;
    Cmd::new("objcopy --strip-all")
        .arg(format!("--add-gnu-debuglink={}", debug.display()))
        .arg(built)
        .arg(shipped)
        .read()?;
    Ok(shipped.to_owned())
}

/// Where gdb says that a function begins, by the part of its symbol that names it: gdb does not know all names of Rust.
fn line_of(program: &Path, symbol: &str) -> Result<String> {
    let symbols = Cmd::new("nm").arg(format!("{}.debug", program.display()));
    let symbols = symbols.read()?;
    let line = symbols
        .lines()
        .find(|line| line.ends_with(symbol) || line.contains(&format!("{symbol}17h")));
    let address = line.and_then(|line| line.split(' ').next());
    let address = address.with_context(|| format!("there is no symbol {symbol}"))?;
    let gdb = Cmd::new("gdb -nx -batch -ex").arg(format!("info line *0x{address}"));
    gdb.arg(program).read()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::root;
    use std::process::Command;

    fn stderr_of(program: &Path) -> String {
        let mut command = Command::new(program);
        let output = command.env("RUST_BACKTRACE", "1").output();
        String::from_utf8_lossy(&output.expect("it runs").stderr).into_owned()
    }

    #[test]
    fn gdb_and_backtraces_find_the_lines_beside_the_program_alone() {
        let folder = target_dir().join(format!("dist-test-{}", std::process::id()));
        let (built, shipped) = (folder.join("built/panics"), folder.join("shipped/panics"));
        std::fs::create_dir_all(folder.join("built")).expect("a folder");
        Cmd::new("rustc -C debuginfo=line-tables-only -o")
            .arg(&built)
            .arg(root().join("crates/firstchance/tests/programs/panics_at_once.rs"))
            .read()
            .expect("a program");
        split(&built, &shipped).expect("two files");
        let size = |path: &Path| path.metadata().expect("a file").len();
        assert!(size(&shipped) < size(&built) / 2);
        // Nothing but what is beside it tells the lines.
        std::fs::remove_dir_all(folder.join("built")).expect("it was there");
        let line = "panics_at_once.rs:6:5\n   2:";
        assert!(
            stderr_of(&shipped).contains(line),
            "{}",
            stderr_of(&shipped)
        );
        let found = line_of(&shipped, "14panics_at_once5fails").expect("gdb");
        assert!(found.contains("panics_at_once.rs"), "{found}");
        std::fs::remove_file(folder.join("shipped/panics.debug")).expect("it was there");
        assert!(!stderr_of(&shipped).contains(line));
        std::fs::remove_dir_all(folder).expect("it was there");
    }
}
