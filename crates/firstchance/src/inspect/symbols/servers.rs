//! Servers of symbols: debuginfod, and Microsoft's. They are asked only if an option says so.
//!
//! What they give is kept in a folder of the user's, that of debuginfod's own client where that is the server. The reader checks
//! that it is of the right build, whether it is new or was kept.

use super::{build, file_name, logged};
use analysis::{DebugFile, FileBytes};
use formats::image;
use platform::http::{self, Answer, Bounds};
use platform::{Existing, OutFile, Scratch};
use snapshot::Module;
use std::cell::RefCell;
use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The bounds of a file. The largest debug files of distributions have 1 to 2 GB.
const BOUNDS: Bounds = Bounds {
    bytes: 4 << 30,
    time: Duration::from_secs(300),
};

/// Whether a file is of the build that was asked for.
type IsRight<'a> = &'a dyn Fn(&FileBytes) -> bool;

/// The servers that are asked.
#[derive(Default)]
pub(super) struct Servers {
    debuginfod: Vec<String>,
    symbols: Vec<String>,
    /// Those that failed, with the reason. They are not asked again.
    failed: RefCell<Vec<(String, String)>>,
}

/// A URL of an option.
///
/// # Errors
/// If it is none.
pub(super) fn url(text: &str) -> Result<String, String> {
    match text.starts_with("http://") || text.starts_with("https://") {
        true => Ok(text.to_owned()),
        false => Err(
            "it is no URL (http://… or https://…); without a URL, put the option behind the file"
                .to_owned(),
        ),
    }
}

impl Servers {
    /// # Errors
    /// If an option has no URL, and the environment names none.
    pub(super) fn new(
        debuginfod: Option<&Option<String>>,
        symbols: Option<&Option<String>>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            debuginfod: urls(debuginfod, "--debuginfod", "DEBUGINFOD_URLS", of_debuginfod)?,
            symbols: urls(
                symbols,
                "--symbol-server",
                "_NT_SYMBOL_PATH",
                of_symbol_path,
            )?,
            failed: RefCell::default(),
        })
    }

    /// The program or library of a module.
    pub(super) fn image(&self, module: &Module) -> Option<FileBytes> {
        let id = DebugFile {
            build_id: module.build_id.clone(),
            ..DebugFile::default()
        };
        if let Some(id) = id.build_id_text() {
            return self.of_debuginfod(&id, "executable");
        }
        if module.timestamp == 0 {
            return None;
        }
        let id = format!("{:08X}{:x}", module.timestamp, module.range.len());
        self.of_symbol_server(module.name(), &id, &|file| {
            image::of_file((**file).as_ref())
                .is_some_and(|found| found.timestamp == module.timestamp)
        })
    }

    /// The debug information of an image.
    pub(super) fn debug(&self, wanted: &DebugFile) -> Option<FileBytes> {
        self.of_debuginfod(&wanted.build_id_text()?, "debuginfo")
    }

    /// The PDB of a module.
    pub(super) fn pdb(&self, module: &Module) -> Option<FileBytes> {
        let codeview = module.codeview.as_ref()?;
        let is_right = |file: &FileBytes| analysis::is_table_of(file, module);
        self.of_symbol_server(file_name(&codeview.file), &build(module), &is_right)
    }

    /// What the servers that failed said.
    pub(super) fn complaints(&self) -> Vec<String> {
        let failed = self.failed.borrow();
        let complaints = failed
            .iter()
            .map(|(server, why)| format!("{server} could not be asked for what is missing: {why}"));
        complaints.collect()
    }

    /// "GET /buildid/BUILDID/debuginfo" (debuginfod(8)).
    fn of_debuginfod(&self, id: &str, kind: &str) -> Option<FileBytes> {
        let kept = debuginfod_cache().map(|folder| folder.join(id).join(kind));
        let path = format!("buildid/{id}/{kind}");
        self.ask(&self.debuginfod, &path, kept, &|file| {
            build_id(file).as_deref() == Some(id)
        })
    }

    /// `NAME/ID/NAME`, as symbol stores lay their files out.
    fn of_symbol_server(&self, name: &str, id: &str, is_right: IsRight) -> Option<FileBytes> {
        let name = escaped(name)?;
        let path = format!("{name}/{id}/{name}");
        let kept = user_cache().map(|folder| folder.join("firstchance/symbols").join(&path));
        self.ask(&self.symbols, &path, kept, is_right)
    }

    /// Asks the servers one after the other for what is not kept already.
    fn ask(
        &self,
        servers: &[String],
        path: &str,
        kept: Option<PathBuf>,
        is_right: IsRight,
    ) -> Option<FileBytes> {
        if servers.is_empty() {
            return None;
        }
        let known = kept.as_deref().filter(|kept| kept.is_file());
        let known = known.and_then(|path| logged(path, platform::open_file(path)));
        if let Some(known) = known.filter(|file| is_right(file)) {
            return Some(known);
        }
        servers.iter().find_map(|server| {
            let has_failed = self
                .failed
                .borrow()
                .iter()
                .any(|(failed, _)| failed == server);
            if has_failed {
                return None;
            }
            let url = format!("{}/{path}", server.trim_end_matches('/'));
            fetched(&url, kept.as_deref(), is_right).unwrap_or_else(|why| {
                let failure = (server.clone(), why.to_string());
                self.failed.borrow_mut().push(failure);
                None
            })
        })
    }
}

