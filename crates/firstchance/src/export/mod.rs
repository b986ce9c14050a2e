//! `firstchance dumps export`: packs a dump with what a debugger on another machine needs into one
//! file.

mod archive;
mod modules;
mod readme;

use crate::inspect::user_of;
use archive::Archive;
use collector::DumpContent;
use formats::packed::Packing;
use modules::{LocalModule, Packed};
use platform::{Error, ErrorKind, Existing};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The result of packing a dump.
pub(crate) struct Exported {
    /// The file.
    pub(crate) path: PathBuf,
    /// Number of programs and libraries in it.
    pub(crate) modules: usize,
    /// Programs and libraries that are not in it: path and reason.
    pub(crate) missing: Vec<(String, String)>,
}

/// The file `manifest.json` of the pack.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Manifest<'m> {
    dump: &'m str,
    modules: &'m [Packed],
}

/// Packs `dump` into the new file `to` (gzipped tar): the dump, its record, the programs and
/// libraries of which this machine has the same build, and a text that says how to open it. `existing` says what is done if
/// there is such a file.
pub(crate) fn export(dump: &Path, to: &Path, existing: Existing) -> anyhow::Result<Exported> {
    let content = DumpContent::open(dump);
    let what = || format!("reading {}", dump.display());
    let content = content.map_err(|e| Error::of_access(&what(), &e))?;
    let file = &content.bytes;
    let told = formats::read(file.clone())
        .map_err(|error| anyhow::anyhow!("{}", error.of_file(dump.display())))?;
    let name = dump.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| anyhow::anyhow!("{} is no name for a dump", dump.display()))?;
    let name = without_packing(name);
    let found = modules::find(&told.snapshot, &*told.memory, user_of(dump, &told));
    let packed: Vec<Packed> = found.iter().map(|found| found.packed.clone()).collect();
    let manifest = Manifest {
        dump: name,
        modules: &packed,
    };
    let readme = readme::text(name, &told, &packed);
    let archive = Archive::create(to, existing, stem(name), told.snapshot.taken);
    let mut archive = archive.map_err(|error| match error.kind {
        ErrorKind::Exists => error.advise("Name another file."),
        _ => error,
    })?;
    archive.add("README.txt", readme.as_bytes())?;
    archive.add("manifest.json", &serde_json::to_vec_pretty(&manifest)?)?;
    if let Some(record) = &told.record {
        archive.add("record.json", record)?;
    }
    archive.add_dump(name, file)?;
    if let Some(trouble) = content.trouble() {
        return Err(Error::new(ErrorKind::Other, format!("{}: {trouble}", dump.display())).into());
    }
    for LocalModule { packed, bytes } in &found {
        if let (Some(path), Some(bytes)) = (&packed.file, bytes) {
            archive.add_program(path, bytes)?;
            archive.add_links(path, &packed.links)?;
        }
    }
    Ok(outcome(archive.finish()?, packed))
}

fn outcome(path: PathBuf, packed: Vec<Packed>) -> Exported {
    let missing = packed
        .iter()
        .filter_map(|module| Some((module.path.clone(), module.missing.clone()?)));
    Exported {
        path,
        modules: packed.iter().filter(|module| module.file.is_some()).count(),
        missing: missing.collect(),
    }
}

/// The name of a dump without the ending of a compressed file.
pub(crate) fn without_packing(name: &str) -> &str {
    let stem = Packing::ENDINGS
        .into_iter()
        .find_map(|ending| name.strip_suffix(ending));
    stem.unwrap_or(name)
}

/// The name of a dump without its extension.
pub(crate) fn stem(name: &str) -> &str {
    without_packing(match name.strip_suffix(".partial") {
        Some(partial) => partial.trim_start_matches('.'),
        None => name,
    })
    .trim_end_matches(".core")
    .trim_end_matches(".dmp")
}
