//! A Windows image from the memory of the process.

use super::symbols::{Symbols, rank};
use super::{Debug, Image, Source, Tables, read_up_to};
use crate::bytes::Bytes;
use crate::unwind::FunctionTable;
use object::LittleEndian as LE;
use object::pe::{
    IMAGE_DIRECTORY_ENTRY_EXCEPTION, IMAGE_DIRECTORY_ENTRY_EXPORT, ImageDosHeader,
    ImageNtHeaders32, ImageNtHeaders64,
};
use object::read::pe::{DataDirectories, ExportTable, ExportTarget, ImageNtHeaders};
use snapshot::{Architecture, Memory};

/// How much is read for the headers, in bytes.
const HEADERS: usize = 4096;

/// The largest table that is copied, in bytes; larger ones are damaged.
const LARGEST_TABLE: u32 = 64 << 20;

/// Opens the image at `base`; `None` if there is none, or its headers are not in the dump.
pub(super) fn open(base: u64, architecture: Architecture, memory: &dyn Memory) -> Option<Image> {
    let header = read_up_to(memory, base, HEADERS);
    let directories = match architecture {
        Architecture::X86 | Architecture::Arm => directories::<ImageNtHeaders32>(&header)?,
        _ => directories::<ImageNtHeaders64>(&header)?,
    };
    let table = |index| {
        let (address, size) = directories.get(index)?.address_range();
        let size = size.min(LARGEST_TABLE) as usize;
        Some((
            address,
            read_up_to(memory, base.wrapping_add(u64::from(address)), size),
        ))
    };
    let functions = table(IMAGE_DIRECTORY_ENTRY_EXCEPTION)
        .filter(|_| architecture == Architecture::X86_64)
        .and_then(|(_, bytes)| FunctionTable::new(bytes));
    let symbols = table(IMAGE_DIRECTORY_ENTRY_EXPORT)
        .and_then(|(at, bytes)| exports(&ExportTable::parse(&bytes, at).ok()?, 0));
    Some(Image {
        bias: base,
        source: Source::Memory,
        base,
        size: None,
        tables: functions.map_or(Tables::None, Tables::Pe),
        symbols: symbols.into_iter().collect(),
        contents: None,
        debug: Debug::default(),
    })
}

/// The export table of the image at `base`: its address relative to the base, and its bytes.
pub(crate) fn export_table(
    base: u64,
    architecture: Architecture,
    memory: &dyn Memory,
) -> Option<(u32, Vec<u8>)> {
    let header = read_up_to(memory, base, HEADERS);
    let directories = match architecture {
        Architecture::X86 | Architecture::Arm => directories::<ImageNtHeaders32>(&header)?,
        _ => directories::<ImageNtHeaders64>(&header)?,
    };
    let (at, size) = directories
        .get(IMAGE_DIRECTORY_ENTRY_EXPORT)?
        .address_range();
    let bytes = read_up_to(
        memory,
        base.wrapping_add(at.into()),
        size.min(LARGEST_TABLE) as usize,
    );
    Some((at, bytes))
}

fn directories<H: ImageNtHeaders>(header: &[u8]) -> Option<DataDirectories<'_>> {
    let dos = ImageDosHeader::parse(header).ok()?;
    let mut offset = u64::from(dos.e_lfanew.get(LE));
    Some(H::parse(header, &mut offset).ok()?.1)
}

/// The functions that a DLL exports; `base` is added to their addresses, which are relative to the
/// image's base.
pub(super) fn exports(table: &ExportTable, base: u64) -> Option<Symbols> {
    let mut names = Vec::new();
    let mut found = Vec::new();
    for export in table.exports().ok()? {
        let (Some(name), ExportTarget::Address(target)) = (export.name, export.target) else {
            continue;
        };
        let start = u32::try_from(names.len()).ok()?;
        names.extend_from_slice(name);
        let range = start..u32::try_from(names.len()).ok()?;
        let address = base.wrapping_add(u64::from(target));
        found.push((address, 0, range, rank(name, 0, false, false)));
    }
    Some(Symbols::new(Bytes::Copy(names), found))
}
