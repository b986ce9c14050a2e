//! Symbols, sections and notes of an ELF file, and the offsets of code in it.

use super::Spot;
use object::LittleEndian as LE;
use object::elf::{
    EM_AARCH64, EM_X86_64, FileHeader64, PF_X, PT_LOAD, ProgramHeader64, SHN_UNDEF, SHT_DYNSYM,
    SHT_SYMTAB, STT_FUNC, STT_NOTYPE,
};
use object::read::elf::{
    FileHeader as _, ProgramHeader as _, SectionHeader as _, SectionTable, Sym as _,
};
use snapshot::Architecture;
use std::{collections::HashMap, ops::Range};

/// A 64-bit image. It may have no section headers.
pub(super) struct Elf<'a> {
    pub(super) machine: Architecture,
    data: &'a [u8],
    programs: &'a [ProgramHeader64<LE>],
    sections: SectionTable<'a, FileHeader64<LE>>,
}

impl<'a> Elf<'a> {
    /// `None` if it is not a 64-bit image of a supported processor.
    pub(super) fn parse(data: &'a [u8]) -> Option<Self> {
        let header = FileHeader64::<LE>::parse(data).ok()?;
        let machine = match header.e_machine(LE) {
            EM_X86_64 => Architecture::X86_64,
            EM_AARCH64 => Architecture::Aarch64,
            _ => return None,
        };
        Some(Elf {
            machine,
            data,
            programs: header.program_headers(LE, data).ok()?,
            sections: header.sections(LE, data).unwrap_or_default(),
        })
    }

    /// The names and addresses of all symbols that are defined here and may be code: those of
    /// `.symtab`, then those of `.dynsym`.
    pub(super) fn functions(&self) -> impl Iterator<Item = (&'a [u8], u64)> {
        let tables = [SHT_SYMTAB, SHT_DYNSYM]
            .into_iter()
            .filter_map(|kind| self.sections.symbols(LE, self.data, kind).ok());
        tables.flat_map(|table| {
            let strings = table.strings();
            table.iter().filter_map(move |symbol| {
                let may_be_code = matches!(symbol.st_type(), STT_FUNC | STT_NOTYPE);
                let is_here = may_be_code && symbol.st_shndx(LE) != SHN_UNDEF;
                let name = is_here.then(|| symbol.name(LE, strings).ok()).flatten()?;
                (!name.is_empty()).then_some((name, symbol.st_value(LE)))
            })
        })
    }

    /// The place of an address; `None` if the file holds no code for it.
    pub(super) fn spot(&self, address: u64) -> Option<Spot> {
        self.programs.iter().find_map(|program| {
            let is_code = program.p_type(LE) == PT_LOAD && (program.p_flags(LE) & PF_X).0 != 0;
            let skip = address.checked_sub(program.p_vaddr(LE))?;
            let offset = program.p_offset(LE).checked_add(skip)?;
            let is_here = is_code && skip < program.p_filesz(LE);
            (is_here && offset < self.data.len() as u64).then_some(Spot { offset, address })
        })
    }

    /// The address of the image's first page, as the file states it.
    pub(super) fn first_page(&self) -> Option<u64> {
        let loads = self.programs.iter().filter(|p| p.p_type(LE) == PT_LOAD);
        loads.map(|program| program.p_vaddr(LE) & !0xfff).min()
    }

    /// The address of an exported symbol, of code or of data.
    pub(super) fn exported(&self, name: &[u8]) -> Option<u64> {
        let table = self.sections.symbols(LE, self.data, SHT_DYNSYM).ok()?;
        let strings = table.strings();
        let mut symbols = table.iter();
        let found = symbols.find(|symbol| {
            let is_here = symbol.st_shndx(LE) != SHN_UNDEF;
            is_here && symbol.name(LE, strings).is_ok_and(|found| found == name)
        })?;
        Some(found.st_value(LE))
    }

    /// The words in a range of addresses that the dynamic loader fills with addresses of this
    /// image: their addresses and their values, both as the file states them.
    pub(super) fn relocated(&self, range: Range<u64>) -> HashMap<u64, u64> {
        let sections = self.sections.iter();
        let tables = sections.filter_map(|section| section.rela(LE, self.data).ok().flatten());
        let entries = tables.flat_map(|(entries, _)| entries);
        entries
            .filter(|entry| entry.r_sym(LE, false) == 0)
            .map(|entry| (entry.r_offset.get(LE), entry.r_addend.get(LE) as u64))
            .filter(|(at, _)| range.contains(at))
            .collect()
    }

    /// The text at an address, up to its NUL.
    pub(super) fn text(&self, address: u64) -> Option<&'a [u8]> {
        let load = self.programs.iter().find_map(|program| {
            let skip = address.checked_sub(program.p_vaddr(LE))?;
            let is_here = program.p_type(LE) == PT_LOAD && skip < program.p_filesz(LE);
            is_here.then(|| program.p_offset(LE).checked_add(skip))?
        });
        let rest = self.data.get(usize::try_from(load?).ok()?..)?;
        rest.split(|byte| *byte == 0).next()
    }

    /// The first instruction from `spot` on that is not `endbr64`. The kernel must single-step a
    /// uprobe on `endbr64` (18 µs a hit); one on the `push` behind it costs a tenth of that.
    pub(super) fn behind_landing_pad(&self, spot: Spot) -> Spot {
        const ENDBR64: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
        let is_pad = self.machine == Architecture::X86_64 && self.code(spot).starts_with(ENDBR64);
        spot.plus(if is_pad { ENDBR64.len() } else { 0 })
    }

    /// The code from a place on, to the end of the file.
    pub(super) fn code(&self, spot: Spot) -> &'a [u8] {
        let from = usize::try_from(spot.offset).unwrap_or(usize::MAX);
        self.data.get(from..).unwrap_or_default()
    }

    /// The address and the bytes of a section; no bytes if the file does not hold them.
    pub(super) fn section(&self, name: &str) -> Option<(u64, &'a [u8])> {
        let (_, section) = self.sections.section_by_name(LE, name.as_bytes())?;
        let bytes = section.data(LE, self.data).unwrap_or_default();
        Some((section.sh_addr(LE), bytes))
    }

    /// The owners and the contents of the notes in a section.
    pub(super) fn notes(&self, name: &str) -> Vec<(&'a [u8], &'a [u8])> {
        let section = self.sections.section_by_name(LE, name.as_bytes());
        let notes = section.and_then(|(_, section)| section.notes(LE, self.data).ok()?);
        let Some(mut notes) = notes else {
            return Vec::new();
        };
        std::iter::from_fn(|| notes.next().ok()?)
            .map(|note| (note.name(), note.desc()))
            .collect()
    }
}
