//! Files and folders that only root can change.
//!
//! The settings for crashes decide what a program does as root, so nobody else may be able to
//! change them, also not by replacing a folder above them.

use crate::{Error, ErrorKind, Guard, Result, Use};
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// See [`crate::expect_guarded`].
pub(crate) fn expect_guarded(path: &Path, guard: Guard) -> Result<()> {
    if !path.is_absolute() {
        let what = format!("{} is no absolute path", path.display());
        return Err(Error::new(ErrorKind::NotPermitted, what));
    }
    for part in path.ancestors() {
        match fs::symlink_metadata(part) {
            Ok(found) => expect_guarded_part(part, &found, guard == Guard::Shared && part != path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Error::of_access(
                    &format!("looking at {}", part.display()),
                    &error,
                ));
            }
        }
    }
    Ok(())
}

/// Checks one part of a path. A link is followed by checking where it leads: whoever can write
/// there decides too.
fn expect_guarded_part(part: &Path, found: &fs::Metadata, shared: bool) -> Result<()> {
    let refuse = |why: &str| {
        let what = format!("{} {why}", part.display());
        Err(Error::new(ErrorKind::NotPermitted, what).advise(
            "What decides about crashes must belong to root alone, with every folder above it.",
        ))
    };
    let mode = found.mode();
    if found.uid() != 0 {
        return refuse(&format!("belongs to user {}", found.uid()));
    }
    if found.file_type().is_symlink() {
        let real = fs::canonicalize(part);
        let real =
            real.map_err(|e| Error::of_access(&format!("following {}", part.display()), &e))?;
        return expect_guarded(&real, if shared { Guard::Shared } else { Guard::Strict });
    }
    let sticky = shared && mode & libc::S_ISVTX != 0;
    if mode & 0o022 != 0 && !sticky {
        return refuse("can be written to by others");
    }
    Ok(())
}

/// Writes a file under another name beside it, and renames it when it is complete.
pub(crate) fn replace_file(path: &Path, bytes: &[u8], usage: Use) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidFilename)?;
    make_folders(folder, 0o755)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = folder.join(name);
    let _ = fs::remove_file(&new);
    let mode = match usage {
        Use::Read => 0o644,
        Use::Run => 0o755,
        Use::Secret => 0o600,
    };
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&new)?;
    file.write_all(bytes)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, path)
}

fn make_folders(folder: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(folder)
}

/// Makes a folder that everybody can pass through, and nobody but root list.
pub(crate) fn make_passage(folder: &Path) -> io::Result<()> {
    make_folders(folder, 0o711)?;
    let mode = fs::metadata(folder)?.mode();
    fs::set_permissions(folder, fs::Permissions::from_mode(mode & 0o7777 | 0o011))
}

/// Makes a folder that only root can enter. Missing folders above it can be listed by everybody.
pub(crate) fn make_store(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folders(parent, 0o755)?;
    }
    make_folders(folder, 0o700)
}
