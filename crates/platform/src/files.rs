use crate::{Error, ErrorKind, Result, failpoint, os};
use snapshot::FileBytes;
use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// How many names with a number are tried before giving up.
const MOST_NAMES: u32 = 10_000;

/// What a file begins with until its dump does: one that still has it was left behind.
const UNWRITTEN: &[u8] = b"firstchance: a dump that is not written yet\n";

/// Where a dump is written to.
#[derive(Debug)]
pub enum Output {
    /// A file with a temporary name.
    File(OutFile),
    /// Standard output.
    Stream(OutStream),
}

/// A file under a temporary name (`….partial`), private to its owner, made exclusively: it takes
/// its own name only when it is whole. Dropped before that, it is removed.
#[derive(Debug)]
pub struct OutFile {
    raw: os::RawOutput,
    folder: PathBuf,
    name: String,
    overwrite: bool,
    finished: bool,
}

impl OutFile {
    /// Makes `path` + `.partial`. Where `path` is taken, and may not be overwritten, `-1`, `-2` …
    /// goes before its ending. No link is followed at the last component.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self> {
        let failed = |e: &io::Error| Error::of_file(&format!("creating {}", path.display()), e);
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else {
            let what = format!("{} is no name for a file", path.display());
            return Err(Error::new(ErrorKind::Disk, what));
        };
        failpoint("create").map_err(|e| failed(&e))?;
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        for number in 0..MOST_NAMES {
            let name = numbered(name, number);
            match os::create_output(&folder, &name, overwrite) {
                Ok(raw) => {
                    raw.write_at(0, UNWRITTEN).map_err(|e| failed(&e))?;
                    return Ok(Self {
                        raw,
                        folder,
                        name,
                        overwrite,
                        finished: false,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !overwrite => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        let what = format!(
            "{} and {MOST_NAMES} names after it are taken",
            path.display()
        );
        Err(Error::new(ErrorKind::Disk, what))
    }

    /// Whether others are kept from reading it; not every file system can.
    pub fn is_private(&self) -> bool {
        self.raw.is_private()
    }

    /// Lets one user more read it, and go through its folder, whose list they do not get. An error
    /// where the file system has no access lists.
    pub fn allow_reader(&self, uid: u32) -> io::Result<()> {
        failpoint("access-list")?;
        self.raw.allow_reader(uid)
    }

    /// The name it will have.
    pub fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// The name it has now.
    pub fn partial_path(&self) -> PathBuf {
        self.folder.join(format!("{}.partial", self.name))
    }

    /// Sets `bytes` of disk aside, so that a full disk shows now and not in the middle.
    pub fn reserve(&self, bytes: u64) -> io::Result<()> {
        failpoint("reserve")?;
        self.raw.reserve(bytes)
    }

    /// Writes all of `bytes` at `offset`; may be called from several threads.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        failpoint("write")?;
        self.raw.write_at(offset, bytes)
    }

    /// Makes the file exactly this long.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        self.raw.set_len(len)
    }

    /// Waits until everything is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        failpoint("sync")?;
        self.raw.sync()
    }

    /// Gives the file its name, which it now deserves; the name it got.
    pub fn publish(mut self) -> Result<PathBuf> {
        let failed =
            |e: &io::Error, name: &str| Error::of_file(&format!("naming the dump {name}"), e);
        failpoint("publish").map_err(|e| failed(&e, &self.name))?;
        let wanted = self.name.clone();
        for number in 0..MOST_NAMES {
            let name = numbered(&wanted, number);
            match self.raw.publish(&name, self.overwrite) {
                Ok(()) => {
                    self.finished = true;
                    return Ok(self.folder.join(name));
                }
                // Somebody took the name since we looked.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&error, &name)),
            }
        }
        Err(Error::new(
            ErrorKind::Disk,
            format!("every name like {wanted} is taken"),
        ))
    }

    /// Leaves it under its temporary name; that name.
    pub fn keep_partial(mut self) -> PathBuf {
        self.finished = true;
        self.partial_path()
    }
}

impl Drop for OutFile {
    fn drop(&mut self) {
        if !self.finished {
            self.raw.remove();
        }
    }
}

/// Sees whether files can be made in `folder`, by making one.
pub fn expect_writable(folder: &Path) -> Result<()> {
    let name = format!(".firstchance-{}", std::process::id());
    match os::create_output(folder, &name, true) {
        Ok(raw) => {
            raw.remove();
            Ok(())
        }
        Err(error) => {
            let what = format!("creating a file in {}", folder.display());
            Err(Error::of_file(&what, &error)
                .advise("Name a folder that exists and that you may write to."))
        }
    }
}

/// Removes the file under a temporary name that a program left when it was killed: nobody holds
/// it any more, and it never came to its dump, or `unfinished` says so of its content.
pub fn remove_left_over(path: &Path, unfinished: &dyn Fn(FileBytes) -> bool) -> io::Result<bool> {
    os::remove_left_over(path, &|bytes| {
        let content = (*bytes).as_ref();
        content.is_empty() || content.starts_with(UNWRITTEN) || unfinished(bytes)
    })
}

/// `a.core` → `a-1.core`.
fn numbered(name: &str, number: u32) -> String {
    if number == 0 {
        return name.to_owned();
    }
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => format!("{stem}-{number}.{ending}"),
        _ => format!("{name}-{number}"),
    }
}

/// Standard output, taken for a dump.
#[derive(Debug, Default)]
pub struct OutStream {
    written: u64,
}

impl OutStream {
    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes all of `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        failpoint("write")?;
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

/// Writes into a regular file that is there, no link: bytes by their offset. It stays as old as it
/// was.
pub fn patch_file(path: &Path, patches: &[(u64, Vec<u8>)]) -> Result<()> {
    let patched = os::patch_file(path, patches);
    patched.map_err(|e| Error::of_file(&format!("writing {}", path.display()), &e))
}

/// Room on the file system of a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// What an ordinary user may still take, in bytes.
    pub free: u64,
    /// All of it, in bytes.
    pub total: u64,
}

/// The room where `folder` lies.
pub fn space_at(folder: &Path) -> io::Result<Space> {
    failpoint("space")?;
    os::space_at(folder)
}

/// Maps a regular file for reading; never waits for a FIFO, never opens a device.
pub fn map_file(path: &Path) -> io::Result<FileBytes> {
    os::map_file(path)
}

/// A regular file that is looked at from its begin; as careful as [`map_file`], and cheaper where
/// there are many files. No link is followed.
#[derive(Debug)]
pub struct Peek {
    file: File,
    /// Its length in bytes.
    pub len: u64,
    /// When it was written to.
    pub modified: SystemTime,
    /// What was read so far.
    pub bytes: Vec<u8>,
}

impl Peek {
    /// Opens it; nothing is read yet.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = os::open_plain(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        Ok(Self {
            file,
            len: found.len(),
            modified: found.modified()?,
            bytes: Vec::new(),
        })
    }

    /// Reads on until there are so many bytes, or no more come.
    pub fn read(&mut self, most: usize) -> io::Result<&[u8]> {
        let missing = most.saturating_sub(self.bytes.len());
        self.bytes.reserve_exact(missing);
        (&self.file)
            .take(missing as u64)
            .read_to_end(&mut self.bytes)?;
        Ok(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn numbers_go_before_the_ending() {
        assert_eq!(numbered("a.b.core", 0), "a.b.core");
        assert_eq!(numbered("a.b.core", 2), "a.b-2.core");
        assert_eq!(numbered("a", 1), "a-1");
        assert_eq!(numbered(".core", 1), ".core-1");
    }
}
