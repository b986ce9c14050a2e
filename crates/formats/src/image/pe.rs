//! The identity of a PE image in memory (Microsoft, "PE Format").

use super::{Identity, bytes_at, elf::copy, structure};
use crate::bytes::{Take, c_text};
use object::endian::LittleEndian as LE;
use object::pe::{self, ImageDataDirectory, ImageNtHeaders32, ImageNtHeaders64};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader};
use snapshot::{CodeView, Memory};

/// The most entries of the debug directory, or of one resource directory, that are read.
const MOST_ENTRIES: u64 = 64;
/// The longest CodeView record, in bytes: 24 and a path.
const MOST_CODEVIEW: usize = 4096;

pub(super) fn identity(memory: &dyn Memory, base: u64) -> Option<Identity> {
    let image = Image::at(memory, base)?;
    Some(Identity {
        version: image.version().unwrap_or_default(),
        codeview: image.codeview(),
        timestamp: image.timestamp,
        checksum: image.checksum,
        size: image.size,
        ..Identity::default()
    })
}

struct Image<'a> {
    memory: &'a dyn Memory,
    base: u64,
    timestamp: u32,
    checksum: u32,
    size: u64,
    /// The address of the data directories, and their number.
    directories: (u64, u32),
}

impl<'a> Image<'a> {
    fn at(memory: &'a dyn Memory, base: u64) -> Option<Self> {
        let dos: pe::ImageDosHeader = structure(memory, base)?;
        let start = base.checked_add(dos.e_lfanew.get(LE).into())?;
        let headers: ImageNtHeaders32 = structure(memory, start)?;
        match headers.optional_header.magic.get(LE) {
            pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC => {
                Self::with::<ImageNtHeaders32>(memory, base, start)
            }
            pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC => {
                Self::with::<ImageNtHeaders64>(memory, base, start)
            }
            _ => None,
        }
    }

    fn with<H: ImageNtHeaders>(memory: &'a dyn Memory, base: u64, start: u64) -> Option<Self> {
        let headers: H = structure(memory, start)?;
        let optional = headers.optional_header();
        let directories = start.checked_add(size_of::<H>() as u64)?;
        (headers.signature() == pe::IMAGE_NT_SIGNATURE).then_some(Self {
            memory,
            base,
            timestamp: headers.file_header().time_date_stamp.get(LE),
            checksum: optional.check_sum(),
            size: optional.size_of_image().into(),
            directories: (directories, optional.number_of_rva_and_sizes()),
        })
    }

    /// The address and the size in the data directory `index`; `None` if it is empty.
    fn directory(&self, index: u32) -> Option<(u64, u64)> {
        let (start, count) = self.directories;
        let at = start.checked_add(u64::from(index) * size_of::<ImageDataDirectory>() as u64)?;
        let entry: ImageDataDirectory = structure(self.memory, at)?;
        let address = self.address(entry.virtual_address.get(LE))?;
        let size = u64::from(entry.size.get(LE));
        (index < count && size > 0).then_some((address, size))
    }

    fn address(&self, rva: u32) -> Option<u64> {
        self.base.checked_add(rva.into())
    }

    fn codeview(&self) -> Option<CodeView> {
        let (start, size) = self.directory(pe::IMAGE_DIRECTORY_ENTRY_DEBUG as u32)?;
        let entry = size_of::<pe::ImageDebugDirectory>() as u64;
        (0..(size / entry).min(MOST_ENTRIES))
            .filter_map(|n| {
                structure::<pe::ImageDebugDirectory>(self.memory, start.checked_add(n * entry)?)
            })
            .filter(|e| e.typ.get(LE) == pe::IMAGE_DEBUG_TYPE_CODEVIEW)
            .find_map(|e| {
                let at = self.address(e.address_of_raw_data.get(LE))?;
                let size = e.size_of_data.get(LE).into();
                codeview(&bytes_at(self.memory, at, size, MOST_CODEVIEW))
            })
    }

