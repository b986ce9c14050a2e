//! Writes a gzipped tar file. Only its owner can read it, and it gets its name only when it is
//! complete.

use flate2::{Compression, write::GzEncoder};
use platform::{Error, ErrorKind, Existing, FileBytes, OutFile, Result};
use snapshot::WallTime;
use std::{
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

/// Bytes that are written to the file at once.
const CHUNK: usize = 1 << 20;

/// A pack that is being written. Everything in it is in one folder.
pub(super) struct Archive {
    tar: tar::Builder<GzEncoder<BufWriter<Pour>>>,
    folder: String,
    /// Modification time of all files in it, in seconds since 1970: that of the dump, as gdb warns
    /// if a program is newer than the core.
    time: u64,
    path: PathBuf,
}

impl Archive {
    pub(super) fn create(
        path: &Path,
        existing: Existing,
        folder: &str,
        taken: WallTime,
    ) -> Result<Self> {
        let file = OutFile::create(path, existing).map_err(|error| match error.kind {
            ErrorKind::Exists => error.advise("Name another file with -o."),
            _ => error,
        })?;
        let out = BufWriter::with_capacity(CHUNK, Pour { file, at: 0 });
        // The fastest level: higher ones make the memory of a process hardly smaller.
        let tar = tar::Builder::new(GzEncoder::new(out, Compression::fast()));
        Ok(Self {
            tar,
            folder: folder.to_owned(),
            time: u64::try_from(taken.0 / 1_000_000_000).unwrap_or(0),
            path: path.to_owned(),
        })
    }

    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.put_content(name, bytes, bytes.len(), 0o600)
    }

    pub(super) fn add_dump(&mut self, name: &str, file: &FileBytes) -> Result<()> {
        self.put_file(name, file, 0o600)
    }

    pub(super) fn add_program(&mut self, name: &str, file: &FileBytes) -> Result<()> {
        self.put_file(name, file, 0o755)
    }

    fn put_file(&mut self, name: &str, file: &FileBytes, mode: u32) -> Result<()> {
        let size = (**file).as_ref().len();
        let content = BufReader::with_capacity(CHUNK, Content { file, at: 0 });
        self.put_content(name, content.take(size as u64), size, mode)
    }

    fn put_content(
        &mut self,
        name: &str,
        content: impl Read,
        size: usize,
        mode: u32,
    ) -> Result<()> {
        let mut header = self.header(mode);
        header.set_size(size as u64);
        let name = format!("{}/{name}", self.folder);
        let added = self.tar.append_data(&mut header, name, content);
        added.map_err(|e| self.failed(&e))
    }

    /// Adds symbolic links of these names to `file`, by relative paths that stay within the pack.
    pub(super) fn add_links(&mut self, file: &str, names: &[String]) -> Result<()> {
        for name in names {
            let up = "../".repeat(name.matches('/').count());
            let mut header = self.header(0o777);
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            let name = format!("{}/{name}", self.folder);
            let target = format!("{up}{file}");
            let added = self.tar.append_link(&mut header, name, target);
            added.map_err(|e| self.failed(&e))?;
        }
        Ok(())
    }

    fn header(&self, mode: u32) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_mtime(self.time);
        header
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::of_file(&format!("writing {}", self.path.display()), error)
    }

    /// Completes the file and gives it its name. Returns its path.
    pub(super) fn finish(self) -> Result<PathBuf> {
        let path = self.path;
        let failed = |e: io::Error| Error::of_file(&format!("writing {}", path.display()), &e);
        let gzip = self.tar.into_inner().map_err(failed)?;
        let out = gzip.finish().map_err(failed)?;
        let pour = out.into_inner().map_err(|e| failed(e.into_error()))?;
        // OutFile reserves some bytes at the start, which may be more than were written.
        pour.file.set_len(pour.at).map_err(failed)?;
        pour.file.sync().map_err(failed)?;
        pour.file.publish()
    }
}

/// A file that is read from start to end.
struct Content<'a> {
    file: &'a FileBytes,
    at: u64,
}

impl Read for Content<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(self.at, buf);
        self.at += got as u64;
        Ok(got)
    }
}

/// A file that is written from start to end.
struct Pour {
    file: OutFile,
    at: u64,
}

impl Write for Pour {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(self.at, bytes)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
