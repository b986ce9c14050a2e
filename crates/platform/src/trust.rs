//! Files whose content decides what firstchance does, such as rule files: whoever can write them
//! could have us dump any process.

use crate::{Error, ErrorKind, Result, os};
use std::path::Path;

/// A file that was read, and who can have written it.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    /// The content of the file.
    pub bytes: Vec<u8>,
    /// Whether only the administrator can have written it: the file and its folder belong to him.
    pub administrator: bool,
}

/// The largest size of such a file in bytes.
pub(crate) const LARGEST: u64 = 1 << 20;

/// Reads such a file.
///
/// # Errors
/// If everybody may write to it, if it is larger than 1 MiB, or if it cannot be read.
pub fn read_trusted(path: &Path) -> Result<Trusted> {
    let failed = |e: &std::io::Error| Error::of_access(&format!("reading {}", path.display()), e);
    let (file, world_writable) = os::read_trusted(path).map_err(|e| failed(&e))?;
    if world_writable {
        let what = format!("everybody may write to {}", path.display());
        return Err(Error::new(ErrorKind::NotPermitted, what)
            .advise("Rules decide what firstchance does: chmod o-w the file."));
    }
    if file.bytes.len() as u64 >= LARGEST {
        let what = format!("{} is larger than 1 MiB", path.display());
        return Err(Error::new(ErrorKind::Disk, what));
    }
    Ok(file)
}
