//! Folders into which crashes leave no dumps any more, because the settings were changed or removed. As long as they have
//! dumps from before, these are listed as any other.

use super::{Settings, is_windows};
use platform::{Result, Use};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The file with these folders.
const FILE: &str = "/var/lib/firstchance/folders.toml";

#[derive(Default, Serialize, Deserialize)]
struct Past {
    folders: Vec<PathBuf>,
}

/// All folders in which there may be dumps of crashes: those of the settings, and those before.
///
/// # Errors
/// If the settings cannot be read.
pub(crate) fn all_folders() -> Result<Vec<PathBuf>> {
    let mut folders = Settings::load()?.unwrap_or_default().folders();
    folders.extend(past());
    folders.sort();
    folders.dedup();
    Ok(folders)
}

/// The dumps of crashes that there are, counted for each folder: `3 dumps in /var/dumps`. Folders that this user may not
/// look into are left out.
pub(super) fn counted() -> Vec<String> {
    let folders = all_folders().unwrap_or_default();
    let counts = folders.iter().map(|folder| (count_in(folder), folder));
    let counts = counts.filter(|(count, _)| *count > 0);
    let told = counts.map(|(count, folder)| {
        let dumps = policy::print_count(count as u64, "dump");
        format!("{dumps} in {}", folder.display())
    });
    told.collect()
}

/// Remembers the folders of these settings, as far as they have dumps, and forgets those that have none any more.
pub(super) fn remember(settings: &Settings) {
    if is_windows() {
        return;
    }
    let mut folders = settings.folders();
    folders.extend(past());
    folders.sort();
    folders.dedup();
    folders.retain(|folder| count_in(folder) > 0);
    let text = toml::to_string(&Past { folders }).unwrap_or_default();
    // Without it the dumps are there all the same.
    if let Err(error) = platform::write_guarded(Path::new(FILE), text.as_bytes(), Use::Read) {
        log::debug!("the folders of dumps cannot be remembered: {error}");
    }
}

/// Those of before that still have dumps.
fn past() -> Vec<PathBuf> {
    let bytes = platform::read_guarded(Path::new(FILE)).ok().flatten();
    let text = String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default();
    let past: Past = toml::from_str(&text).unwrap_or_default();
    let folders = past.folders.into_iter();
    folders.filter(|folder| count_in(folder) > 0).collect()
}

fn count_in(folder: &Path) -> usize {
    collector::stored_dumps(folder).map_or(0, |dumps| dumps.len())
}
