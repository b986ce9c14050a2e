//! Whether the names of a stream fit into the file. Each is told by its place, and all may be told by the same one: a file
//! of one megabyte would then be read as gigabytes.

use super::file::File;
use crate::bytes::Take;
use minidump_common::format::MINIDUMP_STREAM_TYPE as Stream;

/// Returns whether everything that the entries of a stream refer to is together no longer than the file. A stream of
/// which it is longer must not be read. Streams that refer to nothing fit.
pub(super) fn fit(minidump: &File<'_>, stream: Stream) -> bool {
    let Some(layout) = Layout::of(stream) else {
        return true;
    };
    let entries = match layout.head {
        Some(head) => minidump.raw(stream).get(head..).unwrap_or_default(),
        None => minidump.entries(stream, layout.entry),
    };
    let sizes = entries
        .chunks_exact(layout.entry)
        .map(|entry| layout.size_of(entry, minidump.bytes));
    let limit = minidump.bytes.len() as u64;
    { sizes }
        .try_fold(0u64, |all, size| {
            Some(all + size).filter(|all| *all <= limit)
        })
        .is_some()
}

/// Returns in sentences which lists are not read for that reason.
pub(super) fn not_read(minidump: &File<'_>) -> Vec<String> {
    let lists = [
        (Stream::ModuleListStream, "modules"),
        (Stream::UnloadedModuleListStream, "unloaded modules"),
        (Stream::ThreadNamesStream, "threads"),
    ];
    lists
        .into_iter()
        .filter(|(stream, _)| !fit(minidump, *stream))
        .map(|(_, what)| {
            format!("the names of its {what} are longer than the whole file, and were not read")
        })
        .collect()
}

/// Where a stream has its entries, and an entry the places of its names; in bytes.
struct Layout {
    /// `None` of those whose number of entries is all that is before them.
    head: Option<usize>,
    entry: usize,
    name: usize,
    /// The length of a record, besides.
    record: Option<usize>,
}

impl Layout {
    /// `MINIDUMP_MODULE`, `MINIDUMP_UNLOADED_MODULE`, `MINIDUMP_THREAD_NAME` (minidumpapiset.h).
    fn of(stream: Stream) -> Option<Self> {
        let layout = |head, entry, name, record| Self {
            head,
            entry,
            name,
            record,
        };
        Some(match stream {
            Stream::ModuleListStream => layout(None, 108, 20, Some(76)),
            Stream::UnloadedModuleListStream => layout(Some(12), 24, 20, None),
            Stream::ThreadNamesStream => layout(None, 12, 4, None),
            _ => return None,
        })
    }

    fn size_of(&self, entry: &[u8], file: &[u8]) -> u64 {
        let word = |at: usize| Take(entry.get(at..).unwrap_or_default()).u32();
        let place = word(self.name).unwrap_or(0) as usize;
        let name = Take(file.get(place..).unwrap_or_default()).u32();
        let record = self.record.and_then(word);
        u64::from(name.unwrap_or(0)) + u64::from(record.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// A minidump of modules, whose names lie at these distances behind the list. There are so many names, of `length` bytes
    /// each.
    fn of_modules(places: &[u32], count: usize, length: u32) -> Vec<u8> {
        let list = 4 + 108 * places.len() as u32;
        let mut bytes = Vec::new();
        for word in [
            0x504d_444d,
            0xa793,
            1,
            32,
            0,
            0,
            0,
            0,
            Stream::ModuleListStream as u32,
            list,
            44,
        ] {
            bytes.extend(u32::to_le_bytes(word));
        }
        bytes.extend((places.len() as u32).to_le_bytes());
        for place in places {
            let mut module = [0; 108];
            module[20..24].copy_from_slice(&(44 + list + place).to_le_bytes());
            bytes.extend(module);
        }
        for _ in 0..count {
            bytes.extend(length.to_le_bytes());
            bytes.extend(vec![b'x'; length as usize]);
        }
        bytes
    }

    fn fits(bytes: Vec<u8>) -> bool {
        let file: crate::FileBytes = Arc::new(bytes);
        fit(
            &File::open(&file).expect("a minidump"),
            Stream::ModuleListStream,
        )
    }

    #[test]
    fn n42_names_at_one_place_are_longer_than_the_file() {
        assert!(fits(of_modules(&[0, 1004, 2008], 3, 1000)));
        assert!(!fits(of_modules(&[0; 10], 1, 2000)));
    }
}
