//! An image from its file, ELF or PE.

use super::symbols::Symbols;
use super::{Files, Image, Source, Tables, debug, pe};
use crate::bytes::{Bytes, Section};
use crate::unwind::{Dwarf, FunctionTable};
use object::{BinaryFormat, CompressionFormat, Object, ObjectSection as _, ObjectSegment as _};
use snapshot::{Architecture, FileBytes, Module};
use std::io::Read as _;

/// The most of a section that is unpacked, in bytes: whoever makes a file chooses what size it says.
const MOST_UNPACKED: usize = 32 << 20;

/// The bytes of a file by the addresses at which they are loaded.
pub(crate) struct Contents {
    file: FileBytes,
    /// For each part: its address as the file states it, its offset in the file, its size in bytes.
    parts: Vec<(u64, u64, u64)>,
    /// Where the last part ends in memory; that may be more than the file holds of it.
    memory_end: u64,
}

impl Contents {
    /// The first address after all parts, rounded up to a page as the loader does.
    fn end(&self) -> u64 {
        self.memory_end.saturating_add(0xfff) & !0xfff
    }

    /// The address of a section as the file states it; `None` if it has none of that name.
    pub(super) fn section(&self, name: &str) -> Option<u64> {
        let object = object::File::parse((*self.file).as_ref()).ok()?;
        Some(object.section_by_name(name)?.address())
    }

    /// Up to `size` bytes at an address of the file; `None` if the file holds none there.
    pub(crate) fn at(&self, address: u64, size: usize) -> Option<&[u8]> {
        let holds = |&&(start, _, len): &&(u64, u64, u64)| {
            address.checked_sub(start).is_some_and(|at| at < len)
        };
        let (start, offset, len) = self.parts.iter().find(holds)?;
        let skip = address - start;
        let from = usize::try_from(offset.checked_add(skip)?).ok()?;
        let size = size.min(usize::try_from(len - skip).unwrap_or(usize::MAX));
        (*self.file).as_ref().get(from..from.checked_add(size)?)
    }

    /// Copies what the file holds at an address of it. Returns how many bytes that are.
    pub(crate) fn copy(&self, address: u64, buf: &mut [u8]) -> usize {
        let bytes = self.at(address, buf.len()).unwrap_or_default();
        buf[..bytes.len()].copy_from_slice(bytes);
        bytes.len()
    }
}

/// Opens an image from its file; `None` if the file cannot be read, or is not the one that was
/// loaded.
pub(super) fn open(
    file: &FileBytes,
    module: &Module,
    architecture: Architecture,
    files: &dyn Files,
) -> Option<Image> {
    let bytes = (**file).as_ref();
    let object = object::File::parse(bytes).ok()?;
    let source = identify(&object, module)?;
    let contents = contents(&object, file);
    let base = module.range.start;
    let lowest = contents.parts.iter().map(|part| part.0).min()?;
    let is_elf = object.format() == BinaryFormat::Elf;
    let (first, tables) = if is_elf {
        (lowest & !0xfff, dwarf(&object, file, architecture))
    } else {
        (object.relative_address_base(), functions(&object))
    };
    let mut symbols = vec![Symbols::of_object(&object, bytes, Bytes::whole(file))];
    symbols.extend(exports(&object));
    let found = debug::of_file(&object, file, module, files);
    symbols.splice(..0, found.symbols);
    symbols.retain(|table| !table.is_empty());
    Some(Image {
        bias: base.wrapping_sub(first),
        source,
        base,
        size: contents.end().checked_sub(first),
        tables,
        symbols,
        contents: Some(contents),
        debug: found.debug,
    })
}

