//! Debian 13 in a folder, whose programs are newer than this system's: Wine 10 and gdb 16.

use std::path::PathBuf;

use anyhow::Result;

use crate::shell::{Cmd, root, target_dir};

/// Makes the folder, unless it is there. Needs root and Debian's packages.
pub(super) fn make() -> Result<()> {
    let make = scripts().join("make-debian13.sh");
    Cmd::new("sh").arg(make).arg(folder()).run()
}

/// Tells what `in-debian13.sh` must know to a program that runs it.
pub(super) fn about(command: Cmd) -> Cmd {
    command
        .env("DEBIAN13", folder())
        .env("SHARED_FOLDER", target_dir())
}

/// The script that runs a command in Debian 13.
pub(super) fn runner() -> PathBuf {
    scripts().join("in-debian13.sh")
}

/// The folder with the scripts for Wine and Debian 13.
pub(super) fn scripts() -> PathBuf {
    root().join("xtask").join("wine")
}

fn folder() -> PathBuf {
    target_dir().join("debian13")
}
