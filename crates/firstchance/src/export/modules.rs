//! Finds the programs and libraries of a dump on this machine.

use crate::inspect::{build, relative};
use formats::image::{self, Identity};
use platform::FileBytes;
use serde::Serialize;
use snapshot::{Memory, Module, Snapshot};
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

/// The folder of programs and libraries in a pack; below it they have their original paths.
pub(super) const ROOT: &str = "root";

/// A program or library in the manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Packed {
    /// Its path as the process saw it.
    pub(super) path: String,
    /// Its build-id as [`build`] prints it; empty if it has none.
    pub(super) build_id: String,
    /// Its path in the pack; `None` if it is not in it.
    pub(super) file: Option<String>,
    /// Other paths under which the process had it, in the pack.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) links: Vec<String>,
    /// Whether it is known to be the build that the process had.
    pub(super) verified: bool,
    /// Why it is not in the pack, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) missing: Option<String>,
}

/// A program or library with its content, if it is on this machine.
pub(super) struct LocalModule {
    pub(super) packed: Packed,
    pub(super) bytes: Option<FileBytes>,
}

/// Looks for each module of the dump once. Modules without a file (`[vdso]`) are in the dump
/// itself. `user` is who has to be able to read what is packed.
pub(super) fn find(
    snapshot: &Snapshot,
    memory: &dyn Memory,
    user: Option<u32>,
) -> Vec<LocalModule> {
    let mut names: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (start, name) in image::loaded_names(snapshot, memory) {
        names.entry(start).or_default().push(name);
    }
    let mut seen = HashSet::new();
    let modules = snapshot.modules.iter();
    modules
        .filter(|module| path_in_pack(&module.path).is_some() && seen.insert(&module.path))
        .map(|module| look_for(module, names.get(&module.range.start), user))
        .collect()
}

fn look_for(module: &Module, names: Option<&Vec<String>>, user: Option<u32>) -> LocalModule {
    let mut packed = Packed {
        path: module.path.clone(),
        build_id: build(module),
        ..Packed::default()
    };
    match open(module, user) {
        Ok(bytes) => {
            packed.file = path_in_pack(&module.path);
            packed.verified = true;
            let others = names
                .into_iter()
                .flatten()
                .filter_map(|name| path_in_pack(name));
            packed.links = others
                .filter(|other| Some(other) != packed.file.as_ref())
                .collect();
            LocalModule {
                packed,
                bytes: Some(bytes),
            }
        }
        Err(why) => {
            log::debug!("not packed: {}: {why}", module.path);
            packed.missing = Some(why);
            LocalModule {
                packed,
                bytes: None,
            }
        }
    }
}

/// Opens the file of a module. The path comes from the target: a process in a container has other files under it, and a
/// malicious one can name any file. So only a program or library is accepted that is known to be the same build, and that
/// the user of the dump may read.
fn open(module: &Module, user: Option<u32>) -> Result<FileBytes, String> {
    let path = Path::new(&module.path);
    let bytes = platform::open_file_of(path, user).map_err(|e| e.to_string())?;
    let here = image::of_file((*bytes).as_ref());
    let here = here.ok_or("what is there now is no program or library")?;
    match is_same(module, &here) {
        Some(true) => Ok(bytes),
        Some(false) => Err("another build is there now".to_owned()),
        None => Err("nothing tells whether what is there now is the same build".to_owned()),
    }
}

/// Whether a file is of the same build as the module; `None` if neither has an identity.
fn is_same(module: &Module, here: &Identity) -> Option<bool> {
    if module.codeview.is_some() || here.codeview.is_some() {
        return Some(module.codeview == here.codeview);
    }
    if !module.build_id.is_empty() || !here.build_id.is_empty() {
        return Some(module.build_id == here.build_id);
    }
    (module.timestamp != 0 || here.timestamp != 0).then_some(module.timestamp == here.timestamp)
}

/// The path in the pack of a path from the target, always below [`ROOT`]. Returns `None` if it is
/// not absolute, or has `..` in it.
fn path_in_pack(path: &str) -> Option<String> {
    relative(path).map(|path| format!("{ROOT}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_path_says_it_stays_below_the_root() {
        assert_eq!(
            path_in_pack("/usr/lib/x.so").as_deref(),
            Some("root/usr/lib/x.so")
        );
        assert_eq!(path_in_pack("//a/./b").as_deref(), Some("root/a/b"));
        assert_eq!(
            path_in_pack("C:\\Windows\\a.dll").as_deref(),
            Some("root/C/Windows/a.dll")
        );
        for none in ["/../etc/shadow", "/a/../../b", "[vdso]", "a.so", "/", ""] {
            assert_eq!(path_in_pack(none), None, "{none}");
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
