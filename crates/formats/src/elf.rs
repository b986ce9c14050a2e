//! Headers and notes of little-endian ELF files of either class (elf(5)), as plain values:
//! for cores, and for the programs and libraries in them.

use crate::bytes::Width;
use object::elf::{self, FileHeader32, FileHeader64, ProgramHeader32, ProgramHeader64};
use object::endian::{LittleEndian as LE, U32, U64};
use object::pod::{Pod, bytes_of, from_bytes, slice_from_bytes};
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader};

/// What is needed of a file header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) width: Width,
    pub(crate) kind: elf::FileType,
    pub(crate) machine: elf::Machine,
    pub(crate) segments_at: u64,
    /// `PN_XNUM` if there are too many for this field.
    pub(crate) segment_count: u16,
    pub(crate) sections_at: u64,
    pub(crate) section_count: u16,
}

/// The size of the larger of the two file headers, in bytes.
pub(crate) const HEAD_SIZE: usize = size_of::<FileHeader64<LE>>();

impl Head {
    /// The header at the start of `bytes`; `None` if this is not a little-endian ELF file.
    pub(crate) fn of(bytes: &[u8]) -> Option<Head> {
        let class = bytes.get(4)?;
        match elf::FileClass(*class) {
            elf::ELFCLASS32 => head::<FileHeader32<LE>>(bytes, Width::Four),
            elf::ELFCLASS64 => head::<FileHeader64<LE>>(bytes, Width::Eight),
            _ => None,
        }
    }
}

fn head<F: FileHeader<Endian = LE>>(bytes: &[u8], width: Width) -> Option<Head> {
    let header = from_bytes::<F>(bytes).ok()?.0;
    if !header.is_supported() || header.is_big_endian() {
        return None;
    }
    Some(Head {
        width,
        kind: header.e_type(LE),
        machine: header.e_machine(LE),
        segments_at: header.e_phoff(LE).into(),
        segment_count: header.e_phnum(LE),
        sections_at: header.e_shoff(LE).into(),
        section_count: header.e_shnum(LE),
    })
}

/// One entry of the program header table, of either class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    /// `PT_…`.
    pub(crate) kind: u32,
    /// `PF_…` bits.
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) address: u64,
    pub(crate) file_size: u64,
    pub(crate) memory_size: u64,
    pub(crate) align: u64,
}

/// The size of an entry of the program header table, in bytes.
pub(crate) const fn segment_size(width: Width) -> usize {
    match width {
        Width::Four => size_of::<ProgramHeader32<LE>>(),
        Width::Eight => size_of::<ProgramHeader64<LE>>(),
    }
}

/// The entries in `bytes`, at most `count`; an incomplete one at the end is left out.
pub(crate) fn segments(width: Width, bytes: &[u8], count: usize) -> Vec<Segment> {
    match width {
        Width::Four => table::<ProgramHeader32<LE>>(bytes, count),
        Width::Eight => table::<ProgramHeader64<LE>>(bytes, count),
    }
}

fn table<P: ProgramHeader<Endian = LE> + Pod>(bytes: &[u8], count: usize) -> Vec<Segment> {
    let count = count.min(bytes.len() / size_of::<P>());
    let entries = slice_from_bytes::<P>(bytes, count).map_or(&[][..], |(entries, _)| entries);
    entries.iter().map(Segment::of).collect()
}

impl Segment {
    fn of(header: &impl ProgramHeader<Endian = LE>) -> Self {
        Self {
            kind: header.p_type(LE).0,
            flags: header.p_flags(LE).0,
            offset: header.p_offset(LE).into(),
            address: header.p_vaddr(LE).into(),
            file_size: header.p_filesz(LE).into(),
            memory_size: header.p_memsz(LE).into(),
            align: header.p_align(LE).into(),
        }
    }

    /// Appends the entry in the form of that class.
    pub(crate) fn write(&self, width: Width, out: &mut Vec<u8>) {
        match width {
            Width::Four => out.extend_from_slice(bytes_of(&self.header32())),
            Width::Eight => out.extend_from_slice(bytes_of(&self.header64())),
        }
    }

    fn header32(&self) -> ProgramHeader32<LE> {
        ProgramHeader32 {
            p_type: U32::new(LE, elf::ProgramType(self.kind)),
            p_offset: U32::new(LE, self.offset as u32),
            p_vaddr: U32::new(LE, self.address as u32),
            p_paddr: U32::new(LE, 0),
            p_filesz: U32::new(LE, self.file_size as u32),
            p_memsz: U32::new(LE, self.memory_size as u32),
            p_flags: U32::new(LE, elf::ProgramFlags(self.flags)),
            p_align: U32::new(LE, self.align as u32),
        }
    }

    fn header64(&self) -> ProgramHeader64<LE> {
        ProgramHeader64 {
            p_type: U32::new(LE, elf::ProgramType(self.kind)),
            p_flags: U32::new(LE, elf::ProgramFlags(self.flags)),
            p_offset: U64::new(LE, self.offset),
            p_vaddr: U64::new(LE, self.address),
            p_paddr: U64::new(LE, 0),
            p_filesz: U64::new(LE, self.file_size),
            p_memsz: U64::new(LE, self.memory_size),
            p_align: U64::new(LE, self.align),
        }
    }
}

/// A note: its owner, who defines the type; its type; its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note<'a> {
    pub(crate) owner: &'a [u8],
    pub(crate) kind: u32,
    pub(crate) descriptor: &'a [u8],
}

/// The notes in `bytes`, up to the first that is damaged. `align` is the alignment of their
/// segment.
pub(crate) fn notes(bytes: &[u8], align: u64) -> impl Iterator<Item = Note<'_>> {
    let notes = NoteIterator::<FileHeader64<LE>>::new(LE, align, bytes);
    let whole = notes.into_iter().flatten().map_while(Result::ok);
    whole.map(|note| Note {
        owner: note.name(),
        kind: note.n_type(LE).0,
        descriptor: note.desc(),
    })
}
