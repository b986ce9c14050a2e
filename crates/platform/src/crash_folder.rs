//! Folders into which the system writes the dumps of whatever crashes, as the account that it
//! crashed as (LocalDumps of Windows).

use crate::{Guard, Result, expect_guarded, os};
use std::path::Path;

/// Who may do what in such a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrashFolder {
    /// It stands for another folder, which may be changed behind our back.
    pub is_link: bool,
    /// Accounts beside administrators that can add files: these leave dumps.
    pub adders: Vec<String>,
    /// Accounts that mean everybody and can read or change what others put there.
    pub open_to: Vec<String>,
}

/// Makes such a folder, with the folders above it, or gives rights in one that is there.
///
/// Each of `accounts` may change all that lies in it. Where none is given, a folder that is made
/// now lets everyone who is signed in add files and see names, and only the owner of a file and
/// administrators read, change or delete it; a folder that is there stays as it is.
pub fn make_crash_folder(folder: &Path, accounts: &[String]) -> Result<()> {
    expect_guarded(folder, Guard::Shared)?;
    os::crash_folder::make(folder, accounts)
}

/// Looks at such a folder; `None` where there is none.
pub fn crash_folder(folder: &Path) -> Result<Option<CrashFolder>> {
    os::crash_folder::inspect(folder)
}
