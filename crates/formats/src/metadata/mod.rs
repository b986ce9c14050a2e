//! The snapshot in a format of our own: a note in an ELF core, a user stream in a minidump. So
//! nothing of the snapshot is lost in a dump that firstchance writes and reads again.
//!
//! The format contains the names of the fields, so that other programs can read it:
//!
//! ```text
//! file   = "FCSNAP" 0 1, record
//! record = fields, one after the other; a field whose value is its default is left out
//! field  = name length (1 byte), name (ASCII), value length (LEB128), value
//! value  = number: little-endian, without its leading zero bytes (none at all for 0);
//!          signed numbers and durations too (nanoseconds; two's complement of 64 bits)
//!        | text: UTF-8
//!        | raw bytes
//!        | list: each item's length (LEB128) and the item; a pair is a list of two
//!        | range of addresses: start (LEB128), length (LEB128)
//!        | ranges: for each the distance from the last one's end (LEB128), its length (LEB128)
//!        | record
//! ```
//!
//! The names are those of the fields in [`snapshot`]. A reader skips what it does not know.

mod records;
mod value;

use records::ThreadRecord;
use snapshot::{Detail, Process, Snapshot};
use std::borrow::Cow;
use value::{Fields, field, fields, list_of, long_list};

/// The first bytes: a name, and the version of the format.
const MAGIC: [u8; 8] = *b"FCSNAP\0\x01";

/// The kind of file that the snapshot is written into. What that file holds elsewhere in full is
/// left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    /// A core. It holds all registers of the threads elsewhere.
    Core,
    /// A minidump. Its contexts do not hold all general registers. It has a stream of its own for
    /// the extended registers, and streams for the files of [`Process::files`] with these names.
    Minidump(&'static [&'static str]),
}

/// Writes a snapshot, without what a limited dump must not contain, in parts that follow each other.
pub(crate) fn write(snapshot: &Snapshot, detail: Detail, container: Container) -> Vec<Vec<u8>> {
    let mut out = MAGIC.to_vec();
    field(&mut out, "taken", &snapshot.taken);
    field(&mut out, "process", &process(snapshot, detail, container));
    field(&mut out, "system", &snapshot.system);
    let threads = snapshot.threads.iter();
    let threads = threads.map(|thread| ThreadRecord::new(thread, container));
    list_of(&mut out, "threads", threads);
    field(&mut out, "modules", &snapshot.modules);
    field(&mut out, "unloaded", &snapshot.unloaded);
    field(&mut out, "function_tables", &snapshot.function_tables);
    if detail == Detail::All {
        field(&mut out, "handles", &snapshot.handles);
    }
    field(&mut out, "exception", &snapshot.exception);
    let mut parts = long_list(&mut out, "regions", &snapshot.regions);
    parts.insert(0, out);
    parts
}

/// Reads a snapshot; parts that are damaged have their default values. `None` if `bytes` do not
/// begin like one.
pub(crate) fn read(bytes: &[u8]) -> Option<Snapshot> {
    let known: Fields = fields(bytes.strip_prefix(&MAGIC)?);
    let threads: Vec<ThreadRecord> = known.get("threads");
    Some(Snapshot {
        taken: known.get("taken"),
        process: known.get("process"),
        system: known.get("system"),
        threads: threads.into_iter().map(ThreadRecord::into).collect(),
        modules: known.get("modules"),
        unloaded: known.get("unloaded"),
        function_tables: known.get("function_tables"),
        regions: known.get("regions"),
        handles: known.get("handles"),
        exception: known.get("exception"),
    })
}

/// The process; of the files that are elsewhere in the dump, only the names.
fn process(snapshot: &Snapshot, detail: Detail, container: Container) -> Process {
    let mut process = allowed(&snapshot.process, detail).into_owned();
    if let Container::Minidump(elsewhere) = container {
        let files = process.files.iter_mut();
        files
            .filter(|(name, _)| elsewhere.contains(&name.as_str()))
            .for_each(|(_, bytes)| *bytes = Vec::new());
    }
    process
}

/// The files in [`Process::files`] that contain the command line or the environment.
const TELLING_FILES: [&str; 2] = ["cmdline", "environ"];

/// The process, in a limited dump without its command line and environment.
pub(crate) fn allowed(process: &Process, detail: Detail) -> Cow<'_, Process> {
    match detail {
        Detail::All => Cow::Borrowed(process),
        Detail::Limited => {
            let mut process = process.clone();
            process.command_line.clear();
            process.environment.clear();
            process
                .files
                .retain(|(name, _)| !TELLING_FILES.contains(&name.as_str()));
            Cow::Owned(process)
        }
    }
}
