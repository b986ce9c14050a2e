//! The address space and the modules, by the segments and `NT_FILE`.

use crate::bytes::{Take, Width, c_text};
use crate::elf::Segment;
use crate::image::{self, Identity};
use object::elf;
use snapshot::auxv::{AT_EXECFN, AT_SYSINFO_EHDR};
use snapshot::{Architecture, Memory, Module, Protection, Range, Region, RegionKind, Thread};
use std::collections::HashSet;

/// An entry of `NT_FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::core) struct MappedFile {
    pub(in crate::core) range: Range,
    /// In bytes.
    pub(in crate::core) offset: u64,
    pub(in crate::core) path: String,
    pub(in crate::core) deleted: bool,
}

/// The entries of `NT_FILE`: count, page size, that many (start, end, offset in pages), and as
/// many paths.
pub(in crate::core) fn mapped_files(bytes: &[u8], architecture: Architecture) -> Vec<MappedFile> {
    let width = Width::of(architecture);
    let mut words = Take(bytes);
    let (Some(count), Some(page)) = (words.word(width), words.word(width)) else {
        return vec![];
    };
    let size = 3 * width.bytes() as u64;
    let Some(size) = count
        .checked_mul(size)
        .and_then(|n| usize::try_from(n).ok())
    else {
        return vec![];
    };
    let mut table = Take(words.bytes(size).unwrap_or_default());
    let mut paths = words.0.split(|&byte| byte == 0);
    let mut entry = || {
        let range = Range::new(table.word(width)?, table.word(width)?);
        let offset = table.word(width)?.saturating_mul(page);
        let path = c_text(paths.next()?);
        let deleted = path.ends_with(" (deleted)");
        Some(MappedFile {
            range,
            offset,
            path: path.trim_end_matches(" (deleted)").to_owned(),
            deleted,
        })
    };
    let mut files: Vec<MappedFile> = std::iter::from_fn(&mut entry).collect();
    files.retain(|file| !file.range.is_empty());
    files.sort_by_key(|file| file.range.start);
    files
}

fn file_at(files: &[MappedFile], address: u64) -> Option<&MappedFile> {
    let after = files.partition_point(|file| file.range.start <= address);
    let file = files.get(after.checked_sub(1)?)?;
    file.range.contains(address).then_some(file)
}

/// The address space, by the segments and the mapped files.
pub(in crate::core) fn regions(
    table: &[Segment],
    files: &[MappedFile],
    threads: &[Thread],
    auxv: &[(u64, u64)],
) -> Vec<Region> {
    let mut regions: Vec<Region> = table
        .iter()
        .filter(|s| s.kind == elf::PT_LOAD.0 && s.memory_size > 0)
        .filter_map(|segment| region(segment, files))
        .collect();
    regions.sort_by_key(|region| region.range.start);
    regions.dedup_by(|next, kept| next.range.start < kept.range.end);
    let unwritten = files.iter().filter(|file| !touches(&regions, file.range));
    regions.extend(unwritten.map(unwritten_region).collect::<Vec<_>>());
    regions.sort_by_key(|region| region.range.start);
    regions.dedup_by(|next, kept| next.range.start < kept.range.end);
    let aux = |entry| snapshot::auxv::value(auxv, entry);
    mark(
        &mut regions,
        aux(AT_SYSINFO_EHDR),
        RegionKind::Kernel,
        "[vdso]",
    );
    mark(&mut regions, aux(AT_EXECFN), RegionKind::Stack, "[stack]");
    for thread in threads {
        let sp = thread.registers.map(|registers| registers.sp());
        mark(&mut regions, sp, RegionKind::Stack, "");
    }
    regions
}

fn touches(regions: &[Region], range: Range) -> bool {
    let first = regions.partition_point(|r| r.range.end <= range.start);
    regions
        .get(first)
        .is_some_and(|r| r.range.start < range.end)
}

/// A region of a file without a segment. gcore leaves out what can be read from the file; its
/// protection is not known.
fn unwritten_region(file: &MappedFile) -> Region {
    Region {
        range: file.range,
        protection: Protection {
            read: true,
            ..Protection::default()
        },
        kind: RegionKind::Mapped,
        name: file.path.clone(),
        offset: file.offset,
        deleted: file.deleted,
        ..Region::default()
    }
}

fn region(segment: &Segment, files: &[MappedFile]) -> Option<Region> {
    let end = segment.address.checked_add(segment.memory_size)?;
    let in_file = segment.address.saturating_add(segment.file_size).min(end);
    let there = Range::new(segment.address, in_file);
    let file = file_at(files, segment.address);
    let has = |flag: elf::ProgramFlags| segment.flags & flag.0 != 0;
    let mut region = Region {
        range: Range::new(segment.address, end),
        protection: Protection {
            read: has(elf::PF_R),
            write: has(elf::PF_W),
            execute: has(elf::PF_X),
        },
        resident: Some(there).filter(|r| !r.is_empty()).into_iter().collect(),
        ..Region::default()
    };
    if let Some(file) = file {
        let within = segment.address - file.range.start;
        region.offset = file.offset.saturating_add(within);
        region.name.clone_from(&file.path);
        region.deleted = file.deleted;
        region.kind = RegionKind::Mapped;
    } else {
        region.private_pages.clone_from(&region.resident);
    }
    Some(region)
}

