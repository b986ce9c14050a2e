//! Room for one more dump: what has to go, goes; what is not ours stays.

use super::record::Record;
use platform::{Error, ErrorKind, FileBytes, Result};
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
    /// What it says of itself.
    pub record: Record,
}

/// The dumps of ours in a folder, whole or partial, by what their heads say.
pub fn stored_dumps(folder: &Path) -> std::io::Result<Vec<Stored>> {
    let entries = fs::read_dir(folder)?.flatten();
    let paths: Vec<PathBuf> = entries.map(|e| e.path()).filter(|p| is_named(p)).collect();
    let readers = std::thread::available_parallelism().map_or(1, usize::from);
    let share = paths.len().div_ceil(readers).max(1);
    let read = |paths: &[PathBuf]| paths.iter().filter_map(|p| read_dump(p)).collect();
    Ok(std::thread::scope(|scope| {
        let threads: Vec<_> = paths
            .chunks(share)
            .map(|paths| scope.spawn(move || -> Vec<Stored> { read(paths) }))
            .collect();
        let dumps = threads.into_iter().flat_map(|thread| thread.join().ok());
        dumps.flatten().collect()
    }))
}

/// Whether a file is called as dumps are, whole or partial.
pub(super) fn is_named(path: &Path) -> bool {
    let stem = path.file_stem().map(Path::new);
    let is_partial = path.extension().is_some_and(|end| end == "partial");
    let named = if is_partial { stem } else { Some(path) };
    let ending = named.and_then(Path::extension);
    ending.is_some_and(|end| end == "core" || end == "dmp")
}

fn read_dump(path: &Path) -> Option<Stored> {
    let found = fs::symlink_metadata(path)
        .ok()
        .filter(fs::Metadata::is_file)?;
    Some(Stored {
        path: path.to_owned(),
        bytes: found.len(),
        record: record_of(path)?,
    })
}

/// What of a dump holds its record, nearly always.
const HEAD: usize = 32 << 10;

/// The record of a dump of ours.
pub(super) fn record_of(path: &Path) -> Option<Record> {
    let head = platform::read_head(path, HEAD).ok()?;
    let record = formats::record(&head).and_then(|text| Record::parse(&text));
    match record {
        Some(record) => is_written_by_us(&record).then_some(record),
        None => platform::map_file(path).ok().and_then(our_record),
    }
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
    entries.filter_map(|entry| stored(&entry.path())).collect()
}

fn stored(path: &Path) -> Option<StoredDump<PathBuf>> {
    let ending = path.extension()?.to_str()?;
    let found = fs::symlink_metadata(path).ok()?;
    if !found.is_file() || !matches!(ending, "core" | "dmp") {
        return None;
    }
    Some(StoredDump {
        id: path.to_owned(),
        bytes: found.len(),
        taken: wall(found.modified().ok()?),
        ours: is_ours(path),
    })
}

fn is_ours(path: &Path) -> bool {
    record_of(path).is_some_and(|record| record.complete)
}

fn our_record(dump: FileBytes) -> Option<Record> {
    let record = Record::parse(&formats::record((*dump).as_ref())?)?;
    is_written_by_us(&record).then_some(record)
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
