//! `firstchance dumps prune`: deletes the dumps that are beyond the limits of their folders.

use crate::{postmortem::Settings, ui::console};
use collector::Pruned;
use policy::Retention;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Brings folders within their limits. Fails if a dump that is beyond them cannot be deleted, once all folders were looked
/// at.
pub(super) fn prune(folders: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let settings = Settings::load()?.unwrap_or_default();
    let (mut deleted, mut failed) = (0, None);
    for folder in folders {
        let limits = settings.limits_of(folder)?;
        if limits.is_empty() {
            let folder = console::plain(&folder.display().to_string());
            console::print(&format!("No limits are set for {folder}"))?;
        }
        for keep in limits {
            match prune_one(folder, &keep) {
                Ok(count) => deleted += count,
                Err(error) => failed = Some(error),
            }
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    if deleted == 0 {
        console::print("Nothing to delete")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Brings a folder within one of its limits, and tells what was deleted. Returns how many dumps these are.
fn prune_one(folder: &Path, keep: &Retention) -> anyhow::Result<usize> {
    let shown = |path: &Path| console::plain(&path.display().to_string());
    let Pruned { deleted, failed } = collector::keep_within(folder, keep)?;
    for path in &deleted {
        console::print(&format!("Deleted: {}", shown(path)))?;
    }
    match failed.first() {
        Some((path, error)) => {
            let what = format!("deleting {}", shown(path));
            Err(platform::Error::of_access(&what, error).into())
        }
        None => Ok(deleted.len()),
    }
}
