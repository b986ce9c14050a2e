//! Files that dumps are written to, and files that are read although somebody else may have made
//! them.
//!
//! The rules are the same on both systems, and the system's part (`os::files`) carries them out: a
//! dump is private to its owner, it has a temporary name until it is complete, and no link is
//! followed.

use crate::{Error, ErrorKind, FileIdentity, Result, failpoint, os};
use snapshot::FileBytes;
use std::{
    fs::File,
    io::{self, Write},
    ops,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

/// How many names with a number (`a-1.core`) are tried before giving up.
const MOST_NAMES: u32 = 10_000;

/// How many parts of a file get disk space one by one.
const MOST_RESERVED: usize = 1024;

/// What a file begins with until the dump's own header is written. A file that still begins so was
/// left behind by a run that was killed.
const UNWRITTEN: &[u8] = b"firstchance: a dump that is not written yet\n";

/// The advice of errors about a file that has not its temporary name any more.
const GONE: &str = "Somebody removed, moved or replaced it while it was written.";

/// What a dump is written to.
#[derive(Debug)]
pub enum Output {
    /// A file that still has its temporary name.
    File(OutFile),
    /// Standard output, as with `-o -`.
    Stream(OutStream),
}

/// What is done if a file has the name that another one is to get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// The new one gets the next free name: `-1`, `-2` and so on is put before its extension.
    #[default]
    NextName,
    /// It is replaced.
    Replace,
    /// It is left, and the new one is not made.
    Refuse,
}

/// A file under a temporary name (`.NAME.partial`), readable only by its owner, that did not exist
/// before. It gets its own name by [`OutFile::publish`]. Dropping it before that removes it.
#[derive(Debug)]
pub struct OutFile {
    raw: os::RawOutput,
    folder: PathBuf,
    name: String,
    /// The temporary name.
    partial: String,
    existing: Existing,
    /// Whether it is not removed when this is dropped.
    finished: AtomicBool,
}

