//! Dumps in a folder that other programs have written: the kernel, gdb, Windows itself by LocalDumps, Breakpad. They have no
//! record of ours; what a list shows of them is read from the dump itself. They are known by their content, not by their
//! names: a core of the kernel is called `core` or `core.4711`.

use super::{
    content::DumpContent,
    dump_file::{is_part, record_of, wall},
    keep::{Stored, of_each},
    readers::paths_in,
    record::Record,
};
use crate::local_time::rfc3339;
use formats::{Dump, ReadError, packed};
use platform::Peek;
use policy::Trigger;
use snapshot::{DumpFormat, Exception, NoMemory, WallTime};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// So much of a file tells whether it is a dump, in bytes.
const FIRST: usize = 4 << 10;
/// So much is looked at of the content of a compressed file that would have to be unpacked, in bytes: the notes of a core
/// are at its beginning.
const HEAD: usize = 1 << 20;

/// The dumps in a folder that are not ours, each with a record that is made from what it holds.
///
/// # Errors
/// If the folder cannot be listed. A file that cannot be read is left out.
pub fn foreign_dumps(folder: &Path) -> io::Result<Vec<Stored>> {
    Ok(of_each(&paths_in(folder)?, foreign_dump))
}

/// The dump of another program at that path. `None` if there is none, if it is ours, cannot be read, or is cut off before it
/// tells of any thread or process.
pub fn foreign_dump(path: &PathBuf) -> Option<Stored> {
    let mut peek = Peek::open(path).ok().filter(|_| !is_part(path))?;
    let first = peek.read(FIRST).ok()?;
    let is_packed = packed::packing(first).is_some();
    if !(is_packed || formats::may_be_dump(first)) || record_of(path).is_some() {
        return None;
    }
    let told = match is_packed {
        true => in_packed(path, &mut peek),
        false => formats::read(DumpContent::at_once(path)?.bytes),
    };
    let record = match told {
        Ok(dump) if tells_nothing(&dump) && !is_packed => return None,
        Ok(dump) => record(&dump, wall(peek.modified)),
        Err(error @ ReadError::Other { .. }) => unread(&error, wall(peek.modified)),
        Err(_) => return None,
    };
    Some(Stored {
        path: path.to_owned(),
        bytes: peek.len,
        record: record.into(),
    })
}

fn tells_nothing(dump: &Dump) -> bool {
    dump.snapshot.threads.is_empty() && dump.snapshot.process.key.pid == 0
}

/// A compressed dump, as far as it can be read without unpacking all of it.
fn in_packed(path: &Path, peek: &mut Peek) -> Result<Dump, ReadError> {
    if let Some(content) = DumpContent::at_once(path) {
        return formats::read(content.bytes);
    }
    let head = peek.read(HEAD).map_err(|_| ReadError::Unknown)?;
    let content = packed::head(head, HEAD as u64).ok_or(ReadError::Unknown)?;
    formats::read(Arc::new(content))
}

fn record(dump: &Dump, modified: WallTime) -> Record {
    let snapshot = &dump.snapshot;
    let process = &snapshot.process;
    let crash = snapshot.exception.as_ref();
    let crash = crash.map(|exception| Trigger::Exception(named(dump, exception)));
    let comment = dump.comments.iter().find(|c| c.key == "comment");
    Record {
        complete: true,
        producer: dump.producer.clone(),
        process: process.name.clone(),
        pid: process.key.pid,
        kind: kind(dump),
        comment: comment.map(|comment| comment.text.clone()),
        taken: rfc3339(match snapshot.taken {
            WallTime(0) => modified,
            taken => taken,
        }),
        ..crash.as_ref().map(Record::of_trigger).unwrap_or_default()
    }
}

/// What it is, and who wrote it: `core of gdb`.
fn kind(dump: &Dump) -> String {
    let format = match dump.format {
        DumpFormat::Core => "core",
        DumpFormat::Minidump => "minidump",
    };
    match &dump.producer[..] {
        "" => format.to_owned(),
        producer => format!("{format} of {producer}"),
    }
}

/// The record of a dump that is known, but not read.
fn unread(error: &ReadError, modified: WallTime) -> Record {
    Record {
        complete: true,
        kind: "not read".to_owned(),
        reason: error.to_string(),
        taken: rfc3339(modified),
        ..Record::default()
    }
}

/// The exception with its printed name. A crash handler of the system dumps only what no handler of
/// the program took.
fn named(dump: &Dump, exception: &Exception) -> Exception {
    let system = &dump.snapshot.system;
    let name = analysis::exception_name(exception, system.os, system.architecture, &NoMemory);
    Exception {
        name,
        first_chance: false,
        ..exception.clone()
    }
}
