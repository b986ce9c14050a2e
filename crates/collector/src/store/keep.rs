//! The dumps in a folder and the folder's limits: lists our dumps, and deletes old ones for new ones.
//! Files that we did not write are never deleted.

use super::{
    content::LEFT_FREE,
    dump_file::{self, DumpFile, is_named, is_part, our_record},
    record::Record,
};
use platform::{Error, ErrorKind, Result};
use policy::{Coming, Disk, Retention, StoredDump};
use snapshot::{DumpKind, WallTime};
use std::{
    cell::RefCell,
    fs,
    io::{
        self,
        ErrorKind::{NotFound, ResourceBusy},
    },
    path::{Path, PathBuf},
    time::SystemTime,
};

/// How many names are tried for a dump that has none.
const MOST_NAMES: u32 = 100;

/// The advice of errors about a disk that has no room for a dump, for who asks for one on a command line: of the smallest
/// kinds, and of the others.
pub const NO_ROOM_ADVICE: [&str; 2] = [
    "Write to another folder.",
    "Write to another folder, or take a mini dump.",
];

/// The one of [`NO_ROOM_ADVICE`] for a dump of this kind.
pub(crate) fn no_room_advice(kind: DumpKind) -> &'static str {
    NO_ROOM_ADVICE[usize::from(kind > DumpKind::Mini)]
}

/// Makes room in `folder` for a new dump within the limits `keep`, by deleting dumps of ours. Returns the deleted ones.
///
/// # Errors
/// If there would be too little room even then. Nothing is deleted in that case. `kind` is that of the dump, for the advice.
pub(crate) fn make_room(
    folder: &Path,
    keep: &Retention,
    coming: Coming,
    kind: DumpKind,
) -> Result<Vec<PathBuf>> {
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
    let needed = coming.bytes;
    let verdict = keep.judge(&stored, Some(coming), disk, now());
    if verdict.missing > 0 || needed > space.free && verdict.delete.is_empty() {
        return Err(no_room(folder, needed, space.free, kind));
    }
    let mut deleted = Vec::new();
    for path in verdict.delete {
        let gone = delete_old(&path).map_err(|e| {
            Error::of_file(&format!("deleting the old dump {}", path.display()), &e)
        })?;
        deleted.extend(gone.then_some(path));
    }
    Ok(deleted)
}

/// Checks that the disk of `folder` has room for so many bytes that are needed for a while, beside what `keep` keeps free.
///
/// # Errors
/// If there is too little, or that cannot be told.
pub(crate) fn expect_free(folder: &Path, keep: &Retention, bytes: u64) -> io::Result<()> {
    let space = platform::space_at(folder)?;
    let disk = Disk {
        size: space.total,
        free: space.free.saturating_sub(LEFT_FREE),
    };
    let of_disk = Retention {
        keep_free: keep.keep_free,
        ..Retention::default()
    };
    let coming = Coming { bytes, user: None };
    let verdict = of_disk.judge::<PathBuf>(&[], Some(coming), disk, now());
    match verdict.missing {
        0 => Ok(()),
        missing => Err(io::Error::new(
            io::ErrorKind::StorageFull,
            format!("{} MB are missing", missing.div_ceil(1 << 20)),
        )),
    }
}