impl OutFile {
    /// Makes a file that can become `path`; `existing` says what happens if there is one. A link at the last component
    /// is not followed.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path, existing: Existing) -> Result<Self> {
        Self::create_under(path, existing, partial_name)
    }

    /// Makes a file that can become `path`, or another name if there is one, but most likely will not: it is no dump until
    /// then, and does not count as one. Its temporary name is `.NAME.plain.partial`.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create_aside(path: &Path) -> Result<Self> {
        let partial = |name: &str| partial_name(&format!("{name}.plain"));
        Self::create_under(path, Existing::NextName, partial)
    }

    fn create_under(
        path: &Path,
        existing: Existing,
        partial_of: impl Fn(&str) -> String,
    ) -> Result<Self> {
        let failed = |e: &io::Error| Error::of_new_file(&format!("creating {}", path.display()), e);
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
        let overwrite = existing == Existing::Replace;
        for number in 0..MOST_NAMES {
            let free = numbered(name, number);
            let partial = partial_of(&free);
            // What replaces another one gets its very name, whoever else writes one that will.
            let name = if overwrite { name.to_owned() } else { free };
            match os::create_output(&folder, &name, partial.clone(), overwrite) {
                Ok(raw) => {
                    raw.write_at(0, UNWRITTEN).map_err(|e| failed(&e))?;
                    return Ok(Self {
                        raw,
                        folder,
                        name,
                        partial,
                        existing,
                        finished: AtomicBool::new(false),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if existing == Existing::Refuse {
                        return Err(exists(path));
                    }
                }
                Err(error) => return Err(failed(&error)),
            }
        }
        let what = format!(
            "{} and {MOST_NAMES} names after it are taken",
            path.display()
        );
        Err(Error::new(ErrorKind::Disk, what))
    }

    /// Returns whether other users are kept from reading the file. Not every file system can do
    /// that.
    pub fn is_private(&self) -> bool {
        self.raw.is_private()
    }

    /// Lets one more user read the file and pass through its folder, without listing the folder.
    ///
    /// # Errors
    /// If the file system has no access control lists, or on Windows.
    pub fn allow_reader(&self, uid: u32) -> io::Result<()> {
        failpoint("access-list")?;
        self.raw.allow_reader(uid)
    }

    /// Returns the path that the file will have.
    pub fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Returns the temporary path that the file has now.
    pub fn partial_path(&self) -> PathBuf {
        self.folder.join(&self.partial)
    }

    /// Allocates disk space for these parts (offsets and lengths in bytes), so that a full disk is noticed now and not in the
    /// middle. Where there are very many, it only looks whether there is room for all of them: each would take a call.
    pub fn reserve(&self, parts: &[(u64, u64)]) -> io::Result<()> {
        failpoint("reserve")?;
        if parts.len() > MOST_RESERVED {
            return self.raw.expect_room(parts.iter().map(|(_, len)| len).sum());
        }
        let mut parts = parts.iter();
        parts.try_for_each(|&(offset, len)| self.raw.reserve(offset, len))
    }

    /// Gives back disk space that was allocated for `bytes` from `offset` on, which were not written: they read as zeros.
    ///
    /// # Errors
    /// If the file system cannot do that, or on Windows.
    pub fn give_back(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.raw.give_back(offset, bytes)
    }

    /// Writes all of `bytes` at `offset`. May be called from several threads.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        failpoint("write")?;
        self.raw.write_at(offset, bytes)
    }

    /// Reads what was written at `offset`, as many bytes as `buffer` has. Behind the end there are zeros.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self
                .raw
                .read_some(offset + done as u64, &mut buffer[done..])
            {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer[done..].fill(0);
        Ok(())
    }

    /// Writes `parts` of `bytes`, which are those at `offset`, ascending. May be called from several threads.
    pub fn write_parts(
        &self,
        offset: u64,
        bytes: &[u8],
        parts: &[ops::Range<usize>],
    ) -> io::Result<()> {
        failpoint("write")?;
        self.raw.write_parts(offset, bytes, parts)
    }

    /// Sets the length of the file in bytes.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        self.raw.set_len(len)
    }

    /// Waits until all that was written is on the disk (fsync).
    pub fn sync(&self) -> io::Result<()> {
        failpoint("sync")?;
        self.raw.sync()
    }

    /// Whether the file system may be able to [share](Self::share) blocks of an earlier file.
    pub fn may_share(&self) -> bool {
        self.raw.may_share()
    }

    /// Makes `len` bytes at `offset` the same blocks on the disk as those at `from` of an earlier file, which was
    /// [opened](crate::open_unchanged) for that. Whoever changes one of both files does not change the other.
    ///
    /// # Errors
    /// If the file system cannot do that, or these are no whole blocks of it.
    pub fn share(&self, offset: u64, earlier: &File, from: u64, len: u64) -> io::Result<()> {
        failpoint("share")?;
        self.raw.share(offset, earlier, from, len)
    }

    /// Gives the complete file its name, and returns the path that it got: if somebody took the
    /// name meanwhile, the next free one.
    ///
    /// # Errors
    /// If the file cannot be renamed.
    pub fn publish(self) -> Result<PathBuf> {
        self.take_name()
    }

    /// Does the same, and tells which file it is, if the system can: a path may be another one's later.
    ///
    /// # Errors
    /// If the file cannot be renamed.
    pub fn publish_and_identify(self) -> Result<(PathBuf, Option<FileIdentity>)> {
        let path = self.take_name()?;
        Ok((path, self.raw.identity().ok()))
    }

    fn take_name(&self) -> Result<PathBuf> {
        let failed =
            |e: &io::Error, name: &str| Error::of_file(&format!("naming the dump {name}"), e);
        failpoint("publish").map_err(|e| failed(&e, &self.name))?;
        let wanted = self.name.clone();
        for number in 0..MOST_NAMES {
            let name = numbered(&wanted, number);
            match self.raw.publish(&name, self.existing == Existing::Replace) {
                Ok(()) => {
                    self.finish();
                    return Ok(self.folder.join(name));
                }
                // Somebody took the name since it was checked.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    // The dump is whole: it must not be lost for its name.
                    self.finish();
                    return Err(failed(&error, &name).advise(self.what_is_left()));
                }
            }
        }
        Err(Error::new(
            ErrorKind::Disk,
            format!("every name like {wanted} is taken"),
        ))
    }

    /// Keeps the file as the part that it is, as `NAME.partial`, and returns its path: also if a thread that hangs drops
    /// it later. If it cannot get that name it keeps the temporary one.
    ///
    /// # Errors
    /// If somebody has removed it.
    pub fn keep_partial(&self) -> Result<PathBuf> {
        self.finish();
        let replace = self.existing == Existing::Replace;
        let names = (0..MOST_NAMES).map(|n| format!("{}.partial", numbered(&self.name, n)));
        for name in names {
            match self.raw.publish(&name, replace) {
                Ok(()) => return Ok(self.folder.join(name)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(_) => break,
            }
        }
        self.kept().ok_or_else(|| {
            let what = format!("the part of the dump {} is gone", self.name);
            Error::new(ErrorKind::Disk, what).advise(GONE)
        })
    }

    /// A sentence about a whole dump that could not get its name.
    fn what_is_left(&self) -> String {
        match self.kept() {
            Some(kept) => format!("The dump is whole, and is kept as {}.", kept.display()),
            None => GONE.to_owned(),
        }
    }

    /// The temporary path, if the file is still there.
    fn kept(&self) -> Option<PathBuf> {
        self.raw.is_there().then(|| self.partial_path())
    }

    fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }

    /// Removes the file at once if it is not finished, also while somebody writes to it: a write to a slow disk may take
    /// longer than we live.
    pub fn discard(&self) {
        if !self.finished.swap(true, Ordering::Relaxed) {
            self.raw.remove();
        }
    }
}

