//! The content of a dump, compressed or not.

use crate::sparse::{CHUNK, read_full, stored_parts};
use formats::packed::{self, Packing, Seekable};
use platform::{Error, ErrorKind, Existing, FileBytes, OutFile, Result, Scratch};
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The bytes that stay free on the disk: what has no known size is cut before it fills the disk.
pub(crate) const LEFT_FREE: u64 = 64 << 20;
/// Content that is longer, in bytes, is not unpacked: a small file can say that it has any length.
const LONGEST: u64 = 1 << 40;

/// A dump that was opened for reading.
pub struct DumpContent {
    /// Its bytes, not compressed. What cannot be read of them is zeros.
    pub bytes: FileBytes,
    /// The size of the file, in bytes.
    pub file_bytes: u64,
    /// What the file is compressed with.
    pub packing: Option<Packing>,
    seekable: Option<Arc<Seekable>>,
    trouble: Option<String>,
}

impl DumpContent {
    /// Opens a dump. One that firstchance has compressed is decompressed where it is looked at; all others are unpacked into
    /// a file without a name.
    ///
    /// # Errors
    /// If the file cannot be read, or there is no room to unpack it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = platform::open_file(path)?;
        match packing_of(&file) {
            None => Ok(Self::plain(file)),
            Some(packing) => Self::unpacked(file, packing),
        }
    }

    /// As [`DumpContent::open`]; returns `None` for a file that would have to be unpacked.
    pub(super) fn at_once(path: &Path) -> Option<Self> {
        let file = platform::open_file(path).ok()?;
        match packing_of(&file) {
            None => Some(Self::plain(file)),
            Some(_) => Self::seekable(&file),
        }
    }

    /// The bytes of a file that is not compressed.
    pub fn plain(file: FileBytes) -> Self {
        Self {
            file_bytes: len(&file),
            bytes: file,
            packing: None,
            seekable: None,
            trouble: None,
        }
    }

    fn seekable(file: &FileBytes) -> Option<Self> {
        let seekable = Arc::new(Seekable::open(file)?);
        let its = seekable.clone();
        let make = Box::new(move |at, buf: &mut [u8]| its.read_at(at, buf));
        Some(Self {
            bytes: platform::made_content(seekable.len(), make).ok()?,
            file_bytes: len(file),
            packing: Some(Packing::Zstd),
            seekable: Some(seekable),
            trouble: None,
        })
    }

    fn unpacked(file: FileBytes, packing: Packing) -> io::Result<Self> {
        if let Some(opened) = Self::seekable(&file) {
            return Ok(opened);
        }
        let mut scratch = Scratch::new()?;
        let folder = scratch.folder();
        let ended = pour(&file, packing, &mut |at, part| {
            expect_room(&folder)?;
            scratch.write_at(at, part)
        });
        let Poured {
            len: unpacked,
            error,
        } = ended?;
        if let Some(error) = error.as_ref().filter(|_| unpacked == 0) {
            return Err(io::Error::other(format!(
                "it cannot be unpacked ({packing}): {error}"
            )));
        }
        Ok(Self {
            bytes: scratch.into_content(unpacked)?,
            file_bytes: len(&file),
            packing: Some(packing),
            seekable: None,
            trouble: error.map(|error| {
                format!("the compressed file is damaged or cut: only {unpacked} bytes of its content could be unpacked ({error})")
            }),
        })
    }

    /// What of the file was found damaged up to now, as a sentence; `None` if nothing was.
    pub fn trouble(&self) -> Option<String> {
        let read = self
            .seekable
            .as_ref()
            .and_then(|seekable| seekable.trouble());
        self.trouble.clone().or(read)
    }

    /// Where in the file `len` bytes of the content at `at` can be changed; `None` if they are compressed.
    pub(super) fn place_in_file(&self, at: u64, len: usize) -> Option<u64> {
        match (&self.seekable, self.packing) {
            (Some(seekable), _) => seekable.stored_at(at, len),
            (None, packing) => packing.is_none().then_some(at),
        }
    }
}

