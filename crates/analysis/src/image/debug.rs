use super::Files;
use super::symbols::Symbols;
use crate::bytes::Bytes;
use object::Object as _;
use snapshot::{FileBytes, Module};
use std::fmt::Write as _;

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
}

/// The folder where distributions put such files.
const FOLDER: &str = "/usr/lib/debug";

impl DebugFile {
    /// The paths where the file may be, in the order in which gdb tries them.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        if let [first, rest @ ..] = &self.build_id[..]
            && !rest.is_empty()
        {
            let rest = rest.iter().fold(String::new(), |mut text, byte| {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            });
            paths.push(format!("{FOLDER}/.build-id/{first:02x}/{rest}.debug"));
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
        paths
    }
}

/// The symbols in the separate file of a module; `None` if there is no such file, or it is of
/// another build. `link` is the name and the checksum in `.gnu_debuglink`.
pub(super) fn symbols(
    module: &Module,
    build_id: &[u8],
    link: Option<(&[u8], u32)>,
    files: &Files,
) -> Option<Symbols> {
    let wanted = DebugFile {
        build_id: build_id.to_vec(),
        link: link.map(|(name, _)| String::from_utf8_lossy(name).into_owned()),
        image: module.path.clone(),
    };
    if wanted.paths().is_empty() {
        return None;
    }
    let file = (files.debug)(&wanted)?;
    let bytes = (*file).as_ref();
    let object = object::File::parse(bytes).ok()?;
    let own = object.build_id().ok().flatten().unwrap_or_default();
    let belongs = match build_id {
        [] => link.is_some_and(|(_, sum)| crc32(&file) == sum),
        id => id == own,
    };
    belongs.then(|| Symbols::of_object(&object, bytes, Bytes::whole(&file)))
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
