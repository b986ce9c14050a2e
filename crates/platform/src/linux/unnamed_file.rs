//! Files without a name.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// `/var/tmp` if that exists, because `/tmp` is often memory.
pub(crate) fn scratch_folder() -> PathBuf {
    let large = Path::new("/var/tmp");
    match large.is_dir() {
        true => large.to_owned(),
        false => std::env::temp_dir(),
    }
}

/// Makes a file that never has a name, so that nothing is left behind and nobody else can open it (open(2), `O_TMPFILE`
/// with `O_EXCL`). Also returns its folder.
pub(crate) fn unnamed_file() -> io::Result<(File, PathBuf)> {
    let make = |folder: PathBuf| {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(0o600)
            .custom_flags(libc::O_TMPFILE | libc::O_EXCL)
            .open(&folder)?;
        Ok((file, folder))
    };
    make(scratch_folder()).or_else(|_: io::Error| make("/tmp".into()))
}
