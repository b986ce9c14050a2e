//! The file header, program headers and the one section header of a core (elf(5)).

use crate::bytes::{Put, Width};
use crate::elf::{Segment, segment_size};
use object::elf::{self, FileHeader32, FileHeader64};
use object::endian::{LittleEndian as LE, U16, U32, U64};
use object::pod::bytes_of;
use snapshot::Architecture;

/// The size of all headers of a file with that many segments, in bytes.
pub(super) fn size(width: Width, segments: usize) -> u64 {
    let (file, program, section) = sizes(width);
    let sections = if is_extended(segments) { section } else { 0 };
    (file + segments * program + sections) as u64
}

/// The bytes of all headers: the file header, the `count` program headers, and a section header
/// with their number if that does not fit into the file header.
pub(super) fn write(
    architecture: Architecture,
    segments: impl Iterator<Item = Segment>,
    count: usize,
) -> Vec<u8> {
    let width = Width::of(architecture);
    let mut bytes = Vec::with_capacity(size(width, count) as usize);
    bytes.extend(file_header(architecture, count));
    segments.for_each(|segment| segment.write(width, &mut bytes));
    if is_extended(count) {
        bytes.extend(section_header(width, count));
    }
    bytes
}

fn is_extended(segments: usize) -> bool {
    segments >= usize::from(elf::PN_XNUM)
}

/// Sizes of `Ehdr`, `Phdr` and `Shdr`.
fn sizes(width: Width) -> (usize, usize, usize) {
    let (file, section) = match width {
        Width::Four => (52, 40),
        Width::Eight => (64, 64),
    };
    (file, segment_size(width), section)
}

fn machine(architecture: Architecture) -> elf::Machine {
    match architecture {
        Architecture::X86 => elf::EM_386,
        Architecture::X86_64 | Architecture::X32 => elf::EM_X86_64,
        Architecture::Arm => elf::EM_ARM,
        Architecture::Aarch64 => elf::EM_AARCH64,
        Architecture::RiscV64 => elf::EM_RISCV,
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

/// Section 0 of a file with `PN_XNUM` (`Elf64_Shdr`): all zeros, except for the number of sections
/// in `sh_size` and the number of segments in `sh_info`.
fn section_header(width: Width, segments: usize) -> Vec<u8> {
    let mut out = vec![0; 8];
    [0, 0, 0, 1]
        .into_iter()
        .for_each(|word| out.word(width, word));
    out.u32(0);
    out.u32(segments as u32);
    [0, 0].into_iter().for_each(|word| out.word(width, word));
    out
}
