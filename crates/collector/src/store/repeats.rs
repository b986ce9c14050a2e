//! How often a crash came again, told in the dump of the first.

use super::{keep::our_record, record::padded};
use platform::{Error, ErrorKind, Result};
use std::path::Path;

/// Has a dump of ours say that its crash came again so often.
pub fn note_repeats(dump: &Path, count: u64) -> Result<()> {
    let what = || format!("reading {}", dump.display());
    let file = platform::map_file(dump).map_err(|e| Error::of_file(&what(), &e))?;
    let none = || {
        Error::new(
            ErrorKind::Other,
            format!("{} has no record", dump.display()),
        )
    };
    let mut record = our_record(file.clone()).ok_or_else(none)?;
    record.repeats = count;
    let places = formats::record_places((*file).as_ref()).into_iter();
    let patches =
        places.map(|(offset, room)| (offset, padded(&record.to_bytes(room), room as u32)));
    platform::patch_file(dump, &patches.collect::<Vec<_>>())
}
