//! The stacks of threads, with modules and symbols.

mod frame;
mod guess;
mod language;
mod signal;
mod walk;
mod with_files;

use crate::image::{Files, Image, OpenImages, Source, Symbol};
use crate::languages::{go, java};
use crate::lines::Lookup;
use crate::unwind::Cpu;
use snapshot::auxv::AT_SYSINFO_EHDR;
use snapshot::{Memory, Module, Snapshot, Thread};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use with_files::WithFiles;

pub use frame::{End, FRAME_LIMIT, Frame, How, LeftOut, Stack};

/// Walks the stacks of a snapshot's threads. An image is opened when the first frame lies in it,
/// and stays open.
pub struct Stacks<'a> {
    snapshot: &'a Snapshot,
    memory: &'a dyn Memory,
    files: &'a dyn Files,
    opened: Option<&'a OpenImages>,
    modules: Vec<Loaded>,
    java: OnceCell<Option<Java>>,
}

/// A virtual machine of Java, and the number of the module that is its library.
struct Java {
    vm: java::Vm,
    library: usize,
}

/// A module, and its image once it is opened.
struct Loaded {
    module: Module,
    image: OnceCell<Arc<Image>>,
    go: OnceCell<Option<go::Module>>,
}

impl<'a> Stacks<'a> {
    /// For the threads of `snapshot`, whose stacks are in `memory`.
    pub fn new(snapshot: &'a Snapshot, memory: &'a dyn Memory, files: &'a dyn Files) -> Self {
        let mut modules = snapshot.modules.clone();
        modules.extend(vdso(snapshot));
        modules.sort_by_key(|module| module.range.start);
        let load = |module| Loaded {
            module,
            image: OnceCell::new(),
            go: OnceCell::new(),
        };
        Self {
            snapshot,
            memory,
            files,
            opened: None,
            modules: modules.into_iter().map(load).collect(),
            java: OnceCell::new(),
        }
    }

    /// The same with images that were `opened` before. Those that are opened now are added to them.
    pub fn with_opened(self, opened: &'a OpenImages) -> Self {
        Self {
            opened: Some(opened),
            ..self
        }
    }

    /// The stack of a thread of the snapshot, with at most [`FRAME_LIMIT`] frames.
    pub fn of(&self, thread: &Thread) -> Stack {
        walk::walk(self, thread, FRAME_LIMIT)
    }

    /// The same, walked for at most `most` frames. Of more than [`FRAME_LIMIT`], those in the middle are only counted.
    pub fn deep(&self, thread: &Thread, most: usize) -> Stack {
        walk::walk(self, thread, most)
    }

    /// The function or variable at an address; `None` if it is in no module or no symbol is known for it.
    pub fn symbol(&self, address: u64) -> Option<Symbol> {
        self.image_at(address)?.symbol(address, address)
    }

    /// The names of what is at these addresses, as far as they are known.
    pub fn names(&self, addresses: impl Iterator<Item = u64>) -> BTreeMap<u64, String> {
        let name = |address| Some((address, self.symbol(address)?.to_string()));
        addresses.filter_map(name).collect()
    }

    /// The address of the variable of that name in the first module that has one; `None` if no module that was opened so far has.
    pub fn variable(&self, name: &str) -> Option<u64> {
        let mut images = self.modules.iter().filter_map(|loaded| loaded.image.get());
        images.find_map(|image| image.address_of(name))
    }

