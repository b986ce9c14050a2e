//! Files that the symbols and the debug information of an image were moved to.

use super::symbols::Symbols;
use super::{Debug, Files, Image, mini};
use crate::bytes::Bytes;
use crate::lines::{DebugInfo, dwarf};
use object::{BinaryFormat, Object as _, ObjectSegment as _};
use snapshot::{FileBytes, Module};

/// Identifies the file that a stripped image's symbols were moved to
/// ("Debugging Information in Separate Files" of gdb's manual).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DebugFile {
    /// The image's build-id; empty if it has none.
    pub build_id: Vec<u8>,
    /// The file name in the image's section `.gnu_debuglink`.
    pub link: Option<String>,
    /// The path of the image itself.
    pub image: String,
    /// The path in another debug file's section `.gnu_debugaltlink`, if that is where it is known from.
    pub shared: Option<String>,
}

/// The folder where distributions put such files.
const FOLDER: &str = "/usr/lib/debug";

impl DebugFile {
    /// The hexadecimal digits of the build-id; `None` if it has none, or fewer than two bytes.
    pub fn build_id_text(&self) -> Option<String> {
        let text = self.build_id.iter().map(|byte| format!("{byte:02x}"));
        (self.build_id.len() > 1).then(|| text.collect())
    }

    /// The paths where the file may be, in the order in which gdb tries them.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        let id = self.build_id_text().unwrap_or_default();
        if let Some((first, rest)) = id.split_at_checked(2) {
            paths.push(format!("{FOLDER}/.build-id/{first}/{rest}.debug"));
        }
        // A link is a plain file name. One with a folder in it would lead out of these folders.
        let link = self
            .link
            .as_deref()
            .filter(|link| !link.contains(['/', '\\', '\0']));
        if let (Some(link), Some((folder, _))) = (link, self.image.rsplit_once('/')) {
            paths.push(format!("{folder}/{link}"));
            paths.push(format!("{folder}/.debug/{link}"));
            paths.push(format!("{FOLDER}{folder}/{link}"));
        }
        let is_absolute = |path: &&String| path.starts_with('/');
        paths.extend(self.shared.iter().filter(is_absolute).cloned());
        paths
    }
}

/// What was found of an image's symbols and debug information.
#[derive(Default)]
pub(super) struct Found {
    /// Best first.
    pub(super) symbols: Vec<Symbols>,
    pub(super) debug: Debug,
}

/// The symbols and debug information of an image, beside those symbols that are in its own file.
pub(super) fn of_file(
    object: &object::File,
    file: &FileBytes,
    module: &Module,
    files: &dyn Files,
) -> Found {
    let has_lines = dwarf::is_in(object);
    let has_symbols = object.section_by_name(".symtab").is_some();
    let is_elf = object.format() == BinaryFormat::Elf;
    let mut found = match is_elf && !(has_lines && has_symbols) {
        true => separate(module, &build_id(object), link(object), files),
        false => Found::default(),
    };
    if has_lines {
        found.debug.lines = Some(with_shared(object, file, files));
    }
    if found.symbols.is_empty() && !has_symbols {
        found.symbols.extend(mini::symbols(object));
    }
    found
}

/// The separate file of an image. `link` is the name and the checksum in `.gnu_debuglink`.
pub(super) fn separate(
    module: &Module,
    build_id: &[u8],
    link: Option<(&[u8], u32)>,
    files: &dyn Files,
) -> Found {
    let wanted = DebugFile {
        build_id: build_id.to_vec(),
        link: link.map(|(name, _)| String::from_utf8_lossy(name).into_owned()),
        image: module.path.clone(),
        shared: None,
    };
    let mut found = Found::default();
    if wanted.build_id.is_empty() && wanted.link.is_none() {
        return found;
    }
    for file in files.debug(&wanted) {
        if let Some(object) = opened(&file, build_id, link) {
            return of_debug_file(&object, &file, files);
        }
        found.debug.is_of_others = true;
    }
    found
}

/// The image of a module that is nowhere but in the list of modules: its separate file tells how it is loaded.
pub(super) fn alone(module: &Module, files: &dyn Files) -> Image {
    let mut image = Image::empty(module.range.start);
    let found = separate(module, &module.build_id, None, files);
    if let Some(DebugInfo::Dwarf { file, .. }) = &found.debug.lines
        && let Ok(object) = object::File::parse((**file).as_ref())
    {
        let lowest = object.segments().map(|segment| segment.address()).min();
        image.bias = image.base.wrapping_sub(lowest.unwrap_or(0) & !0xfff);
    }
    image.symbols = found.symbols;
    image.debug = found.debug;
    image
}

