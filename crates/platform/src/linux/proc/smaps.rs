//! The flags of memory regions in `/proc/PID/smaps` (proc_pid_smaps(5)).

use snapshot::{Range, maps};
use std::{
    collections::HashMap,
    io::{self, BufRead},
};

/// The flags of regions that have any, by range.
pub(crate) type SpecialFlags = HashMap<Range, Flags>;

/// The flags of a region that matter to a dump, from its line `VmFlags`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// The program excluded it from dumps (`MADV_DONTDUMP`).
    pub(crate) dont_dump: bool,
    /// It is memory of a device, and reading it may have effects.
    pub(crate) device: bool,
    /// It consists of huge pages of hugetlbfs.
    pub(crate) hugetlb: bool,
    /// The process answers for pages that do not exist (userfaultfd(2)).
    pub(crate) guarded: bool,
}

/// Collects the regions with flags from the lines of `smaps`. The whole text is not kept: it has
/// about 1 KiB for each region, 70 MB for 70,000 regions.
#[derive(Default)]
struct SmapsReader {
    /// The regions that have flags.
    special: SpecialFlags,
    current: Range,
}

impl SmapsReader {
    /// Parses the next line.
    fn line(&mut self, line: &[u8]) {
        if let Some(flags) = line.strip_prefix(b"VmFlags:") {
            let flags = flags_of(flags);
            if flags != Flags::default() {
                self.special.insert(self.current, flags);
            }
        } else if line
            .first()
            .is_some_and(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
        {
            self.current = maps::parse_line(line)
                .map(|region| region.range)
                .unwrap_or_default();
        }
    }
}

/// Reads the regions that have flags, and whether all could be read: one that is ending has no lines any more.
pub(crate) fn read(mut smaps: impl BufRead) -> (SpecialFlags, io::Result<()>) {
    let (mut reader, mut line) = (SmapsReader::default(), Vec::new());
    let end = loop {
        match smaps.read_until(b'\n', &mut line) {
            Ok(0) => break Ok(()),
            Ok(_) => reader.line(line.trim_ascii_end()),
            Err(error) => break Err(error),
        }
        line.clear();
    };
    (reader.special, end)
}

/// Writes regions that have flags as [`read`] reads them.
pub(crate) fn to_text(special: &SpecialFlags) -> Vec<u8> {
    let mut text = String::new();
    for (range, flags) in special {
        let flag = |is_set: bool, name| if is_set { name } else { "" };
        let device = flag(flags.device, " io");
        let (dont_dump, hugetlb) = (flag(flags.dont_dump, " dd"), flag(flags.hugetlb, " ht"));
        let guarded = flag(flags.guarded, " um");
        text += &format!(
            "{:x}-{:x} ---p 00000000 00:00 0\nVmFlags:{device}{dont_dump}{hugetlb}{guarded}\n",
            range.start, range.end
        );
    }
    text.into_bytes()
}

fn flags_of(text: &[u8]) -> Flags {
    let has = |flag: &[u8]| text.split(|&b| b == b' ').any(|word| word == flag);
    Flags {
        dont_dump: has(b"dd"),
        device: has(b"io") || has(b"pf"),
        hugetlb: has(b"ht"),
        guarded: has(b"um") || has(b"ui"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_special_regions_are_kept_of_smaps() {
        let mut reader = SmapsReader::default();
        for line in [
            &b"1000-2000 rw-p 00000000 00:00 0 "[..],
            b"VmFlags: rd wr mr mw me ac ",
            b"2000-3000 rw-p 00000000 00:00 0 ",
            b"Rss:   4 kB",
            b"VmFlags: rd wr mr mw me dd ac ",
        ] {
            reader.line(line);
        }
        let dont_dump = Flags {
            dont_dump: true,
            ..Flags::default()
        };
        let (special, read) = read(&to_text(&reader.special)[..]);
        read.expect("a text");
        assert_eq!(special, reader.special);
        assert_eq!(reader.special.len(), 1);
        assert_eq!(reader.special[&Range::new(0x2000, 0x3000)], dont_dump);
    }
}
