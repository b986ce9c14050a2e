//! Folders that stand for the root of the machine where a dump was taken.

use super::logged;
use analysis::FileBytes;
use std::path::{Path, PathBuf};

/// The folder of programs and libraries in what `dumps export` packs, and the file beside it by which it is known.
const PACKED: &str = "root";
const MANIFEST: &str = "manifest.json";

/// The folders, best first.
#[derive(Default)]
pub(super) struct Roots {
    folders: Vec<PathBuf>,
    has_sysroot: bool,
}

impl Roots {
    /// # Errors
    /// If `sysroot` is no folder.
    pub(super) fn new(dump: &Path, sysroot: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(folder) = sysroot.filter(|folder| !folder.is_dir()) {
            anyhow::bail!("{} is no folder: --sysroot needs one", folder.display());
        }
        let folder = dump.parent().unwrap_or(Path::new(""));
        let packed = Some(folder.join(PACKED)).filter(|_| folder.join(MANIFEST).is_file());
        let folders = sysroot.map(Path::to_owned).into_iter().chain(packed);
        Ok(Self {
            folders: folders.collect(),
            has_sysroot: sysroot.is_some(),
        })
    }

    /// Whether the files of this machine may be used.
    pub(super) fn use_this_machine(&self) -> bool {
        !self.has_sysroot
    }

    /// The files below these folders by a path that the dump has. Whatever it says, and whatever links are there, they are below.
    pub(super) fn below(&self, path: &str) -> impl Iterator<Item = FileBytes> {
        let path = relative(path);
        let folders = self.folders.iter();
        folders.filter_map(move |folder| {
            let path = Path::new(path.as_deref()?);
            logged(&folder.join(path), platform::open_file_below(folder, path))
        })
    }
}

/// The path below the root of a path from a dump. Returns `None` if it is not absolute, or has `..` in it.
pub(crate) fn relative(path: &str) -> Option<String> {
    let is_windows = path.as_bytes().get(1) == Some(&b':');
    let path = match is_windows {
        true => path.replace('\\', "/").replacen(':', "", 1),
        false => path.strip_prefix('/')?.to_owned(),
    };
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    let parts: Vec<&str> = parts.collect();
    let is_plain = !parts.is_empty() && !parts.contains(&"..");
    is_plain.then(|| parts.join("/"))
}
