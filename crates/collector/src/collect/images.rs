use formats::image;
use platform::ImageFiles;
use snapshot::{Memory, Module, ProcessKey};
use std::collections::HashMap;

/// Who the images of a process are, found before it is stopped as far as can be.
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

    /// Puts what is known to the modules of a capture; what has no file, or came since, is looked
    /// up in the memory. What is no image after all is dropped.
    pub(crate) fn put_to(&self, modules: &mut Vec<Module>, memory: &dyn Memory) {
        modules.retain_mut(|module| {
            let key = (module.range.start, module.path.clone());
            let known = self.known.get(&key).cloned().flatten();
            let identity = known.or_else(|| image::in_memory(memory, module.range.start));
            let is_image = identity.is_some();
            put(identity.unwrap_or_default(), module);
            // A file that is merely mapped executable (a JIT's cache) is no module; one whose
            // head cannot be read may be.
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
