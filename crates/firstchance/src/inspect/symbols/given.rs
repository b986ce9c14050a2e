//! Files and folders that `--symbols` names.

use super::{file_name, logged};
use analysis::{DebugFile, FileBytes};
use formats::image;
use snapshot::Module;
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// What `--symbols` names, in its order.
#[derive(Default)]
pub(super) struct Given {
    folders: Vec<PathBuf>,
    files: Vec<File>,
}

/// A file that is named itself.
struct File {
    path: PathBuf,
    content: FileBytes,
    /// Whether it is that of some module whose frames were looked at.
    is_used: Cell<bool>,
}

impl Given {
    /// # Errors
    /// If one of them cannot be read.
    pub(super) fn new(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut given = Self::default();
        for path in paths {
            if path.is_dir() {
                given.folders.push(path.clone());
                continue;
            }
            let content = platform::open_file(path);
            let content = content.map_err(|error| {
                anyhow::anyhow!("{} of --symbols cannot be read: {error}", path.display())
            })?;
            given.files.push(File {
                path: path.clone(),
                content,
                is_used: Cell::new(false),
            });
        }
        Ok(given)
    }

    /// Files that may be that of a module: of its name, or of its build-id.
    pub(super) fn images<'a>(&'a self, module: &'a Module) -> impl Iterator<Item = FileBytes> + 'a {
        let mut names = plain(module.name());
        if let Some(id) = text(&module.build_id) {
            names.push(format!("{id}/executable"));
        }
        let is_it = |file: &FileBytes| {
            let found = image::of_file((**file).as_ref());
            found.is_some_and(|found| match module.timestamp {
                0 => !found.build_id.is_empty() && found.build_id == module.build_id,
                loaded => loaded == found.timestamp,
            })
        };
        self.named(is_it).chain(self.find(names))
    }

    /// Files that may have the debug information of an image: by build-id as gdb, elfutils and debuginfod lay them out, or of
    /// the name in `.gnu_debuglink`, or that of the image.
    pub(super) fn debug<'a>(
        &'a self,
        wanted: &'a DebugFile,
    ) -> impl Iterator<Item = FileBytes> + 'a {
        let mut names = Vec::new();
        let id = wanted.build_id_text().unwrap_or_default();
        if let Some((first, rest)) = id.split_at_checked(2) {
            names.push(format!(".build-id/{first}/{rest}.debug"));
            names.push(format!("{first}/{rest}.debug"));
            names.push(format!("{first}{rest}/debuginfo"));
        }
        names.extend(wanted.link.iter().flat_map(|link| plain(link)));
        for name in plain(file_name(&wanted.image)) {
            names.push(format!("{name}.debug"));
            names.push(name);
        }
        let is_it = |file: &FileBytes| {
            let found = image::of_file((**file).as_ref());
            found.is_some_and(|found| found.build_id == wanted.build_id)
        };
        self.named(is_it).chain(self.find(names))
    }

    /// PDBs and symbol files of Breakpad that may be of a module, which has this identity: of its name, or as symbol servers lay
    /// them out.
    pub(super) fn tables<'a>(
        &'a self,
        module: &'a Module,
        id: &str,
    ) -> impl Iterator<Item = FileBytes> + 'a {
        let pdb = module.codeview.as_ref();
        let pdb = pdb.map_or(module.name(), |codeview| file_name(&codeview.file));
        let breakpad = analysis::breakpad_id(module);
        let mut names = Vec::new();
        for name in plain(pdb) {
            let stem = name.strip_suffix(".pdb").unwrap_or(&name);
            names.push(format!("{name}/{breakpad}/{stem}.sym"));
            names.push(format!("{stem}.sym"));
            if module.codeview.is_some() {
                names.push(format!("{name}/{id}/{name}"));
                names.push(name);
            }
        }
        let is_it = |file: &FileBytes| analysis::is_table_of(file, module);
        self.named(is_it).chain(self.find(names))
    }

    /// Files that were named in vain.
    pub(super) fn complaints(&self) -> Vec<String> {
        let unused = self.files.iter().filter(|file| !file.is_used.get());
        let told = unused.map(|file| {
            let path = file.path.display();
            format!("{path} of --symbols is of no module on these stacks, or of another build")
        });
        told.collect()
    }

    /// The files that were named themselves, and are the wanted one.
    fn named<'a>(
        &'a self,
        is_it: impl Fn(&FileBytes) -> bool + 'a,
    ) -> impl Iterator<Item = FileBytes> + 'a {
        let files = self.files.iter().filter(move |file| is_it(&file.content));
        files.map(|file| {
            file.is_used.set(true);
            file.content.clone()
        })
    }

    /// The files of these names in the folders.
    fn find(&self, names: Vec<String>) -> impl Iterator<Item = FileBytes> {
        let folders = self.folders.iter();
        let paths = folders.flat_map(move |folder| {
            let paths = names.iter().map(|name| folder.join(name));
            paths.collect::<Vec<_>>()
        });
        let paths = paths.filter(|path| path.exists());
        paths.filter_map(|path| logged(&path, platform::open_file(Path::new(&path))))
    }
}

fn text(build_id: &[u8]) -> Option<String> {
    let file = DebugFile {
        build_id: build_id.to_vec(),
        ..DebugFile::default()
    };
    file.build_id_text()
}

/// The name, if it is that of a file and leads to no other folder.
fn plain(name: &str) -> Vec<String> {
    let is_plain = !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0']);
    is_plain.then(|| name.to_owned()).into_iter().collect()
}
