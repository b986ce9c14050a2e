//! Stacks of languages with a runtime of their own: the tables of Go programs, where Python's interpreter is, and Java's virtual machine.

use super::{FRAME_LIMIT, Java, Loaded, Stack, Stacks, walk};
use crate::image::{Backed, Symbol};
use crate::languages::python::{Found, named_version};
use crate::languages::{self, LanguageFrame, Python, go, java, python};
use crate::runtime::{Runtime, runtime_of};
use crate::unwind::{Cpu, Step};
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

    /// The step out of a frame in code that a virtual machine of Java has made.
    pub(super) fn step_of_java(&self, cpu: &Cpu, lookup: u64, is_exact: bool) -> Option<Step> {
        let (vm, memory) = self.java_machine(lookup)?;
        let place = vm.place(lookup, &memory)?;
        java::step(vm, &memory, &place, cpu, is_exact, &|address| {
            self.is_code(address)
        })
    }

    /// What such a frame is, and the methods that it runs.
    pub(super) fn java_frame(
        &self,
        cpu: &Cpu,
        lookup: u64,
    ) -> Option<(Symbol, Vec<LanguageFrame>)> {
        let (vm, memory) = self.java_machine(lookup)?;
        let place = vm.place(lookup, &memory)?;
        let methods = place.methods(vm.view(&memory), cpu, lookup == cpu.ip);
        let symbol = methods.last().map(|method| Symbol {
            name: method.function.clone(),
            offset: 0,
        });
        Some((symbol.unwrap_or_else(|| place.symbol(cpu.ip)), methods))
    }

    /// The threads of Java; `None` if there is no virtual machine in the process.
    pub(crate) fn java(&self) -> Option<languages::Java> {
        let Some(java) = self.java.get_or_init(|| self.find_java()) else {
            return self.java_library().map(|_| java::unreadable());
        };
        let library = self.modules.get(java.library)?;
        let memory = self.image(library).backed(self.memory);
        Some(java::read(&java.vm, self.snapshot, &memory))
    }

    /// Whether a virtual machine of Java has its code there.
    pub(super) fn is_java_code(&self, address: u64) -> bool {
        let java = self.java_machine(address);
        java.is_some_and(|(vm, _)| vm.has_code_at(address))
    }

    /// The virtual machine that may have made the code at an address, and the memory by which to read it.
    fn java_machine(&self, address: u64) -> Option<(&java::Vm, Backed<'_>)> {
        if self.module_at(address).is_some() {
            return None;
        }
        let java = self.java.get_or_init(|| self.find_java()).as_ref()?;
        let library = self.modules.get(java.library)?;
        Some((&java.vm, self.image(library).backed(self.memory)))
    }

    fn find_java(&self) -> Option<Java> {
        let library = self.java_library()?;
        let image = self.image(&self.modules[library]);
        let vm = java::Vm::read(&|name| image.address_of(name), &image.backed(self.memory))?;
        Some(Java { vm, library })
    }

    /// The number of the module that is HotSpot's library. Other virtual machines have one of that name, too.
    fn java_library(&self) -> Option<usize> {
        let is_named = |loaded: &Loaded| java::LIBRARIES.contains(&loaded.module.name());
        let has_tables = |loaded: &Loaded| self.image(loaded).address_of(java::TABLES).is_some();
        let mut modules = self.modules.iter();
        modules.position(|loaded| is_named(loaded) && has_tables(loaded))
    }
}
