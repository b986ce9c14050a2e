use crate::{Error, ErrorKind, Result, os};
use std::path::Path;

/// A file that decides what we do.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether it and its folder belong to the administrator alone: others cannot have written it.
    pub administrator: bool,
}

/// What is read of such a file at most.
pub(crate) const LARGEST: u64 = 1 << 20;

/// Reads a file that decides what we do; refuses one that everybody may write to.
pub fn read_trusted(path: &Path) -> Result<Trusted> {
    let failed = |e: &std::io::Error| Error::of_file(&format!("reading {}", path.display()), e);
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