fn packing_of(file: &FileBytes) -> Option<Packing> {
    let mut first = [0; 6];
    let got = file.read_at(0, &mut first);
    packed::packing(&first[..got])
}

fn len(file: &FileBytes) -> u64 {
    (**file).as_ref().len() as u64
}

/// Whether a file is compressed.
///
/// # Errors
/// If it cannot be read.
pub fn is_packed(path: &Path) -> io::Result<bool> {
    Ok(packing_of(&platform::open_file(path)?).is_some())
}

/// Writes the content of a compressed dump to a new file, with holes for its zeros. Returns the path and the length of the
/// content in bytes.
///
/// # Errors
/// If the file is not compressed, is damaged, or there is no room. What could be unpacked of a damaged file is kept, as
/// `NAME.partial`.
pub fn unpack(path: &Path, to: &Path, existing: Existing) -> Result<(PathBuf, u64)> {
    let shown = path.display();
    let file = platform::open_file(path);
    let file = file.map_err(|e| Error::of_access(&format!("reading {shown}"), &e))?;
    let packing = packing_of(&file).ok_or_else(|| {
        let what =
            format!("{shown} is not compressed: it begins as none of zstd, gzip, xz and lz4 does");
        Error::new(ErrorKind::Other, what)
    })?;
    let out = OutFile::create(to, existing)?;
    let failed = |e: &io::Error| Error::of_file(&format!("writing {}", to.display()), e);
    let folder = to.parent().filter(|parent| *parent != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    // What the file begins with until it is written must go, also where the content begins with zeros.
    out.write_at(0, &[0; 4096]).map_err(|e| failed(&e))?;
    let poured = pour(&file, packing, &mut |at, part| {
        expect_room(folder)?;
        out.write_at(at, part)
    });
    let Poured { len, error } = poured.map_err(|e| failed(&e))?;
    out.set_len(len)
        .and_then(|()| out.sync())
        .map_err(|e| failed(&e))?;
    let Some(error) = error else {
        return Ok((out.publish()?, len));
    };
    let what = format!(
        "{shown} is damaged or cut: {len} bytes of its content could be unpacked ({error})"
    );
    let error = Error::new(ErrorKind::Other, what);
    match len {
        0 => Err(error),
        _ => {
            let kept = out.keep_partial()?;
            Err(error.advise(format!("They are kept as {}.", kept.display())))
        }
    }
}

/// What came of unpacking.
struct Poured {
    /// The length of the content in bytes, as far as it came.
    len: u64,
    /// Why it ended early.
    error: Option<io::Error>,
}

/// Reads a compressed file to its end, and gives the content to `write` in parts, each with its offset; what is left out is
/// zeros.
///
/// # Errors
/// If `write` fails, or the content is too long.
fn pour(
    file: &FileBytes,
    packing: Packing,
    write: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<Poured> {
    let mut stream: Box<dyn Read> = packed::unpacked(file, packing)?;
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    loop {
        let got = match read_full(&mut *stream, &mut buffer) {
            Ok(0) => {
                return Ok(Poured {
                    len: at,
                    error: None,
                });
            }
            Ok(got) => got,
            Err(error) => {
                return Ok(Poured {
                    len: at,
                    error: Some(error),
                });
            }
        };
        for (within, part) in stored_parts(&buffer[..got]) {
            write(at + within as u64, part)?;
        }
        at += got as u64;
        if at > LONGEST {
            let what = "its content is longer than 1 TiB, which no dump is unpacked from";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
    }
}

/// Fails if a folder has no room any more, before its disk is full.
fn expect_room(folder: &Path) -> io::Result<()> {
    match platform::space_at(folder)?.free < LEFT_FREE {
        true => {
            let what = format!("{} has no room for the unpacked content", folder.display());
            Err(io::Error::new(io::ErrorKind::StorageFull, what))
        }
        false => Ok(()),
    }
}
