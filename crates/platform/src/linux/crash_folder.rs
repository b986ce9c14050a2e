//! On Linux the folders for dumps are root's alone: nobody else writes into them.

use crate::{CrashFolder, Error, ErrorKind, Result};
use std::path::Path;

fn unsupported() -> Error {
    let what = "on Linux nobody is given rights in a folder for dumps: root alone writes there";
    Error::new(ErrorKind::Unsupported, what)
}

pub(crate) fn make(_folder: &Path, _accounts: &[String]) -> Result<()> {
    Err(unsupported())
}

pub(crate) fn inspect(_folder: &Path) -> Result<Option<CrashFolder>> {
    Err(unsupported())
}
