//! The memory in which the dynamic loader lists the libraries of a process (glibc's `elf/link.h`,
//! System V ABI): debuggers need it.

use super::elf::Image;
use crate::{bytes::Width, elf::HEAD_SIZE};
use object::elf;
use snapshot::auxv::{AT_BASE, AT_PHDR, AT_PHNUM};
use snapshot::{Architecture, Detail, Memory, OperatingSystem, Process, Range, Snapshot, coalesce};
use std::collections::HashSet;

/// The most libraries of a list; a longer one is damaged or runs in a circle.
const MOST_LIBRARIES: usize = 16_384;
/// The longest name of a library, in bytes (`PATH_MAX`).
const MOST_NAME: usize = 4096;
/// The most that is taken of a library's program headers, or of its dynamic section, in bytes.
const MOST_SECTION: u64 = 64 << 10;

/// The memory that debuggers need to list the libraries, if a core otherwise holds only stacks: the
/// program's headers and dynamic section, `r_debug`, and for each `link_map` the structure, the
/// name, the dynamic section, the headers and the notes with the build-id.
///
/// For a Windows process, the process environment block and what it points to; in a limited dump
/// without command line and environment.
///
/// Empty if the process has no dynamic loader. Lists are followed to a limit.
pub fn loader_ranges(snapshot: &Snapshot, memory: &dyn Memory, detail: Detail) -> Vec<Range> {
    if snapshot.system.os == OperatingSystem::Windows {
        return super::peb::ranges(snapshot, memory, detail);
    }
    let width = Width::of(snapshot.system.architecture);
    let mut loader = LoaderMemory {
        memory,
        width,
        ranges: vec![],
    };
    if let Some(base) = snapshot.process.aux(AT_BASE) {
        loader.image(base);
    }
    if let Some(first) = loader.program(snapshot) {
        loader.libraries(snapshot, first);
    }
    coalesce(loader.ranges, 0)
}

/// The loader's name of each library, with the start of its module. Debuggers look for files by
/// these names. They may contain symbolic links (`/lib64/ld.so`), where the path of the module does
/// not (`/usr/lib/ld.so`).
pub fn loaded_names(snapshot: &Snapshot, memory: &dyn Memory) -> Vec<(u64, String)> {
    if snapshot.system.os == OperatingSystem::Windows {
        return Vec::new();
    }
    let mut loader = LoaderMemory {
        memory,
        width: Width::of(snapshot.system.architecture),
        ranges: vec![],
    };
    let first = loader.program(snapshot).unwrap_or(0);
    let maps = loader.link_maps(first).into_iter();
    let named = maps.filter_map(|map| {
        let name = memory.read_c_string(map.name, MOST_NAME)?;
        let module = snapshot.module_at(map.dynamic)?;
        Some((module.range.start, String::from_utf8(name).ok()?))
    });
    named.filter(|(_, name)| !name.is_empty()).collect()
}

/// A program or library in the loader's list.
pub(crate) struct Listed {
    /// What the loader has added to the addresses of its file (`l_addr`): where it begins, unless its file is linked to
    /// another address than 0.
    pub(crate) base: u64,
    /// Its dynamic section.
    pub(crate) dynamic: u64,
    /// The loader's name; empty for the program itself.
    pub(crate) path: String,
}

/// The loader's list of a process of which only the auxiliary vector is known.
pub(crate) fn listed(
    process: &Process,
    memory: &dyn Memory,
    architecture: Architecture,
) -> Vec<Listed> {
    let mut loader = LoaderMemory {
        memory,
        width: Width::of(architecture),
        ranges: vec![],
    };
    let first = loader.first_map(process).unwrap_or(0);
    let maps = loader.link_maps(first).into_iter();
    maps.filter_map(|map| {
        let path = memory.read_c_string(map.name, MOST_NAME)?;
        Some(Listed {
            base: map.base,
            dynamic: map.dynamic,
            path: String::from_utf8(path).ok()?,
        })
    })
    .collect()
}

