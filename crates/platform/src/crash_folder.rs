//! Folders into which Windows writes the dumps of processes that crash (LocalDumps; see
//! <https://learn.microsoft.com/windows/win32/wer/collecting-user-mode-dumps>).
//!
//! Windows writes as the account of the process that crashed, so that this account needs the right
//! to add files. Linux has no such folders: every function fails there.

use crate::{Guard, Result, expect_guarded, os};
use std::path::Path;

/// Who may do what in such a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrashFolder {
    /// Whether it is a link or junction to another folder, which somebody could change later.
    pub is_link: bool,
    /// Accounts other than administrators that may add files: only their processes leave dumps.
    pub adders: Vec<String>,
    /// Groups that include everybody, and that may read or change the files of others.
    pub open_to: Vec<String>,
}

/// Makes such a folder and the folders above it, or gives rights in a folder that exists.
///
/// Each of `accounts` may change everything in the folder. If there are no accounts, a new folder
/// lets everyone who is signed in add files and list names, while only a file's owner and
/// administrators can read, change or delete it; an existing folder stays as it is.
///
/// # Errors
/// If others than administrators could replace the folder, if there is no such account, or if the
/// folder cannot be made.
pub fn make_crash_folder(folder: &Path, accounts: &[String]) -> Result<()> {
    expect_guarded(folder, Guard::Shared)?;
    os::crash_folder::make(folder, accounts)
}

/// Returns who may do what in a folder; `None` if it does not exist.
///
/// # Errors
/// If the rights of the folder cannot be read.
pub fn crash_folder(folder: &Path) -> Result<Option<CrashFolder>> {
    os::crash_folder::inspect(folder)
}
