//! Changes the record of a dump that is complete already.

use super::{
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
    let file = platform::open_file(dump).map_err(|e| Error::of_file(&what(), &e))?;
    let none = || {
        let what = format!("{} has no record", dump.display());
        Error::new(ErrorKind::Other, what)
    };
    let mut record = our_record(file.clone()).ok_or_else(none)?;
    change(&mut record);
    let places = formats::record_places((*file).as_ref()).into_iter();
    let patches =
        places.map(|(offset, room)| (offset, padded(&record.to_bytes(room), room as u32)));
    platform::patch_file(dump, &patches.collect::<Vec<_>>())
}