    /// The memory of the process, and where it has none what the files of images have that were opened so far.
    pub(crate) fn with_files(&self) -> WithFiles<'_> {
        let images = self.modules.iter().filter_map(|loaded| {
            let (bias, contents) = loaded.image.get()?.contents()?;
            Some((loaded.module.range, bias, contents))
        });
        WithFiles::new(self.snapshot, self.memory, images.collect())
    }

    /// At most `size` bytes of code at an address.
    pub(crate) fn code_at(&self, address: u64, size: usize) -> Vec<u8> {
        let code = |size| {
            let mut code = vec![0; size];
            self.code(address, &mut code).then_some(code)
        };
        (1..=size).rev().find_map(code).unwrap_or_default()
    }

    /// The modules whose images were opened so far, and where their tables and symbols come from.
    pub fn sources(&self) -> impl Iterator<Item = (&Module, Source)> {
        let opened = |loaded: &'_ Loaded| loaded.image.get().map(|image| image.source);
        self.modules
            .iter()
            .filter_map(move |l| Some((&l.module, opened(l)?)))
    }

    /// The opened modules for which files with debug information were found, all of them of other builds.
    pub fn without_their_debug(&self) -> impl Iterator<Item = &Module> {
        let has_others = |loaded: &&Loaded| {
            let image = loaded.image.get();
            image.is_some_and(|image| image.has_debug_of_others())
        };
        self.modules
            .iter()
            .filter(has_others)
            .map(|loaded| &loaded.module)
    }

    /// The questions for the lines of these addresses, of each image one. Addresses of images without debug information are in
    /// none.
    pub fn lookups(&self, addresses: &[u64]) -> Vec<Lookup> {
        let mut of_modules: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for &address in addresses {
            if let Some((_, module)) = self.image_and_module_at(address) {
                let of_module = of_modules.entry(module.range.start).or_default();
                of_module.push(address);
            }
        }
        let lookup = |(base, addresses)| {
            let (image, module) = self.image_and_module_at(base)?;
            image.lookup(module, addresses)
        };
        of_modules.into_iter().filter_map(lookup).collect()
    }

    fn frame(&self, cpu: &Cpu, lookup: u64, how: How) -> Frame {
        let (image, module) = self.image_and_module_at(lookup).unzip();
        let base = module.map_or(0, |module| module.range.start);
        let go = self.go_place(lookup);
        let java = self.java_frame(cpu, lookup);
        let symbol = image.and_then(|image| image.symbol(lookup, cpu.ip));
        Frame {
            ip: cpu.ip,
            sp: cpu.sp(),
            module: module.map(|module| module.name().to_owned()),
            offset: cpu.ip.wrapping_sub(base),
            symbol: symbol
                .or_else(|| Some(go.as_ref()?.symbol(cpu.ip)))
                .or_else(|| Some(java.as_ref()?.0.clone())),
            how,
            is_signal_frame: false,
            language: go
                .map(|place| place.frames())
                .or_else(|| java.map(|(_, methods)| methods))
                .unwrap_or_default(),
        }
    }

    fn loaded_at(&self, address: u64) -> Option<&Loaded> {
        let after = self
            .modules
            .partition_point(|l| l.module.range.start <= address);
        let loaded = self.modules.get(after.checked_sub(1)?)?;
        loaded.module.range.contains(address).then_some(loaded)
    }

    fn module_at(&self, address: u64) -> Option<&Module> {
        self.loaded_at(address).map(|loaded| &loaded.module)
    }

    fn image_at(&self, address: u64) -> Option<&Image> {
        self.image_and_module_at(address).map(|(image, _)| image)
    }

    fn image_and_module_at(&self, address: u64) -> Option<(&Image, &Module)> {
        let loaded = self.loaded_at(address)?;
        let image = self.image(loaded);
        image.holds(address).then_some((image, &loaded.module))
    }

    fn image<'s>(&'s self, loaded: &'s Loaded) -> &'s Image {
        loaded.image.get_or_init(|| match self.opened {
            Some(opened) => opened.image(&loaded.module, || self.open(&loaded.module)),
            None => Arc::new(self.open(&loaded.module)),
        })
    }

    fn open(&self, module: &Module) -> Image {
        let architecture = self.snapshot.system.architecture;
        Image::open(module, architecture, self.memory, self.files)
    }

    /// Whether there is, or may be, code at `address`.
    ///
    /// Situation: gcore leaves the code of programs out, with its protection, so that only the
    /// list of modules tells of it. What is not writable there may be code.
    fn is_code(&self, address: u64) -> bool {
        let in_module = || self.module_at(address).is_some();
        match self.snapshot.region_at(address) {
            Some(region) => region.protection.execute || (!region.protection.write && in_module()),
            None => in_module() || self.is_java_code(address),
        }
    }

    /// Reads a little-endian word of 1 to 8 bytes from the process; `None` if it is not in the
    /// dump.
    fn word(&self, address: u64, size: u8) -> Option<u64> {
        let mut word = [0; 8];
        let bytes = word.get_mut(..usize::from(size))?;
        self.memory
            .read_all(address, bytes)
            .then(|| u64::from_le_bytes(word))
    }

    /// Fills `code` from `address` on, from memory or else from the module's file. Returns whether
    /// all of it could be read.
    fn code(&self, address: u64, code: &mut [u8]) -> bool {
        self.memory.read_all(address, code)
            || self
                .image_at(address)
                .is_some_and(|image| image.read(address, code))
    }
}

/// The vdso, if the snapshot does not list it among the modules: cores of the kernel and of gcore
/// do not.
fn vdso(snapshot: &Snapshot) -> Option<Module> {
    let base = snapshot.process.aux(AT_SYSINFO_EHDR)?;
    if snapshot.module_at(base).is_some() {
        return None;
    }
    let region = snapshot.region_at(base)?;
    Some(Module {
        range: region.range,
        path: "[vdso]".to_owned(),
        ..Module::default()
    })
}

#[cfg(test)]
mod tests;
