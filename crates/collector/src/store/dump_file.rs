//! A file that may be a dump of firstchance: its name, what it takes on the disk, and its record.

use super::{content::DumpContent, record::Record};
use platform::{FileBytes, Peek};
use policy::Stored;
use snapshot::{Compression, WallTime};
use std::{path::Path, time::SystemTime};

/// Whether a file has the name of a dump, whole or partial.
pub(super) fn is_named(path: &Path) -> bool {
    let stem = path.file_stem().map(Path::new);
    let is_partial = path.extension().is_some_and(|end| end == "partial");
    let named = if is_partial { stem } else { Some(path) };
    named.is_some_and(is_whole)
}

/// Whether a file has the name of a dump that was finished.
fn is_whole(path: &Path) -> bool {
    let plain = Compression::plain_path(path);
    plain
        .extension()
        .is_some_and(|end| end == "core" || end == "dmp")
}

/// Whether a file has the temporary name of a dump (`.NAME.partial`).
pub(super) fn is_part(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.as_encoded_bytes());
    name.is_some_and(|name| name.starts_with(b".") && name.ends_with(b".partial"))
}

/// A regular file that may be a dump of firstchance.
pub(super) struct DumpFile {
    pub(super) bytes: u64,
    pub(super) on_disk: u64,
    pub(super) modified: SystemTime,
    /// `None` if we did not write it.
    pub(super) record: Option<Record>,
}

/// In nearly every minidump, the record lies within this many bytes.
const SHORT_HEAD: usize = 4 << 10;
/// In nearly every core, the record lies within this many bytes.
const HEAD: usize = 32 << 10;

/// The record of a dump. Returns `None` if we did not write the file.
pub(super) fn record_of(path: &Path) -> Option<Record> {
    DumpFile::at(path)?.record
}

impl DumpFile {
    /// Looks at a file: at its head first, and at all of it if the record is not there, unless it would have to be unpacked.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let mut peek = Peek::open(path).ok()?;
        let looks = [SHORT_HEAD, HEAD].into_iter();
        let told = looks
            .filter_map(|most| record_in(peek.read(most).ok()?))
            .next();
        let record =
            told.or_else(|| DumpContent::at_once(path).and_then(|dump| parsed(dump.bytes)));
        Some(Self {
            bytes: peek.len,
            on_disk: peek.on_disk,
            modified: peek.modified,
            record: record.filter(Record::is_ours),
        })
    }

    /// Who may decide about it: a part is its writer's as long as that lives, whatever its record says. Others count, and
    /// go, as any dump.
    pub(super) fn state(&self, path: &Path) -> Stored {
        let is_part = is_part(path);
        match &self.record {
            _ if is_part && platform::is_being_written(path) => Stored::Writing,
            None => Stored::Foreign,
            Some(record) if record.writing && !is_part => Stored::Writing,
            Some(_) => Stored::Ours,
        }
    }
}

fn parsed(dump: FileBytes) -> Option<Record> {
    record_in((*dump).as_ref())
}

fn record_in(bytes: &[u8]) -> Option<Record> {
    Record::parse(&formats::record(bytes)?)
}

/// The record in the bytes of a dump. Returns `None` if we did not write it.
pub(crate) fn our_record(dump: FileBytes) -> Option<Record> {
    parsed(dump).filter(Record::is_ours)
}

pub(super) fn wall(time: SystemTime) -> WallTime {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    WallTime(since.as_nanos() as i64)
}