impl Drop for OutFile {
    fn drop(&mut self) {
        self.discard();
    }
}

/// Checks that files can be made in `folder`, by making one and removing it.
pub fn expect_writable(folder: &Path) -> Result<()> {
    let name = format!(".firstchance-{}", std::process::id());
    let names = (0..MOST_NAMES).map(|number| partial_name(&numbered(&name, number)));
    let mut tries = names.map(|partial| os::create_output(folder, &name, partial, true));
    let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
    let made = tries.find(|made| !made.as_ref().is_err_and(is_taken));
    match made.unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into())) {
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

/// Removes a file with a temporary name that a killed run left behind. It is removed if no process
/// holds it any more, and if it is empty, was never written to, or `unfinished` says so of its
/// content. Returns whether it was removed.
pub fn remove_left_over(path: &Path, unfinished: &dyn Fn(FileBytes) -> bool) -> io::Result<bool> {
    os::remove_left_over(path, &|bytes| {
        let content = (*bytes).as_ref();
        content.is_empty() || content.starts_with(UNWRITTEN) || unfinished(bytes)
    })
}

/// Whether somebody writes a file with a temporary name, or that cannot be told: in this process or another one.
pub fn is_being_written(path: &Path) -> bool {
    os::is_held(path)
}

/// Removes a file with a temporary name.
///
/// # Errors
/// [`io::ErrorKind::ResourceBusy`] if somebody writes it, or that cannot be told.
pub fn remove_part(path: &Path) -> io::Result<()> {
    match os::remove_part(path)? {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "it is being written",
        )),
    }
}

/// The temporary name of a file that is to be called `name`. Whoever looks for `NAME*`, or for all files that are not
/// hidden, does not find a dump that is still being written.
pub(crate) fn partial_name(name: &str) -> String {
    format!(".{name}.partial")
}

fn exists(path: &Path) -> Error {
    let what = format!(
        "the file {} already exists and was left as it is",
        path.display()
    );
    Error::new(ErrorKind::Exists, what)
}

/// Endings that have a point in them.
const ENDINGS: [&str; 3] = [".tar.gz", ".core.zst", ".dmp.zst"];

/// Puts a number before the extension of a name: `a.core` becomes `a-1.core`. Number 0 changes
/// nothing.
pub fn numbered(name: &str, number: u32) -> String {
    if number == 0 {
        return name.to_owned();
    }
    let double = ENDINGS.into_iter().find(|ending| name.ends_with(ending));
    let ending = match double {
        Some(ending) => name.len() - ending.len(),
        None => name.rfind('.').unwrap_or(name.len()),
    };
    match name.split_at(ending) {
        ("", _) => format!("{name}-{number}"),
        (stem, ending) => format!("{stem}-{number}{ending}"),
    }
}

/// A dump that is written to standard output.
#[derive(Debug, Default)]
pub struct OutStream {
    written: u64,
}

impl OutStream {
    /// Returns how many bytes were written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes all of `bytes` and flushes them.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        failpoint("write")?;
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

/// Writes bytes at offsets of an existing regular file, which must not be a link. The file keeps
/// its modification time.
pub fn patch_file(path: &Path, patches: &[(u64, Vec<u8>)]) -> Result<()> {
    let patched = os::patch_file(path, patches);
    patched.map_err(|e| Error::of_file(&format!("writing {}", path.display()), &e))
}

/// The space of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// How many bytes an ordinary user may still write.
    pub free: u64,
    /// The size of the file system in bytes.
    pub total: u64,
}

/// Returns the space of the file system that `folder` is on.
pub fn space_at(folder: &Path) -> io::Result<Space> {
    failpoint("space")?;
    os::space_at(folder)
}

/// Opens a regular file for reading. Does not wait for a FIFO, and fails for a device. On Linux, what is looked at is
/// copied, so that others who cut the file or write to it harm nobody.
pub fn open_file(path: &Path) -> io::Result<FileBytes> {
    os::open_file(path, None)
}

/// As [`open_file`], for a path that comes from a process of this user, or from a dump of one: root opens nothing by it
/// that the user may not read.
pub fn open_file_of(path: &Path, user: Option<u32>) -> io::Result<FileBytes> {
    os::open_file(path, user)
}