/// The URLs of an option, or of the environment if the option has none; none without the option.
fn urls(
    option: Option<&Option<String>>,
    name: &str,
    variable: &str,
    of_text: fn(&str) -> Vec<String>,
) -> anyhow::Result<Vec<String>> {
    match option {
        None => Ok(Vec::new()),
        Some(Some(url)) => Ok(vec![url.clone()]),
        Some(None) => {
            let urls = of_text(&env::var(variable).unwrap_or_default());
            anyhow::ensure!(
                !urls.is_empty(),
                "{name} has no URL, and {variable} names no server: write {name}=URL"
            );
            Ok(urls)
        }
    }
}

/// The servers in DEBUGINFOD_URLS, which are separated by blanks. Other words, such as `ima:enforcing`, are for its client.
fn of_debuginfod(text: &str) -> Vec<String> {
    let words = text.split_whitespace();
    words.filter_map(|word| url(word).ok()).collect()
}

/// The servers in _NT_SYMBOL_PATH: `srv*CACHE*URL;…` or `symsrv*symsrv.dll*CACHE*URL;…`.
fn of_symbol_path(text: &str) -> Vec<String> {
    let words = text.split([';', '*']);
    words.filter_map(|word| url(word.trim()).ok()).collect()
}

/// A name as a part of a URL and of a path; `None` if it may lead elsewhere.
fn escaped(name: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte);
    let escape = |byte: u8| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    let leads_elsewhere = matches!(name, "" | "." | "..") || name.len() > 200;
    (!leads_elsewhere).then(|| name.bytes().map(escape).collect())
}

/// Fetches a file; `None` if the server does not have it. One that is not of the right build is returned, but not kept.
fn fetched(url: &str, kept: Option<&Path>, is_right: IsRight) -> io::Result<Option<FileBytes>> {
    log::info!("asking {url}");
    let mut target = Target::new(kept)?;
    let Answer::Content(bytes) = http::fetch(url, BOUNDS, &mut target)? else {
        return Ok(None);
    };
    let file = target.into_content(bytes)?;
    if let Some(kept) = kept.filter(|_| !is_right(&file)) {
        // The next answer replaces it, if it cannot be removed.
        let _ = std::fs::remove_file(kept);
    }
    Ok(Some(file))
}

/// The build-id of an ELF file, in hexadecimal digits.
fn build_id(file: &FileBytes) -> Option<String> {
    let found = DebugFile {
        build_id: image::of_file((**file).as_ref())?.build_id,
        ..DebugFile::default()
    };
    found.build_id_text()
}

/// Where a fetched file goes to: into the cache, or else into a file without a name.
struct Target {
    file: File,
    at: u64,
}

enum File {
    Kept(OutFile),
    Unnamed(Scratch),
}

impl Target {
    fn new(kept: Option<&Path>) -> io::Result<Self> {
        let file = kept.and_then(cached).map(File::Kept);
        let file = match file {
            Some(file) => file,
            None => File::Unnamed(Scratch::new()?),
        };
        Ok(Self { file, at: 0 })
    }

    fn into_content(self, bytes: u64) -> io::Result<FileBytes> {
        match self.file {
            File::Unnamed(scratch) => scratch.into_content(bytes),
            File::Kept(file) => {
                file.set_len(bytes)?;
                let path = file.publish().map_err(io::Error::other)?;
                platform::open_file(&path)
            }
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            File::Kept(file) => file.write_at(self.at, bytes)?,
            File::Unnamed(scratch) => scratch.write_at(self.at, bytes)?,
        }
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A new file in the cache; `None` if none can be made there.
fn cached(path: &Path) -> Option<OutFile> {
    std::fs::create_dir_all(path.parent()?).ok()?;
    OutFile::create(path, Existing::Replace).ok()
}

/// The folder in which debuginfod's client keeps files (debuginfod_find_debuginfo(3)), so that gdb and we share them.
fn debuginfod_cache() -> Option<PathBuf> {
    match env::var_os("DEBUGINFOD_CACHE_PATH") {
        Some(folder) if !folder.is_empty() => Some(folder.into()),
        _ => Some(user_cache()?.join("debuginfod_client")),
    }
}

/// The folder of the user for what can be fetched again; `None` if there is none, or it is another user's, as with `sudo`.
fn user_cache() -> Option<PathBuf> {
    let folder = |name| {
        env::var_os(name)
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from)
    };
    let home = folder("HOME").or_else(|| folder("LOCALAPPDATA"))?;
    platform::is_own(&home).then(|| folder("XDG_CACHE_HOME").unwrap_or(home.join(".cache")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_those_that_the_environment_names() {
        assert_eq!(
            of_debuginfod(" https://one/ ima:enforcing http://two "),
            ["https://one/", "http://two"]
        );
        assert_eq!(
            of_symbol_path(
                "C:\\symbols;srv*C:\\cache*https://one/download/symbols;symsrv*symsrv.dll*http://two"
            ),
            ["https://one/download/symbols", "http://two"]
        );
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        for (name, part) in [
            ("app.pdb", Some("app.pdb")),
            ("my app.pdb", Some("my%20app.pdb")),
            ("a/../b", Some("a%2F..%2Fb")),
            ("..", None),
            ("", None),
        ] {
            assert_eq!(escaped(name).as_deref(), part, "{name}");
        }
    }
}
