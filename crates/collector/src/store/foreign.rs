//! Dumps in a folder that other programs have written, such as Windows itself by LocalDumps. They
//! have no record of ours; what a list shows of them is read from the dump itself.

use super::{
    content::DumpContent,
    dump_file::{is_named, record_of},
    keep::Stored,
    record::Record,
};
use crate::local_time::rfc3339;
use formats::Dump;
use policy::Trigger;
use snapshot::{Exception, NoMemory};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The dumps in a folder that are not ours, each with a record that is made from what it holds.
///
/// # Errors
/// If the folder cannot be listed. A file that cannot be read is left out.
pub fn foreign_dumps(folder: &Path) -> io::Result<Vec<Stored>> {
    let entries = fs::read_dir(folder)?.flatten();
    let paths = entries.map(|entry| entry.path());
    let named = paths.filter(|path| is_named(path) && record_of(path).is_none());
    Ok(named.filter_map(read).collect())
}

fn read(path: PathBuf) -> Option<Stored> {
    let file = fs::symlink_metadata(&path).ok();
    let file = file.filter(fs::Metadata::is_file)?;
    let dump = formats::read(DumpContent::at_once(&path)?.bytes).ok()?;
    Some(Stored {
        record: record(&dump).into(),
        bytes: file.len(),
        path,
    })
}

fn record(dump: &Dump) -> Record {
    let snapshot = &dump.snapshot;
    let process = &snapshot.process;
    let crash = snapshot.exception.as_ref();
    let crash = crash.map(|exception| Trigger::Exception(named(dump, exception)));
    Record {
        complete: true,
        producer: dump.producer.clone(),
        process: process.name.clone(),
        pid: process.key.pid,
        kind: "?".to_owned(),
        taken: rfc3339(snapshot.taken),
        ..crash.as_ref().map(Record::of_trigger).unwrap_or_default()
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
