//! The files of the workspace.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::tokens::{self, Token};

/// Folders without files that are written by hand.
const SKIPPED: &[&str] = &["target", ".git", "corpus", "artifacts", "node_modules"];

/// Extensions of the files that are read.
const KINDS: &[&str] = &[
    "rs", "toml", "md", "c", "h", "cpp", "go", "js", "css", "html", "sh", "py", "yml",
];

/// A file.
pub(super) struct Source {
    /// Its path relative to the workspace, with `/`.
    pub(super) path: String,
    /// Its text.
    pub(super) text: String,
    /// The tokens of a Rust file without its test modules; empty for other files.
    pub(super) tokens: Vec<Token>,
    /// All tokens of a Rust file.
    pub(super) all_tokens: Vec<Token>,
    /// Whether the whole file is for tests only.
    pub(super) is_test: bool,
}

impl Source {
    /// A file with that path and text.
    ///
    /// # Errors
    /// If it is a Rust file with errors in it.
    pub(super) fn new(path: &str, text: &str) -> Result<Source> {
        let all_tokens = match path.ends_with(".rs") {
            true => tokens::lex(text).with_context(|| path.to_owned())?,
            false => Vec::new(),
        };
        let (path, text) = (path.to_owned(), text.to_owned());
        let tokens = tokens::without_tests(&all_tokens);
        let is_test = is_test_path(&path);
        Ok(Source {
            path,
            text,
            tokens,
            all_tokens,
            is_test,
        })
    }

    /// Whether it is written in Rust.
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it is in that folder, or in one below.
    pub(super) fn is_in(&self, folder: &str) -> bool {
        self.path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether it belongs to tests, or to programs that only tests and developers use.
    pub(super) fn is_only_for_tests(&self) -> bool {
        let folders = ["xtask", "crates/victim", "fuzz"];
        self.is_test || folders.iter().any(|folder| self.is_in(folder))
    }
}

fn is_test_path(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.contains("/benches/")
}

/// All files of the workspace, in the order of their paths.
pub(super) fn collect(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    walk(root, root, &mut sources)?;
    mark_test_modules(&mut sources);
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

fn walk(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name().to_string_lossy().into_owned();
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            walk(root, &path, sources)?;
        } else if kind.is_file() && has_kind(&path) {
            let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
            let relative = path
                .strip_prefix(root)?
                .to_string_lossy()
                .replace('\\', "/");
            sources.push(Source::new(&relative, &String::from_utf8_lossy(&text))?);
        }
    }
    Ok(())
}

fn has_kind(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| KINDS.iter().any(|kind| e == *kind))
}

/// Marks the files that other files include by `#[cfg(test)] mod name;`.
fn mark_test_modules(sources: &mut [Source]) {
    let marked: HashSet<String> = sources.iter().flat_map(test_modules).collect();
    for source in sources {
        let whole = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        source.is_test |= marked
            .iter()
            .any(|m| whole == m || whole.starts_with(&format!("{m}/")));
    }
}

fn test_modules(source: &Source) -> Vec<String> {
    let folder = module_folder(&source.path);
    let names = tokens::test_modules(&source.all_tokens);
    names
        .into_iter()
        .map(|name| format!("{folder}/{name}"))
        .collect()
}

/// The folder with the files of a module's own modules.
fn module_folder(path: &str) -> &str {
    let stem = path.trim_end_matches(".rs");
    match stem.rsplit_once('/') {
        Some((folder, "lib" | "main" | "mod")) => folder,
        _ => stem,
    }
}
