//! The identity of an ELF image in memory (elf(5)).

use super::{Identity, bytes_at};
use crate::bytes::{Take, Width};
use crate::elf::{HEAD_SIZE, Head, Segment, notes, segment_size, segments};
use object::elf;
use object::endian::LittleEndian as LE;
use object::read::elf::{FileHeader, SectionHeader};
use snapshot::{Memory, Range};

/// The most program headers of an image; real images have about a dozen.
const MOST_SEGMENTS: usize = 512;
/// The most section headers of a file; real ones have a few dozen.
const MOST_SECTIONS: u16 = 4096;
/// The most that is read of the notes and of the dynamic section of an image, in bytes.
const MOST_NOTES: usize = 64 << 10;
const MOST_DYNAMIC: usize = 64 << 10;
const MOST_NAME: usize = 4096;

/// An image whose headers could be read.
pub(super) struct Image<'a> {
    memory: &'a dyn Memory,
    pub(super) width: Width,
    /// An address of the file plus this is one of the process, modulo 2⁶⁴.
    bias: u64,
    /// The program header table.
    pub(super) table: Range,
    segments: Vec<Segment>,
}

pub(super) fn identity(memory: &dyn Memory, base: u64) -> Option<Identity> {
    let image = Image::at(memory, base)?;
    let soname = image.soname().unwrap_or_default();
    Some(Identity {
        build_id: image.build_id(),
        version: version(&soname),
        soname,
        size: image.size(),
        ..Identity::default()
    })
}

/// What follows `.so.` in a soname: `6` of `libc.so.6`.
fn version(soname: &str) -> String {
    let tail = soname.split_once(".so.").map(|(_, tail)| tail);
    tail.unwrap_or_default().to_owned()
}

impl<'a> Image<'a> {
    /// The image whose file header is at `base`; `None` if there is none.
    pub(super) fn at(memory: &'a dyn Memory, base: u64) -> Option<Self> {
        let head = Head::of(&bytes_at(memory, base, HEAD_SIZE as u64, HEAD_SIZE))?;
        let start = base.checked_add(head.segments_at)?;
        let mut image = Self::with_table(memory, head.width, start, head.segment_count)?;
        // The segment that holds the file header says where the file wanted to lie.
        let loads = image.of_kind(elf::PT_LOAD);
        let first = loads.filter(|s| s.file_size > 0).min_by_key(|s| s.offset)?;
        let linked = first.address.wrapping_sub(first.offset);
        image.bias = base.wrapping_sub(linked);
        Some(image)
    }

    /// The image whose program headers are at `start`; its bias is not known yet.
    pub(super) fn with_table(
        memory: &'a dyn Memory,
        width: Width,
        start: u64,
        count: u16,
    ) -> Option<Self> {
        let count = usize::from(count).min(MOST_SEGMENTS);
        let size = count * segment_size(width);
        let bytes = bytes_at(memory, start, size as u64, size);
        Some(Self {
            memory,
            width,
            bias: 0,
            table: Range::new(start, start.checked_add(size as u64)?),
            segments: segments(width, &bytes, count),
        })
    }

    /// Sets the bias: the program headers are at an address of the process, and `PT_PHDR` holds
    /// their address in the file.
    pub(super) fn place_by_table(&mut self) {
        let linked = self.of_kind(elf::PT_PHDR).next().map(|s| s.address);
        if let Some(linked) = linked {
            self.bias = self.table.start.wrapping_sub(linked);
        }
    }

    /// The ranges of the process in which the segments of that type are.
    pub(super) fn ranges(&self, kind: elf::ProgramType) -> impl Iterator<Item = Range> {
        self.of_kind(kind).map(|segment| {
            let start = segment.address.wrapping_add(self.bias);
            Range::new(start, start.saturating_add(segment.memory_size))
        })
    }

    fn of_kind(&self, kind: elf::ProgramType) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(move |s| s.kind == kind.0)
    }

    fn size(&self) -> u64 {
        let loads = || self.of_kind(elf::PT_LOAD);
        let start = loads().map(|s| s.address & !4095).min().unwrap_or_default();
        let end = loads()
            .map(|s| s.address.saturating_add(s.memory_size))
            .max();
        end.unwrap_or_default().saturating_sub(start)
    }

    fn build_id(&self) -> Vec<u8> {
        let mut left = MOST_NOTES;
        let notes_of = |segment: &Segment| {
            let start = segment.address.wrapping_add(self.bias);
            let bytes = bytes_at(self.memory, start, segment.file_size, left);
            left -= bytes.len();
            build_id(&bytes, segment.align)
        };
        let id = self.of_kind(elf::PT_NOTE).find_map(notes_of);
        id.unwrap_or_default()
    }

    fn soname(&self) -> Option<String> {
        let name = self.dynamic_value(elf::DT_SONAME)?;
        let strings = self.dynamic_value(elf::DT_STRTAB)?;
        let at = |strings: u64| {
            let text = self
                .memory
                .read_c_string(strings.checked_add(name)?, MOST_NAME)?;
            String::from_utf8(text).ok().filter(|text| !text.is_empty())
        };
        // glibc writes the address as it lies in memory over the file's, others leave it.
        let moved = self.contains(strings);
        let first = if moved {
            strings
        } else {
            strings.wrapping_add(self.bias)
        };
        at(first)
    }

    fn contains(&self, address: u64) -> bool {
        self.ranges(elf::PT_LOAD)
            .any(|range| range.contains(address))
    }

    /// The value of the first entry with that tag in the dynamic section; `None` if there is none.
    pub(super) fn dynamic_value(&self, tag: elf::DynamicTag) -> Option<u64> {
        let range = self.ranges(elf::PT_DYNAMIC).next()?;
        dynamic_entries(self.memory, self.width, range)
            .into_iter()
            .find_map(|(found, value)| (found == tag.0 as u64).then_some(value))
    }
}