    /// The file version in the first version resource. The directory has three levels: type, name,
    /// language.
    fn version(&self) -> Option<String> {
        let (root, _) = self.directory(pe::IMAGE_DIRECTORY_ENTRY_RESOURCE as u32)?;
        let names = self.resource(root, 0, Some(pe::RT_VERSION))?;
        let languages = self.resource(root, names, None)?;
        let leaf = self.resource(root, languages, None)?;
        let data: pe::ImageResourceDataEntry =
            structure(self.memory, root.checked_add(leaf.into())?)?;
        let at = self.address(data.offset_to_data.get(LE))?;
        fixed_version(&bytes_at(self.memory, at, data.size.get(LE).into(), 4096))
    }

    /// The offset in the entry with that id in the resource directory at `root + directory`;
    /// without an id, in the first entry.
    fn resource(&self, root: u64, directory: u32, id: Option<u16>) -> Option<u32> {
        let at = root.checked_add(directory.into())?;
        let head: pe::ImageResourceDirectory = structure(self.memory, at)?;
        let named = u64::from(head.number_of_named_entries.get(LE));
        let count = named + u64::from(head.number_of_id_entries.get(LE));
        (0..count.min(MOST_ENTRIES))
            .filter_map(|n| {
                let at = at.checked_add(size_of_val(&head) as u64 + n * 8)?;
                structure::<pe::ImageResourceDirectoryEntry>(self.memory, at)
            })
            .find(|e| id.is_none_or(|id| e.name_or_id.get(LE) == u32::from(id)))
            .map(|e| e.offset_to_data_or_directory.get(LE) & !pe::IMAGE_RESOURCE_DATA_IS_DIRECTORY)
    }
}

/// `RSDS`, GUID, age, path of the PDB.
pub(crate) fn codeview(record: &[u8]) -> Option<CodeView> {
    let mut fields = Take(record.strip_prefix(b"RSDS")?);
    Some(CodeView {
        guid: fields.array()?,
        age: fields.u32()?,
        file: c_text(fields.0),
    })
}

/// `1.2.3.4` from the `VS_FIXEDFILEINFO` in a version resource.
fn fixed_version(resource: &[u8]) -> Option<String> {
    let signature = 0xfeef_04bd_u32.to_le_bytes();
    let at = resource.windows(4).position(|word| word == signature)?;
    let mut words = Take(resource.get(at + 8..)?);
    let (high, low) = (words.u32()?, words.u32()?);
    let parts = [high >> 16, high & 0xffff, low >> 16, low & 0xffff];
    Some(parts.map(|part| part.to_string()).join("."))
}

/// A file, read as if it were loaded at address 0.
pub(super) struct LoadedFile<'a> {
    bytes: &'a [u8],
    /// The address, the offset in the file and the size of each section.
    sections: Vec<(u64, u64, u64)>,
}

impl<'a> LoadedFile<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let dos = object::pod::from_bytes::<pe::ImageDosHeader>(bytes).ok()?.0;
        let start = dos.e_lfanew.get(LE) as usize;
        let file: pe::ImageFileHeader = *at(bytes, start.checked_add(4)?)?;
        let table = start + 24 + usize::from(file.size_of_optional_header.get(LE));
        let sections = (0..usize::from(file.number_of_sections.get(LE)))
            .map_while(|n| at::<pe::ImageSectionHeader>(bytes, table + n * 40))
            .map(|s| {
                let field = |word: object::U32<LE>| u64::from(word.get(LE));
                (
                    field(s.virtual_address),
                    field(s.pointer_to_raw_data),
                    field(s.size_of_raw_data),
                )
            })
            .collect();
        Some(Self { bytes, sections })
    }
}

fn at<T: object::pod::Pod>(bytes: &[u8], offset: usize) -> Option<&T> {
    let rest = bytes.get(offset..)?;
    object::pod::from_bytes(rest).ok().map(|(value, _)| value)
}

impl Memory for LoadedFile<'_> {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        let section = self.sections.iter().find_map(|&(start, offset, size)| {
            let within = address.checked_sub(start)?;
            let left = size.checked_sub(within).filter(|&left| left > 0)?;
            Some((offset.checked_add(within)?, left))
        });
        // What no section holds are the headers.
        let (offset, left) = section.unwrap_or((address, self.bytes.len() as u64));
        copy(self.bytes, offset, left, buf)
    }
}