/// Looks for a PDB or a symbol file of Breakpad.
pub(super) fn add_tables(debug: &mut Debug, module: &Module, files: &dyn Files) {
    for file in files.tables(module) {
        debug.lines = DebugInfo::of_tables(&file, &module.build_id, module.codeview.as_ref());
        debug.is_of_others = debug.lines.is_none();
        if debug.lines.is_some() {
            return;
        }
    }
}

/// The file, if it belongs to an image with this build-id and link.
fn opened<'f>(
    file: &'f FileBytes,
    build_id: &[u8],
    link: Option<(&[u8], u32)>,
) -> Option<object::File<'f>> {
    let object = object::File::parse((**file).as_ref()).ok()?;
    let belongs = match build_id {
        [] => link.is_some_and(|(_, sum)| crc32(file) == sum),
        id => id == self::build_id(&object),
    };
    belongs.then_some(object)
}

fn of_debug_file(object: &object::File, file: &FileBytes, files: &dyn Files) -> Found {
    let symbols = Symbols::of_object(object, (**file).as_ref(), Bytes::whole(file));
    let lines = dwarf::is_in(object).then(|| with_shared(object, file, files));
    Found {
        symbols: vec![symbols],
        debug: Debug {
            lines,
            is_of_others: false,
        },
    }
}

/// The debug information in a file, with what it shares with others (`.gnu_debugaltlink` of dwz(1)).
fn with_shared(object: &object::File, file: &FileBytes, files: &dyn Files) -> DebugInfo {
    let link = object.gnu_debugaltlink().ok().flatten();
    let shared = link.and_then(|(path, id)| {
        let wanted = DebugFile {
            build_id: id.to_vec(),
            shared: Some(String::from_utf8_lossy(path).into_owned()),
            ..DebugFile::default()
        };
        let mut candidates = files.debug(&wanted);
        candidates.find(|file| opened(file, id, None).is_some())
    });
    DebugInfo::Dwarf {
        file: file.clone(),
        shared,
    }
}

fn build_id(object: &object::File) -> Vec<u8> {
    let id = object.build_id().ok().flatten();
    id.unwrap_or_default().to_vec()
}

fn link<'f>(object: &object::File<'f>) -> Option<(&'f [u8], u32)> {
    object.gnu_debuglink().ok().flatten()
}

/// The checksum in `.gnu_debuglink`: CRC-32 (ISO 3309).
fn crc32(file: &FileBytes) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let mut value = at as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 {
                    value >> 1 ^ 0xedb8_8320
                } else {
                    value >> 1
                };
                bit += 1;
            }
            table[at] = value;
            at += 1;
        }
        table
    };
    let step = |sum: u32, &byte: &u8| TABLE[usize::from(sum as u8 ^ byte)] ^ sum >> 8;
    let (mut sum, mut at, mut piece) = (u32::MAX, 0, vec![0; 1 << 20]);
    loop {
        let got = file.read_at(at, &mut piece);
        sum = piece[..got].iter().fold(sum, step);
        at += got as u64;
        if got < piece.len() {
            return !sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_files_are_looked_for_where_gdb_looks() {
        let file = DebugFile {
            build_id: vec![0xab, 0xcd, 0x01],
            link: Some("libx.debug".to_owned()),
            image: "/usr/lib/libx.so".to_owned(),
            shared: None,
        };
        assert_eq!(
            file.paths(),
            [
                "/usr/lib/debug/.build-id/ab/cd01.debug",
                "/usr/lib/libx.debug",
                "/usr/lib/.debug/libx.debug",
                "/usr/lib/debug/usr/lib/libx.debug",
            ]
        );
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_not_followed() {
        let file = DebugFile {
            link: Some("../../etc/shadow".to_owned()),
            image: "/bin/x".to_owned(),
            ..DebugFile::default()
        };
        assert_eq!(file.paths(), [""; 0]);
    }

    #[test]
    fn the_checksum_is_the_one_that_objcopy_writes() {
        let file: FileBytes = std::sync::Arc::new(b"123456789".to_vec());
        assert_eq!(crc32(&file), 0xcbf4_3926);
    }
}
