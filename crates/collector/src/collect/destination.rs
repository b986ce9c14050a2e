//! Where dumps are written to.

use std::{
    fmt::{Display, Formatter},
    path::{Path, PathBuf},
};

/// Where a dump goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Into this folder, under the default name.
    Folder(PathBuf),
    /// To this file; tokens in its last component are replaced.
    File(PathBuf),
    /// To standard output.
    Stdout,
}

impl Destination {
    /// Reads what a user wrote: `-` is standard output, a text that ends with a slash or names an
    /// existing folder is a folder, everything else is a file.
    pub fn parse(text: &str) -> Self {
        let path = Path::new(text);
        match text {
            "-" => Destination::Stdout,
            _ if text.ends_with(std::path::is_separator) || path.is_dir() => {
                Destination::Folder(path.to_owned())
            }
            _ => Destination::File(path.to_owned()),
        }
    }
}

impl Display for Destination {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Destination::Folder(folder) => write!(f, "into {}", folder.display()),
            Destination::File(path) => write!(f, "to {}", path.display()),
            Destination::Stdout => f.write_str("to standard output"),
        }
    }
}

/// The folder that a destination writes to. Returns `None` for standard output.
pub fn output_folder(destination: &Destination) -> Option<PathBuf> {
    match destination {
        Destination::Folder(folder) => Some(folder.clone()),
        Destination::File(path) => match path.parent() {
            Some(parent) if parent != Path::new("") => Some(parent.to_owned()),
            _ => Some(PathBuf::from(".")),
        },
        Destination::Stdout => None,
    }
}
