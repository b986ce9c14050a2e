//! Identifies the images (program and libraries) of a process, from their files before it is
//! stopped, as far as possible.

use formats::image;
use platform::ImageFiles;
use snapshot::{Memory, Module, ProcessKey, Warning};
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

/// How long images are identified from their files, and from the memory of a process that stands. (A thousand images take a few
/// hundredths of a second.)
const FROM_FILES: Duration = Duration::from_secs(5);
const FROM_MEMORY: Duration = Duration::from_millis(200);

/// The identities of a process's images, by start address and path.
pub(crate) struct Images {
    /// Of those for which there was time; `None` if the file told nothing.
    known: HashMap<(u64, String), Option<image::Identity>>,
    /// Those for which there was none.
    skipped: HashSet<(u64, String)>,
}

impl Images {
    /// Identifies `modules` from their files.
    pub(crate) fn identify(process: ProcessKey, modules: &[Module]) -> Self {
        let end = Instant::now() + FROM_FILES;
        let files = ImageFiles::of(process);
        let mut images = Self {
            known: HashMap::new(),
            skipped: HashSet::new(),
        };
        for module in modules {
            if Instant::now() > end {
                images.skipped.insert(key(module));
                continue;
            }
            let bytes = files.as_ref().and_then(|files| files.open(module));
            let identity = bytes.and_then(|bytes| image::of_file((*bytes).as_ref()));
            images.known.insert(key(module), identity);
        }
        images
    }

    /// Adds the identities that are known to modules.
    pub(super) fn put_known(&self, modules: &mut [Module]) {
        for module in modules {
            let known = self.known.get(&key(module)).cloned().flatten();
            put(known.unwrap_or_default(), module);
        }
    }

    /// Adds the identities to the modules of a capture. A module that has no file, or was loaded
    /// after [`Images::identify`], is identified from the memory. What turns out to be no image is
    /// removed. Returns a warning if there was not time for all.
    pub(crate) fn put_to(&self, modules: &mut Vec<Module>, memory: &dyn Memory) -> Option<Warning> {
        let (end, mut skipped) = (Instant::now() + FROM_MEMORY, 0);
        modules.retain_mut(|module| {
            let known = self.known.get(&key(module)).cloned().flatten();
            let has_time = !self.skipped.contains(&key(module)) && Instant::now() < end;
            if known.is_none() && !has_time {
                skipped += 1;
                return true;
            }
            let identity = known.or_else(|| image::in_memory(memory, module.range.start));
            let is_image = identity.is_some();
            put(identity.unwrap_or_default(), module);
            // A file that is only mapped as executable (the cache of a JIT) is no module. One
            // whose head cannot be read may be one.
            is_image || memory.read_u32(module.range.start).is_none()
        });
        let total = modules.len();
        (skipped > 0)
            .then(|| format!("{skipped} of {total} images have no build-id: it took too long"))
    }
}

fn key(module: &Module) -> (u64, String) {
    (module.range.start, module.path.clone())
}

fn put(identity: image::Identity, module: &mut Module) {
    module.build_id = identity.build_id;
    module.soname = identity.soname;
    module.version = identity.version;
    module.codeview = identity.codeview;
    module.timestamp = identity.timestamp;
    module.checksum = identity.checksum;
}