/// The entries of a dynamic section, without the one that ends it.
pub(super) fn dynamic_entries(memory: &dyn Memory, width: Width, range: Range) -> Vec<(u64, u64)> {
    let bytes = bytes_at(memory, range.start, range.len(), MOST_DYNAMIC);
    let mut words = Take(&bytes);
    let mut entries = Vec::new();
    while let Some(entry) = words.word(width).zip(words.word(width)) {
        if entry.0 == elf::DT_NULL.0 as u64 {
            break;
        }
        entries.push(entry);
    }
    entries
}

/// The build-id of a file by its section headers. The program headers of a file with debug information do not lead to it.
pub(super) fn build_id_by_section(bytes: &[u8]) -> Vec<u8> {
    let id = match Head::of(bytes).map(|head| head.width) {
        Some(Width::Four) => build_id_of_sections::<elf::FileHeader32<LE>>(bytes),
        Some(Width::Eight) => build_id_of_sections::<elf::FileHeader64<LE>>(bytes),
        None => None,
    };
    id.unwrap_or_default()
}

fn build_id_of_sections<F: FileHeader<Endian = LE>>(bytes: &[u8]) -> Option<Vec<u8>> {
    let header = F::parse(bytes).ok()?;
    if header.e_shnum(LE) > MOST_SECTIONS || header.e_shnum(LE) == 0 {
        return None;
    }
    let sections = header.section_headers(LE, bytes).ok()?.iter();
    let mut left = MOST_NOTES;
    let mut notes = sections.filter(|section| section.sh_type(LE) == elf::SHT_NOTE);
    notes.find_map(|section| {
        let data = section.data(LE, bytes).ok()?;
        let data = &data[..data.len().min(left)];
        left -= data.len();
        build_id(data, section.sh_addralign(LE).into())
    })
}

fn build_id(bytes: &[u8], align: u64) -> Option<Vec<u8>> {
    notes(bytes, align)
        .find(|note| note.owner == b"GNU" && note.kind == elf::NT_GNU_BUILD_ID.0)
        .map(|note| note.descriptor.to_vec())
}

/// A file, read as if it were loaded with its header at address 0.
pub(super) struct LoadedFile<'a> {
    bytes: &'a [u8],
    segments: Vec<Segment>,
    linked: u64,
}

impl<'a> LoadedFile<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let head = Head::of(bytes)?;
        let table = bytes.get(usize::try_from(head.segments_at).ok()?..)?;
        let count = usize::from(head.segment_count).min(MOST_SEGMENTS);
        let mut segments = segments(head.width, table, count);
        segments.retain(|s| s.kind == elf::PT_LOAD.0 && s.file_size > 0);
        let linked = segments
            .iter()
            .min_by_key(|s| s.offset)
            .map_or(0, |s| s.address.wrapping_sub(s.offset));
        Some(Self {
            bytes,
            segments,
            linked,
        })
    }

    /// The offset of `address` in the file, and how many bytes of its segment follow.
    fn offset(&self, address: u64) -> Option<(u64, u64)> {
        self.segments.iter().find_map(|segment| {
            let start = segment.address.wrapping_sub(self.linked);
            let within = address.checked_sub(start)?;
            let left = segment
                .file_size
                .checked_sub(within)
                .filter(|&left| left > 0)?;
            Some((segment.offset.checked_add(within)?, left))
        })
    }
}

impl Memory for LoadedFile<'_> {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        // The headers are always there, whether a segment holds them or not.
        let headers = (address, self.bytes.len() as u64);
        let (offset, left) = self.offset(address).unwrap_or(headers);
        copy(self.bytes, offset, left, buf)
    }
}

/// Copies the file from `offset` on, at most `left` bytes.
pub(super) fn copy(bytes: &[u8], offset: u64, left: u64, buf: &mut [u8]) -> usize {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let there = bytes.get(start..).unwrap_or_default();
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    let count = there.len().min(left).min(buf.len());
    buf[..count].copy_from_slice(&there[..count]);
    count
}
