//! Where the files of programs, and those with their symbols and debug information, come from.
//!
//! A path that a dump has is its maker's choice. It is opened only as a regular file that the user of the dump may read
//! ([`platform::open_file_of`]), or below a folder that was named for it. `analysis` uses no file of another build.

mod given;
mod roots;
mod servers;

use analysis::{Candidates, DebugFile, FileBytes, Files};
use given::Given;
use roots::Roots;
use servers::Servers;
use snapshot::Module;
use std::path::{Path, PathBuf};

pub(crate) use roots::relative;

/// Options of where symbols come from.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Names and lines")]
pub(crate) struct SymbolArgs {
    /// Folder with the files of the machine where the dump was taken; those of this machine are not used then
    #[arg(long, value_name = "DIR")]
    sysroot: Option<PathBuf>,
    /// Folder with debug files by build-id or by name, with PDBs or Breakpad's .sym files; or one such file
    #[arg(long, value_name = "PATH")]
    symbols: Vec<PathBuf>,
    /// Ask a debuginfod server for what is missing; without a URL, those in DEBUGINFOD_URLS
    #[arg(long, value_name = "URL", num_args = 0..=1, value_parser = servers::url)]
    debuginfod: Option<Option<String>>,
    /// Ask a Microsoft symbol server for what is missing; without a URL, those in _NT_SYMBOL_PATH
    #[arg(long, value_name = "URL", num_args = 0..=1, value_parser = servers::url)]
    symbol_server: Option<Option<String>>,
}

/// The files that may be used for one dump.
#[derive(Default)]
pub(super) struct SymbolFiles {
    /// The user of the dump.
    user: Option<u32>,
    roots: Roots,
    given: Given,
    servers: Servers,
}

impl SymbolFiles {
    /// For the dump in the file `dump`, which is of this user.
    ///
    /// # Errors
    /// If what an option names is not there.
    pub(super) fn new(dump: &Path, user: Option<u32>, args: &SymbolArgs) -> anyhow::Result<Self> {
        Ok(Self {
            user,
            roots: Roots::new(dump, args.sysroot.as_deref())?,
            given: Given::new(&args.symbols)?,
            servers: Servers::new(args.debuginfod.as_ref(), args.symbol_server.as_ref())?,
        })
    }

    /// Sentences about servers that failed, and files that were named in vain.
    pub(super) fn complaints(&self) -> Vec<String> {
        let servers = self.servers.complaints().into_iter();
        servers.chain(self.given.complaints()).collect()
    }

    /// Files by paths that the dump has: below the folders that stand for its machine, then of this machine.
    fn at(&self, paths: Vec<String>) -> impl Iterator<Item = FileBytes> {
        let below = paths.clone().into_iter();
        let below = below.flat_map(|path| self.roots.below(&path).collect::<Vec<_>>());
        below.chain(paths.into_iter().filter_map(|path| self.here(&path)))
    }

    /// A file of this machine, by a path that the dump has.
    fn here(&self, path: &str) -> Option<FileBytes> {
        // Only an absolute path: a relative one would be looked up in the current folder.
        let path = Path::new(path);
        if !self.roots.use_this_machine() || !path.is_absolute() {
            return None;
        }
        logged(path, platform::open_file_of(path, self.user))
    }
}

/// An opened file; the debug log tells of it, and why others were not opened.
fn logged(path: &Path, opened: std::io::Result<FileBytes>) -> Option<FileBytes> {
    match &opened {
        Ok(_) => log::debug!("opened {}", path.display()),
        Err(error) => log::debug!("not opened: {}: {error}", path.display()),
    }
    opened.ok()
}

impl Files for SymbolFiles {
    fn images<'a>(&'a self, module: &'a Module) -> Candidates<'a> {
        let found = self.at(vec![module.path.clone()]);
        let given = self.given.images(module);
        // The kernel's own (`[vdso]`) has no file.
        let is_file = relative(&module.path).is_some();
        let ask = move || is_file.then(|| self.servers.image(module)).flatten();
        let asked = std::iter::once_with(ask).flatten();
        Box::new(found.chain(given).chain(asked))
    }

    fn debug<'a>(&'a self, wanted: &'a DebugFile) -> Candidates<'a> {
        let found = self.at(wanted.paths());
        let given = self.given.debug(wanted);
        let is_file = !wanted.image.starts_with('[');
        let ask = move || is_file.then(|| self.servers.debug(wanted)).flatten();
        let asked = std::iter::once_with(ask).flatten();
        Box::new(found.chain(given).chain(asked))
    }

    fn tables<'a>(&'a self, module: &'a Module) -> Candidates<'a> {
        let found = self.at(pdb_paths(module));
        let given = self.given.tables(module, &build(module));
        let asked = std::iter::once_with(|| self.servers.pdb(module)).flatten();
        Box::new(found.chain(given).chain(asked))
    }
}

/// Where the PDB of a module may be: beside it, or where the linker wrote it.
fn pdb_paths(module: &Module) -> Vec<String> {
    let Some(codeview) = &module.codeview else {
        return Vec::new();
    };
    let folder = module.path.strip_suffix(module.name()).unwrap_or_default();
    vec![
        format!("{folder}{}", file_name(&codeview.file)),
        codeview.file.clone(),
    ]
}

/// The last component of a path of either system.
fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The build-id of a module, or the GUID and age of its PDB in the form that symbol servers use.
/// Empty if it has neither.
pub(crate) fn build(module: &Module) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let Some(codeview) = &module.codeview else {
        return hex(&module.build_id);
    };
    let g = &codeview.guid;
    let head = [g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6]];
    format!("{}{}{:X}", hex(&head), hex(&g[8..]), codeview.age).to_uppercase()
}
