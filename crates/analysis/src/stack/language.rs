//! Stacks of languages with a runtime of their own: the tables of Go programs, and where Python's interpreter is.

use super::{FRAME_LIMIT, Loaded, Stack, Stacks, walk};
use crate::image::Backed;
use crate::languages::python::{Found, named_version};
use crate::languages::{Python, go, python};
use crate::runtime::{Runtime, runtime_of};
use crate::unwind::Cpu;
use snapshot::{Module, Range, Region};
use std::rc::Rc;

/// The sections that Go's table of lines may be in.
const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];

impl Stacks<'_> {
    /// What Go's tables have of an address; `None` if it is in no Go function.
    pub(super) fn go_place(&self, address: u64) -> Option<Rc<go::Place>> {
        let loaded = self.loaded_at(address)?;
        let image = self.image(loaded);
        let module = self.go_module(loaded)?;
        module.place(address, &image.backed(self.memory))
    }

    /// The stack of a goroutine that does not run, by where it will go on.
    pub(crate) fn of_goroutine(&self, ip: u64, sp: u64) -> Stack {
        let cpu = Cpu::at(self.snapshot.system.architecture, ip, sp);
        // A new one begins at its function's first instruction; others go on behind a call.
        let is_new = self.go_place(ip).is_some_and(|place| place.start == ip);
        walk::from(self, cpu, is_new, FRAME_LIMIT)
    }

    fn go_module<'s>(&'s self, loaded: &'s Loaded) -> Option<&'s go::Module> {
        let found = loaded.go.get_or_init(|| self.find_go(loaded));
        found.as_ref()
    }

    /// The tables of a module; `None` if it is not of Go. Without the file, its memory is searched if there is Go in the process.
    fn find_go(&self, loaded: &Loaded) -> Option<go::Module> {
        let image = self.image(loaded);
        let section = SECTIONS.iter().find_map(|name| image.section(name));
        if section.is_none() && (!self.has_go() || image.is_elf_file()) {
            return None;
        }
        let parts = |is_wanted: fn(&Region) -> bool| self.parts(&loaded.module, is_wanted);
        let parts = go::Parts {
            section,
            constants: &parts(|region| !region.protection.write),
            variables: &parts(|region| region.protection.write),
        };
        go::Module::find(&parts, &image.backed(self.memory))
    }

    /// The regions of a module; all of it if no regions are known.
    fn parts(&self, module: &Module, is_wanted: fn(&Region) -> bool) -> Vec<Range> {
        let regions = self
            .snapshot
            .regions
            .iter()
            .filter(|region| is_wanted(region));
        let parts: Vec<Range> = regions
            .filter_map(|region| region.range.intersect(module.range))
            .collect();
        match parts.is_empty() {
            true => vec![module.range],
            false => parts,
        }
    }

    fn has_go(&self) -> bool {
        let mut regions = self.snapshot.regions.iter();
        regions.any(|region| runtime_of([(region.range.start, &region.name[..])]) == Runtime::Go)
    }

    /// The tables of the first Go program among the modules, and the memory by which to read them; `None` if there is none.
    pub(crate) fn go_program(&self) -> Option<(&go::Module, Backed<'_>)> {
        let is_of_go = |loaded: &&Loaded| loaded.go.get().is_some_and(Option::is_some);
        let loaded = self.modules.iter().find(is_of_go)?;
        Some((
            self.go_module(loaded)?,
            self.image(loaded).backed(self.memory),
        ))
    }

    /// The threads of Python's interpreter; `None` if there is none in the process.
    pub(crate) fn python(&self) -> Option<Python> {
        let (image, runtime) = self.modules.iter().find_map(|loaded| {
            let image = loaded.image.get()?;
            Some((image, image.address_of("_PyRuntime")?))
        })?;
        let mut names = self.modules.iter().map(|loaded| loaded.module.name());
        let found = Found {
            runtime,
            named: names.find_map(named_version),
            version: image.address_of("Py_Version"),
        };
        let read = python::read(&found, self.snapshot, &image.backed(self.memory));
        Some(read.unwrap_or_else(|note| Python {
            notes: vec![note],
            ..Default::default()
        }))
    }
}
