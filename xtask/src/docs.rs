//! `cargo xtask docs`: what is generated from the program's own description of itself.

use anyhow::Result;

use crate::shell::{Cmd, target_dir};

/// Lets the program write its man pages and completions into `target/docs`.
pub(crate) fn run() -> Result<()> {
    let folder = target_dir().join("docs");
    std::fs::create_dir_all(&folder)?;
    Cmd::cargo("run --quiet -p firstchance -- generate-docs")
        .arg(&folder)
        .run()?;
    println!("written to {}", folder.display());
    Ok(())
}
