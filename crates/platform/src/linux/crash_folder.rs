//! Folders for the dumps of crashes (see [`crate::CrashFolder`]). On Linux only root writes into
//! them, so there are no rights to give.

use crate::{CrashFolder, Error, ErrorKind, Result};
use std::path::Path;

fn unsupported() -> Error {
    let what = "Linux needs no rights in a folder for dumps: only root writes there";
    Error::new(ErrorKind::Unsupported, what)
}

pub(crate) fn make(_folder: &Path, _accounts: &[String]) -> Result<()> {
    Err(unsupported())
}

pub(crate) fn inspect(_folder: &Path) -> Result<Option<CrashFolder>> {
    Err(unsupported())
}
