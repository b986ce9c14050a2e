//! Checking that nobody but administrators can change a path, or replace a folder above it: such
//! paths decide what we do, or where dumps go.

use super::{
    image_files::is_local,
    security,
    sys::{check, raw, wine_version},
    trust::{CHANGES, Protection, is_administrator, open_itself, protection},
};
use crate::{Error, ErrorKind, Guard, Result};
use std::{
    io,
    os::windows::io::OwnedHandle,
    path::{Path, PathBuf},
};
use windows_sys::Win32::{
    Foundation::GENERIC_ALL,
    Storage::FileSystem::{
        BY_HANDLE_FILE_INFORMATION, DELETE, FILE_ATTRIBUTE_REPARSE_POINT, FILE_DELETE_CHILD,
        FILE_READ_ATTRIBUTES, GetFileInformationByHandle, READ_CONTROL, WRITE_DAC, WRITE_OWNER,
    },
};

/// The rights by which a folder, or what is in it, can be replaced.
const REPLACES: u32 = DELETE | FILE_DELETE_CHILD | WRITE_DAC | WRITE_OWNER | GENERIC_ALL;
/// The rights by which others can be given rights.
const GIVES: u32 = WRITE_DAC | WRITE_OWNER | GENERIC_ALL;

/// Checks the path and every folder above it. Parts that do not exist yet are not checked.
///
/// # Errors
/// If a part can be changed by others, is a link, or cannot be checked.
pub(crate) fn expect_guarded(path: &Path, guard: Guard) -> Result<()> {
    let whole = std::path::absolute(path);
    let path = whole.map_err(|e| Error::of_file(&format!("looking at {}", path.display()), &e))?;
    if guard == Guard::Strict && !path.to_str().is_some_and(is_local) {
        return Err(unsafe_path(&path, "it is not on a drive of this machine"));
    }
    for (depth, part) in path.ancestors().enumerate() {
        match open_itself(part, READ_CONTROL | FILE_READ_ATTRIBUTES) {
            Ok(handle) => {
                let dangers = dangers(part, depth, guard);
                expect_part(&path, part, &handle, dangers, guard)?;
            }
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(unseen(part, &error)),
        }
    }
    Ok(())
}

/// Returns the rights that strangers must not have on a part: the path itself (depth 0), the folder
/// that it is in (1), or a folder further up. Whoever can add files beside a program decides which
/// libraries it finds; in a folder for dumps others are meant to add files. The root of a drive
/// cannot be deleted, although everybody has the right to on drives other than that of Windows.
fn dangers(part: &Path, depth: usize, guard: Guard) -> u32 {
    let dangers = match (depth, guard) {
        (0, Guard::Strict) => CHANGES,
        (1, Guard::Strict) => CHANGES | REPLACES,
        (0, Guard::Shared) => GIVES,
        _ => REPLACES,
    };
    match part.parent() {
        Some(_) => dangers,
        None => dangers & !DELETE,
    }
}

fn expect_part(
    path: &Path,
    part: &Path,
    handle: &OwnedHandle,
    dangers: u32,
    guard: Guard,
) -> Result<()> {
    let part_is = part.display();
    if is_link(handle).map_err(|e| unseen(part, &e))? {
        return Err(unsafe_path(path, &format!("{part_is} is a link")));
    }
    let found = protection(raw(handle)).map_err(|e| unseen(part, &e))?;
    match stranger(&found, dangers, guard) {
        Some(sid) => {
            let who = security::name_of(sid);
            Err(unsafe_path(path, &format!("{who} can change {part_is}")))
        }
        None => Ok(()),
    }
}

fn unsafe_path(path: &Path, why: &str) -> Error {
    let what = format!("{} can be changed by others: {why}", path.display());
    let error = Error::new(ErrorKind::NotPermitted, what);
    error.advise("Put it where only administrators may write, such as Program Files.")
}

/// Returns the SID of a stranger who has one of these rights, or who is the owner and can take them
/// all. Our own account is trusted with a folder of its own, but not with a program, which what it
/// runs without an administrator's rights could change. (Wine has only one account.)
fn stranger(found: &Protection, dangers: u32, guard: Guard) -> Option<&str> {
    let own = security::own_account().unwrap_or_default().sid;
    let trusts_own = guard == Guard::Shared || wine_version().is_some();
    let is_trusted = |sid: &str| is_administrator(sid) || trusts_own && sid == own;
    let mut who = found.who_may(dangers).chain([found.owner.as_str()]);
    who.find(|sid| !is_trusted(sid))
}

/// Returns whether it is a link to another file or folder.
pub(crate) fn is_link(handle: &OwnedHandle) -> io::Result<bool> {
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: an open file, and a live local for the answer.
    check(unsafe { GetFileInformationByHandle(raw(handle), &raw mut found) })?;
    Ok(found.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT != 0)
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

fn unseen(part: &Path, error: &io::Error) -> Error {
    Error::of_file(
        &format!("looking at who may change {}", part.display()),
        error,
    )
}

/// Returns the folders that are missing on the way to `folder`, including itself, the outermost
/// first.
pub(crate) fn missing(folder: &Path) -> Vec<PathBuf> {
    let is_there = |part: &&Path| part.symlink_metadata().is_ok();
    let parts = folder.ancestors().take_while(|part| !is_there(part));
    let mut missing: Vec<PathBuf> = parts.map(Path::to_owned).collect();
    missing.reverse();
    missing
}
