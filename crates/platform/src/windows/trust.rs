//! Files that decide what we do.

use super::files::open_shared;
use crate::Trusted;
use std::{
    io::{self, Read},
    path::Path,
};

/// Such a file, and whether everybody may write to it.
pub(crate) fn read_trusted(path: &Path) -> io::Result<(Trusted, bool)> {
    let file = open_shared(path)?;
    let mut bytes = Vec::new();
    file.take(crate::trust::LARGEST).read_to_end(&mut bytes)?;
    let trusted = Trusted {
        bytes,
        administrator: false,
    };
    Ok((trusted, false))
}