/// Deletes a dump, which another one who keeps the limits may have done before. Returns whether it was us.
fn delete_old(path: &Path) -> io::Result<bool> {
    match delete_dump(path) {
        Ok(()) => Ok(true),
        // Another one's part may have got the name meanwhile.
        Err(error) if matches!(error.kind(), NotFound | ResourceBusy) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes a dump.
///
/// # Errors
/// If it cannot be deleted: with [`ResourceBusy`], if it is a part that is being written.
pub fn delete_dump(path: &Path) -> io::Result<()> {
    match is_part(path) {
        true => platform::remove_part(path),
        false => fs::remove_file(path),
    }
}

/// Makes room for a dump whose size is not known, as [`make_room`] does for one of `most` bytes, or where there is not as
/// much room, for what there is. Returns how many bytes the dump may have.
pub(crate) fn make_some_room(folder: &Path, keep: &Retention, most: Coming) -> Result<u64> {
    let space = platform::space_at(folder).map_err(|e| unusable(folder, &e))?;
    let disk = Disk {
        size: space.total,
        free: space.free.saturating_sub(LEFT_FREE),
    };
    let missing = keep
        .judge(&dumps_in(folder), Some(most), disk, now())
        .missing;
    let bytes = most.bytes.saturating_sub(missing);
    if bytes == 0 {
        return Err(no_room(folder, LEFT_FREE, space.free, DumpKind::Full));
    }
    make_room(folder, keep, Coming { bytes, ..most }, DumpKind::Full)?;
    Ok(bytes)
}

/// What was done to bring a folder within its limits.
#[derive(Debug, Default)]
pub struct Pruned {
    /// The dumps that were deleted.
    pub deleted: Vec<PathBuf>,
    /// Those that could not be deleted, and why.
    pub failed: Vec<(PathBuf, std::io::Error)>,
}

/// Deletes dumps of ours in `folder` until it is within the limits `keep`. A folder that does not exist is.
///
/// # Errors
/// If the folder cannot be listed.
pub fn keep_within(folder: &Path, keep: &Retention) -> Result<Pruned> {
    let mut pruned = Pruned::default();
    match fs::read_dir(folder) {
        Err(error) if error.kind() == NotFound => return Ok(pruned),
        listed => listed
            .map_err(|e| Error::of_access(&format!("looking into {}", folder.display()), &e))?,
    };
    let space = platform::space_at(folder).unwrap_or_default();
    let disk = Disk {
        size: space.total,
        free: space.free,
    };
    for path in keep.judge(&dumps_in(folder), None, disk, now()).delete {
        match delete_old(&path) {
            Ok(true) => pruned.deleted.push(path),
            Ok(false) => {}
            Err(error) => pruned.failed.push((path, error)),
        }
    }
    Ok(pruned)
}

/// A dump in a folder.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The path of the file.
    pub path: PathBuf,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// Its record; in a box, because very long lists are sorted.
    pub record: Box<Record>,
}

/// Our dumps in a folder, whole and partial. Of a folder that may not be listed, those that the user
/// of this program may read.
///
/// # Errors
/// If the folder cannot be listed and there is no list for the user.
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

/// Applies `look` to all paths, by as many threads as there are processors: a folder may have a
/// hundred thousand dumps.
pub(super) fn of_each<T: Send>(
    paths: &[PathBuf],
    look: impl Fn(&PathBuf) -> Option<T> + Sync,
) -> Vec<T> {
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

fn unusable(folder: &Path, error: &std::io::Error) -> Error {
    let folder = folder.display();
    if error.kind() == NotFound {
        return Error::new(ErrorKind::Disk, format!("there is no folder {folder}"));
    }
    Error::of_file(&format!("looking at {folder}"), error)
}

fn no_room(folder: &Path, needed: u64, free: u64, kind: DumpKind) -> Error {
    let limits = match needed > free {
        true => "",
        false => ", and limits to keep",
    };
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let (needed, free, folder) = (needed.div_ceil(1 << 20), free >> 20, folder.display());
    let what = format!("{folder} has {free} MB free{limits}; the dump needs about {needed} MB");
    Error::new(ErrorKind::Disk, what).advise(no_room_advice(kind))
}

/// The files in a folder that have the name of a dump, whole or partial.
fn dumps_in(folder: &Path) -> Vec<StoredDump<PathBuf>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| is_named(path))
        .collect();
    of_each(&paths, |path| {
        let found = DumpFile::at(path)?;
        Some(StoredDump {
            id: path.to_owned(),
            bytes: found.on_disk,
            taken: dump_file::wall(found.modified),
            state: found.state(path),
            user: found.record.and_then(|record| record.user),
        })
    })
}

/// What became of a file that a killed run of firstchance had left.
#[derive(Debug, PartialEq, Eq)]
pub enum LeftOver {
    /// It was unfinished, and is deleted.
    Deleted(PathBuf),
    /// All of it had been written, and it has its name now.
    Named(PathBuf),
}

/// Clears away what killed runs of firstchance have left in `folder`: unfinished dumps are deleted, and those that only lacked
/// their name get it. Partial files that were kept on purpose stay.
pub fn clear_left_over(folder: &Path) -> Vec<LeftOver> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "partial"))
        .filter_map(|path| clear(&path))
        .collect()
}

fn clear(path: &Path) -> Option<LeftOver> {
    let named = RefCell::new(None);
    let may_go = |dump| match our_record(dump) {
        Some(record) if record.writing => true,
        Some(record) if is_part(path) => {
            named.replace(give_name(path, record.complete));
            named.borrow().is_some()
        }
        _ => false,
    };
    let is_gone = platform::remove_left_over(path, &may_go).unwrap_or(false);
    let deleted = is_gone.then(|| LeftOver::Deleted(path.to_owned()));
    named.into_inner().map(LeftOver::Named).or(deleted)
}

/// Links a file with a temporary name under the name that it was to get, or that of a part, with a number where that is taken.
/// Returns its path, or `None` where the file system has no links.
fn give_name(path: &Path, is_whole: bool) -> Option<PathBuf> {
    let part = path.file_name()?.to_str()?.strip_prefix('.')?;
    let part = part.strip_suffix(".partial")?;
    let name = part.strip_suffix(".plain").unwrap_or(part);
    let name = match is_whole {
        true => name.to_owned(),
        false => format!("{name}.partial"),
    };
    let mut names = (0..MOST_NAMES).map(|n| path.with_file_name(platform::numbered(&name, n)));
    names.find(|named| fs::hard_link(path, named).is_ok())
}

/// The calendar time now.
pub(crate) fn now() -> WallTime {
    dump_file::wall(SystemTime::now())
}
