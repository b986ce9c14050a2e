//! ProcDump's `-i` and `-u`: become the just-in-time debugger of Windows, or the crash handler of
//! Linux, and undo that.

use super::{EnableArgs, disable, enable, expect_root, is_windows, windows::aedebug};
use crate::{
    procdump::Install,
    ui::{console, exit::Usage},
};
use std::{path::PathBuf, process::ExitCode};

/// Carries out `-i`.
pub(crate) fn install(install: &Install) -> anyhow::Result<ExitCode> {
    if is_windows() {
        return aedebug::install(install);
    }
    expect_root()?;
    let [kind] = install.kinds[..] else {
        let what = "-i takes one size of dump on Linux, where the kernel's handler writes one";
        return Err(Usage(what.to_owned()).into());
    };
    for (given, what) in [
        (
            install.timeout.is_some(),
            "-at means nothing with -i on Linux: nobody waits for a process that has crashed",
        ),
        (
            install.kill_after,
            "-k means nothing with -i on Linux: what has crashed ends",
        ),
    ] {
        if given {
            console::complain(&format!("firstchance: {what}"));
        }
    }
    let folder = install.folder.as_deref().unwrap_or(".");
    let args = EnableArgs::of(PathBuf::from(folder), kind, install.rule.compress);
    around(|| enable(&args))
}

/// Carries out `-u`.
pub(crate) fn uninstall() -> anyhow::Result<ExitCode> {
    if is_windows() {
        return aedebug::uninstall();
    }
    expect_root()?;
    around(|| disable(false))
}

/// Makes a change, and shows the core pattern before and after it.
fn around(change: impl FnOnce() -> anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    show("Before")?;
    let code = change()?;
    show("Now")?;
    Ok(code)
}

fn show(when: &str) -> anyhow::Result<()> {
    let pattern = platform::core_handler()?.pattern;
    Ok(console::print(&format!(
        "{when}: core_pattern = {}",
        console::plain(&pattern)
    ))?)
}
