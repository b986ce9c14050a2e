//! Changes the record of a dump that is complete already.

use super::{
    content::DumpContent,
    dump_file::our_record,
    record::{Record, padded},
};
use platform::{Error, ErrorKind, Result};
use std::path::Path;

/// Changes the record of a dump, wherever it stands in the file.
///
/// # Errors
/// If the dump cannot be read or written, or has no record of ours.
pub(crate) fn change_record(dump: &Path, change: impl FnOnce(&mut Record)) -> Result<()> {
    let what = || format!("reading {}", dump.display());
    let content = DumpContent::open(dump).map_err(|e| Error::of_file(&what(), &e))?;
    let none = || {
        let what = format!("{} has no record", dump.display());
        Error::new(ErrorKind::Other, what)
    };
    let mut record = our_record(content.bytes.clone()).ok_or_else(none)?;
    change(&mut record);
    let mut patches = Vec::new();
    for (offset, room) in formats::record_places((*content.bytes).as_ref()) {
        let place = content.place_in_file(offset, room).ok_or_else(|| {
            let what = format!(
                "the record of {} cannot be changed: another program has compressed it",
                dump.display()
            );
            Error::new(ErrorKind::Other, what)
        })?;
        patches.push((place, padded(&record.to_bytes(room), room as u32)));
    }
    platform::patch_file(dump, &patches)
}
