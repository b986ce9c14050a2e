//! The programs and libraries of a dump, as far as they are here.

use crate::inspect::build;
use formats::image::{self, Identity};
use platform::FileBytes;
use serde::Serialize;
use snapshot::{Memory, Module, Snapshot};
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

/// Where programs and libraries lie in a pack, under the paths that they had.
pub(super) const ROOT: &str = "root";

/// What is told of a program or library in the manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Packed {
    /// As the process saw it.
    pub(super) path: String,
    /// As [`build`] prints it; empty where it has none.
    pub(super) build_id: String,
    /// Where it is in the pack; absent where it is not.
    pub(super) file: Option<String>,
    /// Other paths under which the process knew it, in the pack.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) links: Vec<String>,
    /// Whether it is known to be the very build that the process had.
    pub(super) verified: bool,
    /// Why it is not in the pack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) missing: Option<String>,
}

/// A program or library, with its content where it is here.
pub(super) struct Found {
    pub(super) packed: Packed,
    pub(super) bytes: Option<FileBytes>,
}

/// Looks for each once; what lies in memory only (`[vdso]`) is in the dump itself.
pub(super) fn find(snapshot: &Snapshot, memory: &dyn Memory) -> Vec<Found> {
    let mut names: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (start, name) in image::loaded_names(snapshot, memory) {
        names.entry(start).or_default().push(name);
    }
    let mut seen = HashSet::new();
    let modules = snapshot.modules.iter();
    modules
        .filter(|module| place(&module.path).is_some() && seen.insert(&module.path))
        .map(|module| look_for(module, names.get(&module.range.start)))
        .collect()
}

fn look_for(module: &Module, names: Option<&Vec<String>>) -> Found {
    let mut packed = Packed {
        path: module.path.clone(),
        build_id: build(module),
        ..Packed::default()
    };
    match open(module) {
        Ok((bytes, verified)) => {
            packed.file = place(&module.path);
            packed.verified = verified;
            let others = names.into_iter().flatten().filter_map(|name| place(name));
            packed.links = others
                .filter(|other| Some(other) != packed.file.as_ref())
                .collect();
            Found {
                packed,
                bytes: Some(bytes),
            }
        }
        Err(why) => {
            packed.missing = Some(why);
            Found {
                packed,
                bytes: None,
            }
        }
    }
}

/// The file, and whether it is the very build. The path is the target's word: a process in a
/// container, or one that wants to mislead, names whatever it likes. Only a program or library is
/// taken, and never one that is another build.
fn open(module: &Module) -> Result<(FileBytes, bool), String> {
    let bytes = platform::map_file(Path::new(&module.path)).map_err(|e| e.to_string())?;
    let here = image::of_file((*bytes).as_ref());
    let here = here.ok_or("what is there now is no program or library")?;
    match is_same(module, &here) {
        Some(false) => Err("another build is there now".to_owned()),
        same => Ok((bytes, same.is_some())),
    }
}

/// Whether a file is the build that the dump is of; `None` where neither tells.
fn is_same(module: &Module, here: &Identity) -> Option<bool> {
    if module.codeview.is_some() || here.codeview.is_some() {
        return Some(module.codeview == here.codeview);
    }
    if !module.build_id.is_empty() || !here.build_id.is_empty() {
        return Some(module.build_id == here.build_id);
    }
    (module.timestamp != 0 || here.timestamp != 0).then_some(module.timestamp == here.timestamp)
}

/// Where a path of the target's lies in a pack: below [`ROOT`], whatever it says.
fn place(path: &str) -> Option<String> {
    let is_windows = path.as_bytes().get(1) == Some(&b':');
    let path = match is_windows {
        true => path.replace('\\', "/").replacen(':', "", 1),
        false => path.strip_prefix('/')?.to_owned(),
    };
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    let parts: Vec<&str> = parts.collect();
    let is_plain = !parts.is_empty() && !parts.contains(&"..");
    is_plain.then(|| format!("{ROOT}/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_path_says_it_stays_below_the_root() {
        assert_eq!(place("/usr/lib/x.so").as_deref(), Some("root/usr/lib/x.so"));
        assert_eq!(place("//a/./b").as_deref(), Some("root/a/b"));
        assert_eq!(
            place("C:\\Windows\\a.dll").as_deref(),
            Some("root/C/Windows/a.dll")
        );
        for none in ["/../etc/shadow", "/a/../../b", "[vdso]", "a.so", "/", ""] {
            assert_eq!(place(none), None, "{none}");
        }
    }

    #[test]
    fn another_build_is_never_taken_for_the_one() {
        let module = |id: &[u8]| Module {
            build_id: id.to_vec(),
            ..Module::default()
        };
        let here = |id: &[u8]| Identity {
            build_id: id.to_vec(),
            ..Identity::default()
        };
        assert_eq!(is_same(&module(b"1"), &here(b"1")), Some(true));
        assert_eq!(is_same(&module(b"1"), &here(b"2")), Some(false));
        assert_eq!(is_same(&module(b"1"), &here(b"")), Some(false));
        assert_eq!(is_same(&module(b""), &here(b"")), None);
    }
}
