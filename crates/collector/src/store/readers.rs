//! Which dumps of a folder a user may read who may not list the folder: for each such user there is
//! a file of names that is theirs to read.

use platform::{Error, OutFile, Result};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

fn list_of(folder: &Path, uid: u32) -> PathBuf {
    folder.join(format!(".readable-by-{uid}"))
}

/// Notes that a user may read a dump, and forgets those that are gone. Two at once would lose one:
/// the caller sees to that.
pub fn note_readable(dump: &Path, uid: u32) -> Result<()> {
    let folder = dump.parent().unwrap_or(Path::new("."));
    let path = list_of(folder, uid);
    let known = names(&path).unwrap_or_default().into_iter();
    let mut names: BTreeSet<String> = known.filter(|name| folder.join(name).is_file()).collect();
    let name = dump.file_name().and_then(|name| name.to_str());
    names.extend(name.map(str::to_owned));
    let text: String = names.iter().map(|name| format!("{name}\n")).collect();
    let failed = |e: io::Error| Error::of_file(&format!("writing {}", path.display()), &e);
    let file = OutFile::create(&path, true)?;
    file.write_at(0, text.as_bytes()).map_err(failed)?;
    file.set_len(text.len() as u64).map_err(failed)?;
    file.allow_reader(uid).map_err(failed)?;
    file.publish().map(drop)
}

/// The files of a folder that this program's user may read; where they may not list it, those that
/// were noted for them.
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

/// The names in a list, as far as they are plain.
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