/// A `struct link_map`.
struct LinkMap {
    at: u64,
    base: u64,
    name: u64,
    dynamic: u64,
}

/// The memory of a process, and the ranges of it that were taken.
struct LoaderMemory<'a> {
    memory: &'a dyn Memory,
    width: Width,
    ranges: Vec<Range>,
}

impl LoaderMemory<'_> {
    fn add(&mut self, start: u64, size: u64) {
        let size = size.min(MOST_SECTION);
        self.ranges
            .push(Range::new(start, start.saturating_add(size)));
    }

    fn words<const N: usize>(&self, address: u64) -> Option<[u64; N]> {
        let mut words = [0; N];
        let size = self.width.bytes() as u64;
        for (n, word) in words.iter_mut().enumerate() {
            let at = address.checked_add(n as u64 * size)?;
            *word = match self.width {
                Width::Four => self.memory.read_u32(at)?.into(),
                Width::Eight => self.memory.read_u64(at)?,
            };
        }
        Some(words)
    }

    /// Takes the program's headers and `r_debug`; returns the address of the first `link_map`.
    fn program(&mut self, snapshot: &Snapshot) -> Option<u64> {
        let table = snapshot.process.aux(AT_PHDR)?;
        if let Some(module) = snapshot.module_at(table) {
            self.add(module.range.start, HEAD_SIZE as u64);
        }
        self.first_map(&snapshot.process)
    }

    fn first_map(&mut self, process: &Process) -> Option<u64> {
        let table = process.aux(AT_PHDR)?;
        let count = process.aux(AT_PHNUM)?.try_into().ok()?;
        let mut image = Image::with_table(self.memory, self.width, table, count)?;
        image.place_by_table();
        self.headers(&image);
        let debug = image.dynamic_value(elf::DT_DEBUG).filter(|&at| at != 0)?;
        // struct r_debug_extended: r_version, r_map, r_brk, r_state, r_ldbase, r_next.
        self.add(debug, 6 * self.width.bytes() as u64);
        let [_, first] = self.words(debug)?;
        Some(first)
    }

    fn libraries(&mut self, snapshot: &Snapshot, first: u64) {
        for map in self.link_maps(first) {
            self.add(map.at, 5 * self.width.bytes() as u64);
            self.name(map.name);
            self.library(snapshot, map.dynamic);
        }
    }

    /// The `link_map`s of the list that begins at `first`, as far as they can be read.
    fn link_maps(&self, first: u64) -> Vec<LinkMap> {
        let (mut maps, mut seen) = (Vec::new(), HashSet::new());
        let mut next = first;
        while next != 0 && seen.len() < MOST_LIBRARIES && seen.insert(next) {
            // struct link_map: l_addr, l_name, l_ld, l_next, l_prev.
            let Some([base, name, dynamic, after, _]) = self.words(next) else {
                break;
            };
            let at = next;
            maps.push(LinkMap {
                at,
                base,
                name,
                dynamic,
            });
            next = after;
        }
        maps
    }

    fn name(&mut self, address: u64) {
        if let Some(text) = self.memory.read_c_string(address, MOST_NAME) {
            self.add(address, text.len() as u64 + 1);
        }
    }

    fn library(&mut self, snapshot: &Snapshot, dynamic: u64) {
        let module = snapshot.module_at(dynamic).map(|module| module.range);
        let range = module.or_else(|| snapshot.region_at(dynamic).map(|region| region.range));
        if let Some(range) = range {
            self.image(range.start);
        }
    }

    fn image(&mut self, base: u64) {
        if let Some(image) = Image::at(self.memory, base) {
            self.add(base, HEAD_SIZE as u64);
            self.headers(&image);
        }
    }

    fn headers(&mut self, image: &Image<'_>) {
        self.add(image.table.start, image.table.len());
        let parts = image
            .ranges(elf::PT_DYNAMIC)
            .chain(image.ranges(elf::PT_NOTE));
        parts.for_each(|range| self.add(range.start, range.len()));
    }
}
