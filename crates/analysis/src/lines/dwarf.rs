//! Lines by DWARF.

use super::metered::{Budget, Metered};
use super::{Line, Place, Trouble, shown};
use addr2line::Context;
use gimli::{DwarfSections, SectionId};
use object::{CompressionFormat, Object, ObjectSection as _};
use snapshot::FileBytes;
use std::borrow::Cow;
use std::cell::Cell;
use std::io::Read;

/// The most of all sections together that is unpacked, in bytes.
pub(super) const MOST_UNPACKED: usize = 512 << 20;

/// How often the sections may be read, on the average of their bytes. Each unit is read for its functions, each function once more
/// for what is inlined in it.
const READS: u64 = 4;

/// What a small file may be read beyond that, in bytes.
const FREE_READS: u64 = 1 << 20;

/// The sections that lines need. Others, those of variables and types, are large and not read.
const NEEDED: [SectionId; 10] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugAranges,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
];

type Sections<'a> = DwarfSections<Cow<'a, [u8]>>;

/// Whether a file has DWARF of its code.
pub(crate) fn is_in(object: &object::File) -> bool {
    object.section_by_name(".debug_info").is_some()
}

/// The places of addresses of the file, in their order. `shared` is the file that `.gnu_debugaltlink` names.
///
/// # Errors
/// If the file cannot be read, or is too large.
pub(super) fn places(
    file: &FileBytes,
    shared: Option<&FileBytes>,
    wanted: &[u64],
) -> Result<Vec<Option<Place>>, Trouble> {
    let sizes = Sizes::default();
    let own = sections(file, &sizes)?;
    let shared = shared.map(|file| sections(file, &sizes)).transpose()?;
    let budget = Budget::new(FREE_READS + READS * sizes.all.get() as u64);
    let dwarf = own.borrow_with_sup(shared.as_ref(), |bytes| Metered::new(bytes, &budget));
    let context = Context::from_dwarf(dwarf).map_err(damaged)?;
    // One function that is damaged leaves the others as they are.
    let found = wanted.iter().map(|at| place(&context, *at).ok().flatten());
    let found = found.collect();
    match budget.is_used_up() {
        true => Err(Trouble::Damaged("it refers to itself too often".to_owned())),
        false => Ok(found),
    }
}

fn place(context: &Context<Metered>, address: u64) -> gimli::Result<Option<Place>> {
    // Parts of it may be in files of their own (`-gsplit-dwarf`). Those are not looked for.
    let mut frames = context.find_frames(address).skip_all_loads()?;
    let mut lines = Vec::new();
    while let Some(frame) = frames.next()? {
        lines.push(line(&frame));
    }
    Ok(Place::of(lines, None))
}

fn line(frame: &addr2line::Frame<Metered>) -> Line {
    let name = frame.function.as_ref().and_then(|f| f.raw_name().ok());
    let location = frame.location.as_ref();
    Line {
        function: name.map(|name| shown(&name)),
        file: location.and_then(|l| l.file).map(str::to_owned),
        line: location.and_then(|l| l.line),
    }
}

fn damaged(error: gimli::Error) -> Trouble {
    Trouble::Damaged(error.to_string())
}

/// How large the sections are that were read, in bytes.
#[derive(Default)]
struct Sizes {
    all: Cell<usize>,
    unpacked: Cell<usize>,
}

/// The sections of a file, whose sizes are added to `sizes`.
fn sections<'a>(file: &'a FileBytes, sizes: &Sizes) -> Result<Sections<'a>, Trouble> {
    let object = object::File::parse((**file).as_ref());
    let object = object.map_err(|error| Trouble::Damaged(error.to_string()))?;
    DwarfSections::load(|id| match NEEDED.contains(&id) {
        true => content(&object, id.name(), sizes),
        false => Ok(Cow::default()),
    })
}

/// The content of a section; nothing if there is none. Distributions compress these sections.
fn content<'a>(
    object: &object::File<'a>,
    name: &str,
    sizes: &Sizes,
) -> Result<Cow<'a, [u8]>, Trouble> {
    let unreadable = |error: object::Error| Trouble::Damaged(format!("{name}: {error}"));
    let Some(section) = object.section_by_name(name) else {
        return Ok(Cow::default());
    };
    let packed = section.compressed_data().map_err(unreadable)?;
    let size = usize::try_from(packed.uncompressed_size).unwrap_or(usize::MAX);
    sizes.all.set(sizes.all.get().saturating_add(size));
    let unpacked = |reader: &mut dyn Read| {
        sizes
            .unpacked
            .set(sizes.unpacked.get().saturating_add(size));
        if sizes.unpacked.get() > MOST_UNPACKED {
            return Err(Trouble::TooLarge);
        }
        unpack(reader, size).ok_or_else(|| Trouble::Damaged(format!("{name} cannot be unpacked")))
    };
    match packed.format {
        CompressionFormat::None => Ok(Cow::Borrowed(packed.data)),
        CompressionFormat::Zlib => {
            unpacked(&mut flate2::read::ZlibDecoder::new(packed.data)).map(Cow::Owned)
        }
        CompressionFormat::Zstandard => {
            let decoder = zstd::Decoder::with_buffer(packed.data);
            let failed = |error: std::io::Error| Trouble::Damaged(format!("{name}: {error}"));
            unpacked(&mut decoder.map_err(failed)?).map(Cow::Owned)
        }
        _ => Err(Trouble::Damaged(format!(
            "{name} is packed in an unknown way"
        ))),
    }
}

/// Unpacks so many bytes; `None` if there are fewer or more.
fn unpack(packed: &mut dyn Read, size: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    packed.take(size as u64 + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() == size).then_some(bytes)
}
