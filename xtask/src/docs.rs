//! `cargo xtask docs`: man pages and completions, which the program generates itself.

use anyhow::Result;

use crate::shell::{Cmd, target_dir};

/// Writes man pages and completions into `target/docs`.
pub(crate) fn run() -> Result<()> {
    let folder = target_dir().join("docs");
    std::fs::create_dir_all(&folder)?;
    let generate =
        |what: &str| Cmd::cargo(&format!("run --quiet -p firstchance -- generate {what}"));
    generate("man").arg(&folder).run()?;
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let completions = generate(&format!("completions {shell}")).read()?;
        std::fs::write(folder.join(format!("firstchance.{shell}")), completions)?;
    }
    println!("written to {}", folder.display());
    Ok(())
}
