//! An ELF image from the memory of the process. Only what the dynamic loader needs is in memory, so
//! that there are program headers but no section headers (elf(5)).

use super::symbols::{Symbols, rank};
use super::{Files, Image, Source, Tables, debug, read_up_to};
use crate::bytes::{Bytes, Section};
use crate::unwind::Dwarf;
use object::LittleEndian as LE;
use object::elf::{
    DT_GNU_HASH, DT_HASH, DT_STRSZ, DT_STRTAB, DT_SYMTAB, DynamicTag, FileHeader32, FileHeader64,
    PT_DYNAMIC, PT_GNU_EH_FRAME, PT_LOAD, SHN_UNDEF, STB_LOCAL, STB_WEAK, STT_FUNC, STT_GNU_IFUNC,
    STT_OBJECT,
};
use object::read::elf::{FileHeader, ProgramHeader as _, Sym as _};
use snapshot::{Architecture, Memory, Module};

/// How much is read for the headers: they are in the first page.
const HEADERS: usize = 4096;

/// The largest table that is copied, in bytes; larger ones are damaged.
const LARGEST_TABLE: u64 = 64 << 20;

/// Opens the image at `base`; `None` if there is none, or its headers are not in the dump.
pub(super) fn open(
    base: u64,
    module: &Module,
    architecture: Architecture,
    memory: &dyn Memory,
    files: &dyn Files,
) -> Option<Image> {
    let header = read_up_to(memory, base, HEADERS);
    let is_narrow = architecture.pointer_size() == 4;
    let parts = match is_narrow {
        true => parts::<FileHeader32<LE>>(&header)?,
        false => parts::<FileHeader64<LE>>(&header)?,
    };
    let loaded = Loaded::new(parts, base, memory)?;
    let found = debug::separate(module, &module.build_id, None, files);
    let mut symbols = found.symbols;
    symbols.extend(match is_narrow {
        true => loaded.dynamic_symbols::<FileHeader32<LE>>(),
        false => loaded.dynamic_symbols::<FileHeader64<LE>>(),
    });
    let tables = loaded.frames(architecture);
    let has_anything = !symbols.is_empty() || tables.is_some();
    Some(Image {
        bias: loaded.bias,
        source: if has_anything {
            Source::Memory
        } else {
            Source::Nowhere
        },
        base,
        size: loaded.size(),
        tables: tables.map_or(Tables::None, |dwarf| Tables::Dwarf(Box::new(dwarf))),
        symbols,
        contents: None,
        debug: found.debug,
    })
}

/// The program headers; `None` if `header` is not that of an ELF image.
fn parts<H: FileHeader<Endian = LE>>(header: &[u8]) -> Option<Vec<Part>> {
    let programs = H::parse(header).ok()?.program_headers(LE, header).ok()?;
    let part = |program: &H::ProgramHeader| Part {
        kind: program.p_type(LE),
        address: program.p_vaddr(LE).into(),
        size: program.p_memsz(LE).into(),
    };
    Some(programs.iter().map(part).collect())
}

/// What is needed of a program header: its type, and the address and size in memory that it states.
struct Part {
    kind: object::elf::ProgramType,
    address: u64,
    size: u64,
}

/// An image in the memory of a process.
struct Loaded<'a> {
    parts: Vec<Part>,
    /// An address of the file plus this is one of the process, modulo 2⁶⁴.
    bias: u64,
    memory: &'a dyn Memory,
}

impl<'a> Loaded<'a> {
    /// `None` if no part is to be loaded.
    fn new(parts: Vec<Part>, base: u64, memory: &'a dyn Memory) -> Option<Self> {
        let loads = parts.iter().filter(|p| p.kind == PT_LOAD);
        let lowest = loads.map(|p| p.address).min()?;
        Some(Self {
            bias: base.wrapping_sub(lowest & !0xfff),
            parts,
            memory,
        })
    }

    fn part(&self, kind: object::elf::ProgramType) -> Option<&Part> {
        self.parts.iter().find(|p| p.kind == kind)
    }

    /// The size of the image in memory, in bytes, from its first page to its last.
    fn size(&self) -> Option<u64> {
        let parts = || self.parts.iter().filter(|p| p.kind == PT_LOAD);
        let end = parts().map(|p| p.address.saturating_add(p.size)).max()?;
        let start = parts().map(|p| p.address).min()? & !0xfff;
        end.checked_next_multiple_of(0x1000)?.checked_sub(start)
    }

    /// Reads up to `size` bytes at an address of the file.
    fn read(&self, address: u64, size: u64) -> Vec<u8> {
        let size = size.min(LARGEST_TABLE) as usize;
        read_up_to(self.memory, address.wrapping_add(self.bias), size)
    }

    fn word(&self, address: u64) -> Option<u32> {
        self.memory.read_u32(address.wrapping_add(self.bias))
    }

