//! Dumps that others have written into a folder, such as Windows itself by LocalDumps: they carry no
//! record of ours, and what they are is read from what they hold.

use super::{
    keep::{Stored, is_named, record_of},
    record::Record,
};
use crate::local_time::rfc3339;
use formats::Dump;
use snapshot::{Exception, NoMemory};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The dumps in a folder that are not ours. Their records say what could be told.
pub fn foreign_dumps(folder: &Path) -> io::Result<Vec<Stored>> {
    let entries = fs::read_dir(folder)?.flatten();
    let paths = entries.map(|entry| entry.path());
    let named = paths.filter(|path| is_named(path) && record_of(path).is_none());
    Ok(named.filter_map(read).collect())
}

fn read(path: PathBuf) -> Option<Stored> {
    let found = fs::symlink_metadata(&path).ok();
    let found = found.filter(fs::Metadata::is_file)?;
    let dump = formats::read(platform::map_file(&path).ok()?).ok()?;
    Some(Stored {
        record: told(&dump).into(),
        bytes: found.len(),
        path,
    })
}

fn told(dump: &Dump) -> Record {
    let snapshot = &dump.snapshot;
    let process = &snapshot.process;
    let (system, architecture) = (snapshot.system.os, snapshot.system.architecture);
    let name = |exception: &Exception| {
        let name = analysis::exception_name(exception, system, architecture, &NoMemory);
        format!("Unhandled exception: {name}")
    };
    Record {
        complete: true,
        producer: dump.producer.clone(),
        process: process.name.clone(),
        pid: process.key.pid,
        kind: "?".to_owned(),
        taken: rfc3339(snapshot.taken),
        reason: snapshot.exception.as_ref().map(name).unwrap_or_default(),
        ..Record::default()
    }
}
