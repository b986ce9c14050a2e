//! The memory map of a process that has died, by a descriptor of `/proc/PID/maps` that was opened while it lived. It
//! needs an address space that is kept.
//!
//! While the process is a zombie, the descriptor can be read. When its parent has waited for it, it can still be asked
//! for single mappings (Linux 6.11).

use super::{
    proc::{bounds, map_text},
    sys::procmap,
};
use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom},
};

/// Returns the text of the map.
///
/// # Errors
/// If it cannot be had any more.
pub(crate) fn read(mut maps: &File) -> io::Result<Vec<u8>> {
    let read = maps
        .seek(SeekFrom::Start(0))
        .and_then(|_| map_text::read(maps, bounds::most("maps"), || {}));
    match read {
        Ok(text) if !text.is_empty() => Ok(text),
        _ => map_text::by_queries(maps),
    }
}

/// Returns whether it can be had also when the parent of the process has waited for it.
pub(crate) fn can_be_asked(maps: &File) -> bool {
    procmap::unnamed_mapping_at(maps, 0).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_mappings_make_the_text_that_the_file_has() {
        let maps = File::open("/proc/self/maps").expect("our own map");
        let asked = match map_text::by_queries(&maps) {
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => return,
            asked => String::from_utf8(asked.expect("a map")).expect("text"),
        };
        let words = |text: &str| -> Vec<Vec<String>> {
            let own = text.lines().filter(|line| line.contains("libc"));
            own.map(|line| line.split_whitespace().map(str::to_owned).collect())
                .collect()
        };
        let read = String::from_utf8(read(&maps).expect("a map")).expect("text");
        assert!(!words(&read).is_empty(), "{read}");
        assert_eq!(words(&asked), words(&read));
    }
}
