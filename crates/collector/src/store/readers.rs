//! Lists of dumps for users who may read some dumps in a folder but may not list the folder. Each
//! such user has a file `.readable-by-UID` in it, with the names of those dumps, that only they can
//! read.

use platform::{Error, Existing, OutFile, Result};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// The path of a user's list.
fn list_of(folder: &Path, uid: u32) -> PathBuf {
    folder.join(format!(".readable-by-{uid}"))
}

/// Adds a dump to the list of a user who may read it, and drops names of dumps that are gone. The
/// caller makes sure that nobody else does so at the same time, or one of the two names is lost.
///
/// # Errors
/// If the list cannot be written, or no access list can be set on it.
pub fn note_readable(dump: &Path, uid: u32) -> Result<()> {
    let folder = dump.parent().unwrap_or(Path::new("."));
    let path = list_of(folder, uid);
    let known = names(&path).unwrap_or_default().into_iter();
    let mut names: BTreeSet<String> = known.filter(|name| folder.join(name).is_file()).collect();
    let name = dump.file_name().and_then(|name| name.to_str());
    names.extend(name.map(str::to_owned));
    let text: String = names.iter().map(|name| format!("{name}\n")).collect();
    let failed = |e: io::Error| Error::of_file(&format!("writing {}", path.display()), &e);
    let file = OutFile::create(&path, Existing::Replace)?;
    file.write_at(0, text.as_bytes()).map_err(failed)?;
    file.set_len(text.len() as u64).map_err(failed)?;
    file.allow_reader(uid).map_err(failed)?;
    file.publish().map(drop)
}

/// The paths of the files in a folder. If the user of this program may not list the folder, those
/// in the user's list.
///
/// # Errors
/// If the folder cannot be listed and there is no list for the user.
pub(crate) fn paths_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let refused = match fs::read_dir(folder) {
        Ok(entries) => return Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) => error,
    };
    let uid = platform::own_user().filter(|_| refused.kind() == io::ErrorKind::PermissionDenied);
    let names = uid.and_then(|uid| names(&list_of(folder, uid)).ok());
    let names = names.ok_or(refused)?;
    Ok(names.iter().map(|name| folder.join(name)).collect())
}

/// The names in a list. Those that could lead out of the folder are left out.
fn names(list: &Path) -> io::Result<Vec<String>> {
    let text = fs::read_to_string(list)?;
    let is_plain = |name: &&str| !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    Ok(text.lines().filter(is_plain).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_not_followed() {
        let file = std::env::temp_dir().join(format!("readers-{}", std::process::id()));
        fs::write(&file, "a.core\n../b.core\n/etc/passwd\n\n..\nc.dmp\n").unwrap();
        let found = names(&file);
        fs::remove_file(&file).unwrap();
        assert_eq!(found.unwrap(), ["a.core", "c.dmp"]);
    }
}