    /// The unwinding tables. `.eh_frame_hdr` has a program header. `.eh_frame` has none and its
    /// size is stated nowhere: it is read from the address in that header to the end of its
    /// segment.
    fn frames(&self, architecture: Architecture) -> Option<Dwarf> {
        let part = self.part(PT_GNU_EH_FRAME)?;
        let header = self.read(part.address, part.size);
        // The address of `.eh_frame`, as every linker writes it: signed, four bytes, relative to
        // its own address.
        let relative = match header[..] {
            [1, 0x1b, _, _, a, b, c, d, ..] => i32::from_le_bytes([a, b, c, d]),
            _ => return None,
        };
        let start = part
            .address
            .wrapping_add(4)
            .wrapping_add_signed(i64::from(relative));
        let segment = self.parts.iter().find(|p| {
            p.kind == PT_LOAD && start.checked_sub(p.address).is_some_and(|at| at < p.size)
        })?;
        let bytes = self.read(start, segment.size - (start - segment.address));
        let section = |address, bytes: Vec<u8>| {
            (!bytes.is_empty()).then_some(Section {
                address,
                bytes: Bytes::Copy(bytes),
            })
        };
        let header = section(part.address, header);
        Dwarf::new(section(start, bytes), header, None, (0, 0), architecture)
    }

    fn dynamic_symbols<H: FileHeader<Endian = LE>>(&self) -> Option<Symbols> {
        let pointer = size_of::<H::Word>() as u64;
        let dynamic = self.dynamic::<H>()?;
        let value = |tag| {
            dynamic
                .iter()
                .find(|(t, _)| *t == tag)
                .map(|(_, value)| *value)
        };
        let count = value(DT_HASH)
            .and_then(|at| self.word(self.to_file(at).wrapping_add(4)))
            .or_else(|| self.gnu_hash_count(self.to_file(value(DT_GNU_HASH)?), pointer))?;
        let entry = size_of::<H::Sym>() as u64;
        let table = self.read(self.to_file(value(DT_SYMTAB)?), u64::from(count) * entry);
        let names = self.read(self.to_file(value(DT_STRTAB)?), value(DT_STRSZ)?);
        let whole = table.len() / entry as usize;
        let (symbols, _) = object::pod::slice_from_bytes::<H::Sym>(&table, whole).ok()?;
        let found = symbols
            .iter()
            .filter_map(|symbol| describe::<H>(symbol, &names))
            .collect();
        Some(Symbols::new(Bytes::Copy(names), found))
    }

    /// The tags and values of the dynamic section; `None` if there is none.
    fn dynamic<H: FileHeader<Endian = LE>>(&self) -> Option<Vec<(DynamicTag, u64)>> {
        use object::read::elf::Dyn as _;
        let part = self.part(PT_DYNAMIC)?;
        let bytes = self.read(part.address, part.size.min(1 << 16));
        let whole = bytes.len() / size_of::<H::Dyn>();
        let (entries, _) = object::pod::slice_from_bytes::<H::Dyn>(&bytes, whole).ok()?;
        let pair = |entry: &H::Dyn| (entry.d_tag(LE), entry.d_val(LE).into());
        Some(entries.iter().map(pair).collect())
    }

    /// The address of the file for a value of the dynamic section. glibc has added the bias to
    /// these values; musl has not, nor has the kernel in its vdso.
    fn to_file(&self, address: u64) -> u64 {
        if address >= self.bias {
            address - self.bias
        } else {
            address
        }
    }

    /// The number of symbols by the `DT_GNU_HASH` table at `table`: one more than the last symbol
    /// of the last chain. `None` if the table cannot be read.
    fn gnu_hash_count(&self, table: u64, pointer: u64) -> Option<u32> {
        let header = [0, 4, 8].map(|at| self.word(table.wrapping_add(at)));
        let [Some(buckets), Some(first), Some(bloom)] = header else {
            return None;
        };
        let start = table
            .wrapping_add(16)
            .wrapping_add(u64::from(bloom) * pointer);
        let bytes = self.read(start, u64::from(buckets) * 4);
        let last = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| u32::from_le_bytes(*b))
            .max()?;
        if last < first {
            return Some(first);
        }
        let chains = start.wrapping_add(u64::from(buckets) * 4);
        // A chain's last hash has its lowest bit set. Real chains are short.
        (last..last.saturating_add(4096)).find_map(|symbol| {
            let hash = self.word(chains.wrapping_add(u64::from(symbol - first) * 4))?;
            (hash & 1 == 1).then_some(symbol + 1)
        })
    }
}

fn describe<H: FileHeader<Endian = LE>>(
    symbol: &H::Sym,
    names: &[u8],
) -> Option<(u64, u64, std::ops::Range<u32>, u32)> {
    let is_function = matches!(symbol.st_type(), STT_FUNC | STT_GNU_IFUNC);
    let is_variable = symbol.st_type() == STT_OBJECT && symbol.st_size(LE).into() > 0;
    if !(is_function || is_variable) || symbol.st_shndx(LE) == SHN_UNDEF {
        return None;
    }
    let start = symbol.st_name(LE);
    let text = names.get(start as usize..)?;
    let end = start + text.iter().position(|&b| b == 0)? as u32;
    let name = &names[start as usize..end as usize];
    let size = symbol.st_size(LE).into();
    let binding = symbol.st_bind();
    let rank = rank(name, size, binding == STB_LOCAL, binding == STB_WEAK);
    (!name.is_empty()).then_some((symbol.st_value(LE).into(), size, start..end, rank))
}
