//! The file header, program headers and the one section header of a core (elf(5)).

use crate::bytes::{Put, Width};
use object::elf::{self, FileHeader32, FileHeader64, ProgramHeader32, ProgramHeader64};
use object::endian::{LittleEndian as LE, U16, U32, U64};
use object::pod::bytes_of;
use snapshot::Architecture;

/// One entry of the program header table, of either class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) kind: u32,
    /// `PF_…` bits.
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) file_size: u64,
    pub(super) memory_size: u64,
    pub(super) align: u64,
}

/// How long all headers of a file with that many segments are, in bytes.
pub(super) fn size(width: Width, segments: usize) -> u64 {
    let (file, program, section) = sizes(width);
    let sections = if is_extended(segments) { section } else { 0 };
    (file + segments * program + sections) as u64
}

/// The bytes of all headers: the file's, the segments', and with too many segments for the
/// file header the section header that holds their number.
pub(super) fn write(architecture: Architecture, segments: &[Segment]) -> Vec<u8> {
    let width = Width::of(architecture);
    let mut bytes = Vec::with_capacity(size(width, segments.len()) as usize);
    bytes.extend(file_header(architecture, segments.len()));
    match width {
        Width::Four => segments
            .iter()
            .for_each(|s| bytes.extend(bytes_of(&s.header32()))),
        Width::Eight => segments
            .iter()
            .for_each(|s| bytes.extend(bytes_of(&s.header64()))),
    }
    if is_extended(segments.len()) {
        bytes.extend(section_header(width, segments.len()));
    }
    bytes
}

fn is_extended(segments: usize) -> bool {
    segments >= usize::from(elf::PN_XNUM)
}

/// Sizes of `Ehdr`, `Phdr` and `Shdr`.
fn sizes(width: Width) -> (usize, usize, usize) {
    match width {
        Width::Four => (
            size_of::<FileHeader32<LE>>(),
            size_of::<ProgramHeader32<LE>>(),
            size_of::<elf::SectionHeader32<LE>>(),
        ),
        Width::Eight => (
            size_of::<FileHeader64<LE>>(),
            size_of::<ProgramHeader64<LE>>(),
            size_of::<elf::SectionHeader64<LE>>(),
        ),
    }
}

fn machine(architecture: Architecture) -> elf::Machine {
    match architecture {
        Architecture::X86 => elf::EM_386,
        Architecture::X86_64 => elf::EM_X86_64,
        Architecture::Aarch64 => elf::EM_AARCH64,
    }
}

fn ident(width: Width) -> elf::Ident {
    elf::Ident {
        magic: elf::ELFMAG,
        class: match width {
            Width::Four => elf::ELFCLASS32,
            Width::Eight => elf::ELFCLASS64,
        },
        data: elf::ELFDATA2LSB,
        version: elf::EV_CURRENT,
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        padding: [0; 7],
    }
}

fn file_header(architecture: Architecture, segments: usize) -> Vec<u8> {
    let width = Width::of(architecture);
    let (file, program, section) = sizes(width);
    let extended = is_extended(segments);
    let phnum = if extended {
        elf::PN_XNUM
    } else {
        segments as u16
    };
    let shoff = if extended {
        file + segments * program
    } else {
        0
    };
    let (shentsize, shnum) = if extended {
        (section as u16, 1)
    } else {
        (0, 0)
    };
    macro_rules! header {
        ($header:ident, $word:ident) => {
            bytes_of(&$header {
                e_ident: ident(width),
                e_type: U16::new(LE, elf::ET_CORE),
                e_machine: U16::new(LE, machine(architecture)),
                e_version: U32::new(LE, 1),
                e_entry: $word::new(LE, 0),
                e_phoff: $word::new(LE, file as _),
                e_shoff: $word::new(LE, shoff as _),
                e_flags: U32::new(LE, elf::FileFlags(0)),
                e_ehsize: U16::new(LE, file as u16),
                e_phentsize: U16::new(LE, program as u16),
                e_phnum: U16::new(LE, phnum),
                e_shentsize: U16::new(LE, shentsize),
                e_shnum: U16::new(LE, shnum),
                e_shstrndx: U16::new(LE, elf::SHN_UNDEF),
            })
            .to_vec()
        };
    }
    match width {
        Width::Four => header!(FileHeader32, U32),
        Width::Eight => header!(FileHeader64, U64),
    }
}

/// Section 0 of a file with `PN_XNUM` (`Elf64_Shdr`): all zeros but its own count in `sh_size`
/// and the number of segments in `sh_info`.
fn section_header(width: Width, segments: usize) -> Vec<u8> {
    let mut out = vec![0; 8];
    [0, 0, 0, 1].map(|word| out.word(width, word));
    out.u32(0);
    out.u32(segments as u32);
    [0, 0].map(|word| out.word(width, word));
    out
}

impl Segment {
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
