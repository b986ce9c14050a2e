//! Room for one more dump: what has to go, goes; what is not ours stays.

use super::record::Record;
use platform::{Error, ErrorKind, FileBytes, Peek, Result};
use policy::{Disk, Retention, StoredDump};
use snapshot::WallTime;
use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Sees to it that `needed` bytes find their place in `folder` within `keep`; the dumps of ours
/// that had to go for it. Refuses where it cannot be done, before the target is touched.
pub(crate) fn make_room(folder: &Path, keep: &Retention, needed: u64) -> Result<Vec<PathBuf>> {
    let space = platform::space_at(folder);
    let space = space.map_err(|e| unusable(folder, &e))?;
    let disk = Disk {
        size: space.total,
        free: space.free,
    };
    let stored = if *keep == Retention::default() {
        Vec::new()
    } else {
        dumps_in(folder)
    };
    let verdict = keep.judge(&stored, needed, disk, now());
    if verdict.missing > 0 || needed > space.free && verdict.delete.is_empty() {
        return Err(no_room(folder, keep, needed, space.free));
    }
    let delete: Vec<PathBuf> = verdict.delete;
    for path in &delete {
        fs::remove_file(path).map_err(|e| {
            Error::of_file(&format!("deleting the old dump {}", path.display()), &e)
        })?;
    }
    Ok(delete)
}

/// Deletes the dumps of ours that are too many in `folder` now; which.
pub fn keep_within(folder: &Path, keep: &Retention) -> Vec<PathBuf> {
    let space = platform::space_at(folder).unwrap_or_default();
    let disk = Disk {
        size: space.total,
        free: space.free,
    };
    let verdict = keep.judge(&dumps_in(folder), 0, disk, now());
    let delete = verdict.delete.into_iter();
    delete
        .filter(|path| fs::remove_file(path).is_ok())
        .collect()
}

/// A dump of ours in a folder.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// What it says of itself; in a box, as a list of very many is sorted.
    pub record: Box<Record>,
}

/// The dumps of ours in a folder, whole or partial, by what their heads say; of a folder that may
/// not be listed, those that were noted for this user.
pub fn stored_dumps(folder: &Path) -> std::io::Result<Vec<Stored>> {
    let paths = super::readers::paths_in(folder)?;
    Ok(of_each(&paths, |path| {
        let found = is_named(path).then(|| DumpFile::at(path)).flatten()?;
        Some(Stored {
            path: path.to_owned(),
            bytes: found.bytes,
            record: found.record?.into(),
        })
    }))
}

/// What comes of each path, looked at by as many threads as there are processors: a folder may have
/// a hundred thousand dumps.
fn of_each<T: Send>(paths: &[PathBuf], look: impl Fn(&PathBuf) -> Option<T> + Sync) -> Vec<T> {
    let lookers = std::thread::available_parallelism().map_or(1, usize::from);
    let share = paths.len().div_ceil(lookers).max(1);
    let look = &look;
    std::thread::scope(|scope| {
        let threads: Vec<_> = paths
            .chunks(share)
            .map(|paths| scope.spawn(move || -> Vec<T> { paths.iter().filter_map(look).collect() }))
            .collect();
        let found = threads.into_iter().flat_map(|thread| thread.join().ok());
        found.flatten().collect()
    })
}

/// Whether a file is called as dumps are, whole or partial.
pub(super) fn is_named(path: &Path) -> bool {
    let stem = path.file_stem().map(Path::new);
    let is_partial = path.extension().is_some_and(|end| end == "partial");
    let named = if is_partial { stem } else { Some(path) };
    named.is_some_and(is_whole)
}

/// A regular file that may be a dump of firstchance.
struct DumpFile {
    bytes: u64,
    modified: SystemTime,
    /// `None` if it is not one.
    record: Option<Record>,
}

/// What of a minidump holds its record, nearly always.
const SHORT_HEAD: usize = 4 << 10;
/// The same of a core.
const HEAD: usize = 32 << 10;

/// The record of a dump of ours.
pub(super) fn record_of(path: &Path) -> Option<Record> {
    DumpFile::at(path)?.record
}

impl DumpFile {
    fn at(path: &Path) -> Option<Self> {
        let mut peek = Peek::open(path).ok()?;
        let looks = [SHORT_HEAD, HEAD].into_iter();
        let told = looks
            .filter_map(|most| record_in(peek.read(most).ok()?))
            .next();
        let record = told.or_else(|| platform::map_file(path).ok().and_then(parsed));
        Some(Self {
            bytes: peek.len,
            modified: peek.modified,
            record: record.filter(is_written_by_us),
        })
    }
}

fn parsed(dump: FileBytes) -> Option<Record> {
    record_in((*dump).as_ref())
}

fn record_in(bytes: &[u8]) -> Option<Record> {
    Record::parse(&formats::record(bytes)?)
}

fn unusable(folder: &Path, error: &std::io::Error) -> Error {
    let folder = folder.display();
    if error.kind() == std::io::ErrorKind::NotFound {
        return Error::new(ErrorKind::Disk, format!("there is no folder {folder}"));
    }
    Error::of_file(&format!("looking at {folder}"), error)
}

fn no_room(folder: &Path, keep: &Retention, needed: u64, free: u64) -> Error {
    let (needed, free, folder) = (needed >> 20, free >> 20, folder.display());
    let limits = if *keep == Retention::default() {
        ""
    } else {
        ", and limits to keep"
    };
    let what = format!("{folder} has {free} MB free{limits}; the dump needs about {needed} MB");
    Error::new(ErrorKind::Disk, what).advise("Write elsewhere with -o, or take a mini dump.")
}

/// The files of a folder that may be dumps; ours are those that carry a record.
fn dumps_in(folder: &Path) -> Vec<StoredDump<PathBuf>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| is_whole(path))
        .collect();
    of_each(&paths, |path| {
        let found = DumpFile::at(path)?;
        Some(StoredDump {
            id: path.to_owned(),
            bytes: found.bytes,
            taken: wall(found.modified),
            ours: found.record.is_some_and(|record| record.complete),
        })
    })
}

/// Whether a file is called as a dump that was finished.
fn is_whole(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end == "core" || end == "dmp")
}

/// The record of a dump of ours.
pub(crate) fn our_record(dump: FileBytes) -> Option<Record> {
    parsed(dump).filter(is_written_by_us)
}

fn is_written_by_us(record: &Record) -> bool {
    record.producer.starts_with("firstchance ")
}

/// Removes what runs that were killed left in `folder`, under its temporary name; which files.
/// Partial files that were labelled and kept stay.
pub(crate) fn clear_left_over(folder: &Path) -> Vec<PathBuf> {
    let unfinished = |dump| our_record(dump).is_some_and(|record| record.writing);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "partial"))
        .filter(|path| platform::remove_left_over(path, &unfinished).unwrap_or(false))
        .collect()
}

/// Calendar time now.
pub(crate) fn now() -> WallTime {
    wall(SystemTime::now())
}

fn wall(time: SystemTime) -> WallTime {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    WallTime(since.as_nanos() as i64)
}