/// Opens a log to write to its end, or makes it, readable only by its owner. Does not wait, whatever is there.
///
/// # Errors
/// If it cannot be opened. With [`io::ErrorKind::InvalidInput`] if what is there is no place for a log: a link, a device, a
/// FIFO, or a file of another user (but root) or with more than one name, which others may have chosen for us.
pub fn open_log(path: &Path) -> io::Result<File> {
    os::open_log(path)
}

/// Opens a file that was [published](OutFile::publish_and_identify), if it still is the same and was not changed.
///
/// # Errors
/// If it is not.
pub fn open_unchanged(path: &Path, identity: &FileIdentity) -> io::Result<File> {
    os::open_unchanged(path, identity)
}

/// Returns whether an open file still is what it was when it was [published](OutFile::publish_and_identify).
pub fn is_unchanged(file: &File, identity: &FileIdentity) -> bool {
    os::is_unchanged(file, identity)
}

/// The user to whom a file belongs; `None` on Windows, or if it cannot be told.
pub fn owner_of(path: &Path) -> Option<u32> {
    os::owner_of(path)
}

#[cfg(test)]
mod tests {
    use super::{Existing, OutFile, is_being_written, numbered, remove_part};
    use std::{fs, io::ErrorKind::ResourceBusy, path::Path};

    fn made(folder: &Path, existing: Existing) -> OutFile {
        OutFile::create(&folder.join("x.core"), existing).expect("a file")
    }

    #[test]
    fn numbers_go_before_the_ending() {
        assert_eq!(numbered("a.b.core", 0), "a.b.core");
        assert_eq!(numbered("a.b.core", 2), "a.b-2.core");
        assert_eq!(numbered("a", 1), "a-1");
        assert_eq!(numbered(".core", 1), ".core-1");
    }

    #[test]
    fn n37_numbers_go_before_both_parts_of_a_packs_ending() {
        assert_eq!(numbered("a.b.tar.gz", 1), "a.b-1.tar.gz");
        assert_eq!(numbered("a.tgz", 1), "a-1.tgz");
        assert_eq!(numbered("a.b.core.zst", 1), "a.b-1.core.zst");
        assert_eq!(numbered(".tar.gz", 1), ".tar.gz-1");
    }

    #[test]
    fn n15_a_partial_that_is_kept_stays_when_a_hung_thread_drops_it_at_last() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = std::sync::Arc::new(made(folder.path(), Existing::NextName));
        let (go_on, hang) = std::sync::mpsc::channel::<()>();
        let held = file.clone();
        let hung = std::thread::spawn(move || {
            let _ = hang.recv();
            drop(held);
        });
        let kept = file.keep_partial().expect("kept");
        drop(file);
        drop(go_on);
        hung.join().expect("the thread ends");
        assert!(kept.exists(), "{}", kept.display());
        assert!(kept.ends_with("x.core.partial"), "{}", kept.display());
    }

    #[test]
    fn n33_a_part_is_removed_when_nobody_writes_it_any_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = made(folder.path(), Existing::NextName);
        let part = file.partial_path();
        assert!(is_being_written(&part));
        let refused = remove_part(&part).expect_err("it is being written");
        assert_eq!(refused.kind(), ResourceBusy);
        assert!(file.publish().expect("it is there").exists());

        fs::write(&part, "of a writer that died").expect("a file");
        assert!(!is_being_written(&part));
        remove_part(&part).expect("nobody holds it");
        assert!(!part.exists());
    }

    #[test]
    fn n33_two_who_replace_a_file_at_once_leave_each_others_parts() {
        let folder = tempfile::tempdir().expect("a folder");
        let left = folder.path().join(".x.core.partial");
        fs::write(left, "of a writer that died").expect("a file");
        let files: Vec<_> = (0..3)
            .map(|_| made(folder.path(), Existing::Replace))
            .collect();
        for file in files {
            assert_eq!(file.path(), folder.path().join("x.core"));
            file.publish().expect("its part is there");
        }
        let names = fs::read_dir(folder.path()).expect("it is there");
        assert_eq!(names.count(), 1);
    }

    /// On Windows a file that is open cannot be taken away.
    #[cfg(unix)]
    #[test]
    fn n33_a_part_that_is_gone_is_not_said_to_be_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        for keep in [OutFile::publish, |file: OutFile| file.keep_partial()] {
            let file = made(folder.path(), Existing::NextName);
            fs::remove_file(file.partial_path()).expect("it is there");
            let error = keep(file).expect_err("it is gone").to_string();
            assert!(!error.contains("kept as"), "{error}");
            assert!(error.contains("removed"), "{error}");
        }
    }
}
