//! Notes in the dump of a crash how often the same crash came again.

use super::change::change_record;
use platform::Result;
use std::path::Path;

/// Writes into the record of a dump that its crash came again `count` times.
///
/// # Errors
/// If the dump cannot be read or written, or has no record of ours.
pub fn note_repeats(dump: &Path, count: u64) -> Result<()> {
    change_record(dump, |record| record.repeats = count)
}
