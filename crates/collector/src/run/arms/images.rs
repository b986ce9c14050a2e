//! What is looked for in every image of Linux, found once for each file and kept: a server that starts a process for
//! each connection maps the same forty libraries thousands of times.

use super::{Arm, LOADER_CALLS};
use analysis::places::{self, ThrowPlace};
use platform::{FileIdentity, ImageFiles, lock};
use snapshot::Module;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// So many files are kept at most; a machine has some thousand libraries.
const MOST: usize = 4096;

static KEPT: Mutex<Option<HashMap<FileIdentity, Arc<InImage>>>> = Mutex::new(None);

/// What an image file has.
pub(super) struct InImage {
    /// Where it throws.
    pub(super) throws: Vec<ThrowPlace>,
    /// Where a loader tells of images, as an offset in the file.
    loader: Option<u64>,
    /// Whether the runtime of .NET is in it.
    pub(super) is_dotnet: bool,
}

impl InImage {
    /// What the image of a module has; `None` if its file cannot be opened.
    pub(super) fn of(module: &Module, files: &ImageFiles) -> Option<Arc<Self>> {
        let Some(identity) = files.identity(module) else {
            return Self::looked_for(module, files).map(Arc::new);
        };
        if let Some(kept) = with(|kept| kept.get(&identity).cloned()) {
            return Some(kept);
        }
        let found = Arc::new(Self::looked_for(module, files)?);
        with(|kept| {
            if kept.len() >= MOST {
                kept.clear();
            }
            kept.insert(identity, found.clone());
        });
        Some(found)
    }

    /// Where a loader tells of images.
    pub(super) fn loader(&self) -> impl Iterator<Item = (Arm, u64)> {
        self.loader.map(|offset| (Arm::Loader, offset)).into_iter()
    }

    fn looked_for(module: &Module, files: &ImageFiles) -> Option<Self> {
        let bytes = files.open(module)?;
        let image = (*bytes).as_ref();
        let is_loader = ["ld-", "libc.musl"]
            .iter()
            .any(|start| module.name().starts_with(start));
        let calls = || places::symbol_spot(image, LOADER_CALLS, 0);
        Some(Self {
            is_dotnet: places::is_dotnet(image),
            throws: places::throw_places(image),
            loader: is_loader.then(calls).flatten().map(|spot| spot.offset),
        })
    }
}

fn with<T>(act: impl FnOnce(&mut HashMap<FileIdentity, Arc<InImage>>) -> T) -> T {
    let mut kept = lock(&KEPT);
    act(kept.get_or_insert_default())
}