/// Sets the kind of all regions of modules' files to image.
pub(in crate::core) fn mark_images(regions: &mut [Region], modules: &[Module]) {
    let paths: HashSet<&str> = modules.iter().map(|m| file_of(&m.path)).collect();
    regions
        .iter_mut()
        .filter(|region| region.kind == RegionKind::Mapped && paths.contains(&*region.name))
        .for_each(|region| region.kind = RegionKind::Image);
}

/// Gives the private regions of modules their kind and path, where no mapped files are known.
pub(in crate::core) fn name_images(regions: &mut [Region], modules: &[Module]) {
    let private = regions.iter_mut().filter(|r| r.kind == RegionKind::Private);
    for region in private {
        let start = region.range.start;
        let after = modules.partition_point(|m| m.range.start <= start);
        let module = modules[..after].last();
        if let Some(module) = module.filter(|m| m.range.contains(start)) {
            region.kind = RegionKind::Image;
            region.name.clone_from(&module.path);
        }
    }
}

/// The file of a module: the archive of a library that was mapped from within one.
fn file_of(path: &str) -> &str {
    match path.split_once(".apk!") {
        Some((archive, _)) => &path[..archive.len() + ".apk".len()],
        None => path,
    }
}

/// Sets the kind of the private region that holds `address`, and its name if it has none.
fn mark(regions: &mut [Region], address: Option<u64>, kind: RegionKind, name: &str) {
    let Some(address) = address else { return };
    let after = regions.partition_point(|r| r.range.start <= address);
    let Some(region) = after.checked_sub(1).and_then(|n| regions.get_mut(n)) else {
        return;
    };
    if region.range.contains(address) && region.kind == RegionKind::Private {
        region.kind = kind;
        name.clone_into(&mut region.name);
    }
}

/// The modules among the mapped files: those with code, or with the header of an image.
pub(in crate::core) fn modules(
    files: &[MappedFile],
    regions: &[Region],
    memory: &dyn Memory,
) -> Vec<Module> {
    let mut modules = Vec::new();
    let mut rest = files;
    while let Some(first) = rest.first() {
        let identity = image::in_memory(memory, first.range.start);
        let size = identity.as_ref().map_or(0, |identity| identity.size);
        let end = first.range.start.saturating_add(size);
        let belongs = |file: &&MappedFile| {
            let begins = *file != first && begins_in_archive(file, memory);
            belongs(first, file, end) && !begins
        };
        let same = rest.iter().take_while(belongs).count().max(1);
        modules.extend(module(&rest[..same], identity, regions, memory));
        rest = &rest[same..];
    }
    modules
}

/// Whether `file` is a part of the image that `first` begins: the same file at a higher offset, or
/// before the end that the headers of the image tell. The data of a small program may be in the first page of its file.
fn belongs(first: &MappedFile, file: &MappedFile, end: u64) -> bool {
    let is_later = file.offset > first.offset || file.range.start < end;
    file.path == first.path && (is_later || file == first)
}

/// Whether a part of a package of Android is the beginning of a library, which is mapped from within it.
fn begins_in_archive(file: &MappedFile, memory: &dyn Memory) -> bool {
    let mut magic = [0; 4];
    file.path.ends_with(".apk")
        && memory.read_all(file.range.start, &mut magic)
        && magic == elf::ELFMAG
}

fn module(
    parts: &[MappedFile],
    identity: Option<Identity>,
    regions: &[Region],
    memory: &dyn Memory,
) -> Option<Module> {
    let (first, last) = (parts.first()?, parts.last()?);
    let range = Range::new(first.range.start, last.range.end);
    let from = regions.partition_point(|r| r.range.end <= range.start);
    let code = regions[from..]
        .iter()
        .take_while(|r| r.range.start < range.end)
        .any(|r| r.protection.execute);
    let begins = first.offset == 0 || begins_in_archive(first, memory);
    if !begins || !(code || identity.is_some()) {
        return None;
    }
    let identity = identity.unwrap_or_default();
    Some(Module {
        range,
        path: image::named_in_archive(&first.path, memory, range.start),
        build_id: identity.build_id,
        codeview: identity.codeview,
        version: identity.version,
        soname: identity.soname,
        timestamp: identity.timestamp,
        checksum: identity.checksum,
        deleted: first.deleted,
    })
}