/// Whether the file is known to be the one that was loaded; `None` if it is another.
fn identify(object: &object::File, module: &Module) -> Option<Source> {
    if object.format() == BinaryFormat::Pe {
        return match (module.timestamp, timestamp(object)) {
            (0, _) => Some(Source::UnverifiedFile),
            (loaded, found) => (loaded == found).then_some(Source::File),
        };
    }
    let found = object.build_id().ok().flatten().unwrap_or_default();
    match &module.build_id[..] {
        [] if module.deleted => None,
        [] => Some(Source::UnverifiedFile),
        loaded => (loaded == found).then_some(Source::File),
    }
}

fn timestamp(object: &object::File) -> u32 {
    use object::read::pe::ImageNtHeaders as _;
    let header = match object {
        object::File::Pe32(pe) => pe.nt_headers().file_header(),
        object::File::Pe64(pe) => pe.nt_headers().file_header(),
        _ => return 0,
    };
    header.time_date_stamp.get(object::LittleEndian)
}

fn contents(object: &object::File, file: &FileBytes) -> Contents {
    let part = |segment: object::Segment| {
        let (offset, size) = segment.file_range();
        (segment.address(), offset, size)
    };
    let end = |segment: object::Segment| segment.address().saturating_add(segment.size());
    Contents {
        file: file.clone(),
        parts: object.segments().map(part).collect(),
        memory_end: object.segments().map(end).max().unwrap_or(0),
    }
}

fn dwarf(object: &object::File, file: &FileBytes, architecture: Architecture) -> Tables {
    let section = |name| {
        let section = object.section_by_name(name)?;
        Some(Section {
            address: section.address(),
            bytes: bytes_of(&section, file)?,
        })
    };
    let address = |name| {
        object
            .section_by_name(name)
            .map_or(0, |section| section.address())
    };
    let known = (address(".text"), address(".got"));
    let [eh_frame, header, debug_frame] =
        [".eh_frame", ".eh_frame_hdr", ".debug_frame"].map(section);
    Dwarf::new(eh_frame, header, debug_frame, known, architecture)
        .map_or(Tables::None, |dwarf| Tables::Dwarf(Box::new(dwarf)))
}

/// The content of a section. Go compresses its `.debug_frame`.
fn bytes_of(section: &object::Section, file: &FileBytes) -> Option<Bytes> {
    let packed = section.compressed_data().ok()?;
    match packed.format {
        CompressionFormat::None => {
            let (offset, size) = section.file_range()?;
            let start = usize::try_from(offset).ok()?;
            let range = start..start.checked_add(usize::try_from(size).ok()?)?;
            Some(Bytes::Part(file.clone(), range))
        }
        CompressionFormat::Zlib => unpacked(packed.data, packed.uncompressed_size),
        _ => None,
    }
}

/// Unpacks a section that is to have so many bytes. One with more, or of a size that no table of functions has, is not read.
fn unpacked(packed: &[u8], size: u64) -> Option<Bytes> {
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size <= MOST_UNPACKED)?;
    let mut bytes = Vec::with_capacity(size);
    let mut unpacking = flate2::read::ZlibDecoder::new(packed).take(size as u64);
    unpacking.read_to_end(&mut bytes).ok()?;
    (bytes.len() == size).then_some(Bytes::Copy(bytes))
}

fn functions(object: &object::File) -> Tables {
    // 32-bit images have none, and ARM's are of another shape.
    let is_x86_64 = object.architecture() == object::Architecture::X86_64;
    let pdata = object.section_by_name(".pdata").filter(|_| is_x86_64);
    let bytes = pdata.and_then(|section| Some(section.data().ok()?.to_vec()));
    bytes
        .and_then(FunctionTable::new)
        .map_or(Tables::None, Tables::Pe)
}

/// The functions that a DLL exports. Those of ELF images are in `.dynsym`, which is read already.
fn exports(object: &object::File) -> Option<Symbols> {
    let table = match object {
        object::File::Pe32(pe) => pe.export_table(),
        object::File::Pe64(pe) => pe.export_table(),
        _ => return None,
    };
    pe::exports(&table.ok()??, object.relative_address_base())
}
