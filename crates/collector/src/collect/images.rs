//! Identifies the images (program and libraries) of a process, from their files before it is
//! stopped, as far as possible.

use formats::image;
use platform::ImageFiles;
use snapshot::{Memory, Module, ProcessKey};
use std::collections::HashMap;

/// The identities of a process's images, by start address and path.
pub(crate) struct Images {
    known: HashMap<(u64, String), Option<image::Identity>>,
}

impl Images {
    /// Identifies `modules` from their files.
    pub(crate) fn identify(process: ProcessKey, modules: &[Module]) -> Self {
        let files = ImageFiles::of(process);
        let identity = |module: &Module| {
            let bytes = files.as_ref()?.open(module)?;
            image::of_file((*bytes).as_ref())
        };
        let key = |module: &Module| (module.range.start, module.path.clone());
        Self {
            known: modules
                .iter()
                .map(|module| (key(module), identity(module)))
                .collect(),
        }
    }

    /// Adds the identities to the modules of a capture. A module that has no file, or was loaded
    /// after [`Images::identify`], is identified from the memory. What turns out to be no image is
    /// removed.
    pub(crate) fn put_to(&self, modules: &mut Vec<Module>, memory: &dyn Memory) {
        modules.retain_mut(|module| {
            let key = (module.range.start, module.path.clone());
            let known = self.known.get(&key).cloned().flatten();
            let identity = known.or_else(|| image::in_memory(memory, module.range.start));
            let is_image = identity.is_some();
            put(identity.unwrap_or_default(), module);
            // A file that is only mapped as executable (the cache of a JIT) is no module. One
            // whose head cannot be read may be one.
            is_image || memory.read_u32(module.range.start).is_none()
        });
    }
}

fn put(identity: image::Identity, module: &mut Module) {
    module.build_id = identity.build_id;
    module.soname = identity.soname;
    module.version = identity.version;
    module.codeview = identity.codeview;
    module.timestamp = identity.timestamp;
    module.checksum = identity.checksum;
}
