//! Images that stay open.

use super::Image;
use snapshot::Module;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

/// The images of one process that were opened from their files, to be used again when it is looked at once more: their tables and
/// symbols take milliseconds to be read, for which nobody needs to stand.
#[derive(Default)]
pub struct OpenImages {
    images: Mutex<HashMap<Key, Arc<Image>>>,
    with_memory: bool,
}

/// Where it is loaded, its path and its build-id.
type Key = (u64, String, Vec<u8>);

impl OpenImages {
    /// Keeps images that were read from memory, too. Their tables and symbols do not change, but whoever keeps account of what was
    /// read will not hear of these again.
    pub fn with_those_of_memory() -> Self {
        Self {
            with_memory: true,
            ..Self::default()
        }
    }

    /// The image of a module. If there is none it is opened by `open`, and kept if it has a file, or those of memory are kept as well.
    pub(crate) fn image(&self, module: &Module, open: impl FnOnce() -> Image) -> Arc<Image> {
        let key = key(module);
        if let Some(image) = self.images().get(&key) {
            return image.clone();
        }
        let image = Arc::new(open());
        if self.with_memory || image.contents().is_some() {
            self.images().insert(key, image.clone());
        }
        image
    }

    /// Closes the images of all modules but these, and of those that have no build-id: another file may have their place by now.
    pub fn keep_those_of(&self, modules: &[Module]) {
        let identified = modules.iter().filter(|module| !module.build_id.is_empty());
        let keys: HashSet<Key> = identified.map(key).collect();
        self.images().retain(|key, _| keys.contains(key));
    }

    fn images(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Image>>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(module: &Module) -> Key {
    let (path, build_id) = (module.path.clone(), module.build_id.clone());
    (module.range.start, path, build_id)
}
