//! The flags of memory regions in `/proc/PID/smaps` (proc_pid_smaps(5)).

use snapshot::{Range, maps};
use std::{
    collections::BTreeMap,
    io::{self, BufRead},
};

/// The flags of regions that have any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SpecialFlags(BTreeMap<Range, Flags>);

impl SpecialFlags {
    /// Returns the flags that any part of a range has: a region may have grown, or been cut, since they were read.
    pub(crate) fn of(&self, range: Range) -> Flags {
        let before = self.0.range(..Range::new(range.end, 0)).rev();
        let parts = before.take_while(|(part, _)| part.end > range.start);
        parts.fold(Flags::default(), |all, (_, flags)| all.or(*flags))
    }

    /// Adds what was read before, where nothing is known now.
    pub(crate) fn add_older(&mut self, older: Self) {
        for (range, flags) in older.0 {
            if self.of(range) == Flags::default() {
                self.0.insert(range, flags);
            }
        }
    }
}

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
    /// A child that is forked does not have it, or has zeros there (`MADV_DONTFORK`, `MADV_WIPEONFORK`).
    pub(crate) not_copied: bool,
}

impl Flags {
    fn or(self, other: Self) -> Self {
        Self {
            dont_dump: self.dont_dump || other.dont_dump,
            device: self.device || other.device,
            hugetlb: self.hugetlb || other.hugetlb,
            guarded: self.guarded || other.guarded,
            not_copied: self.not_copied || other.not_copied,
        }
    }
}

/// Collects the regions with flags from the lines of `smaps`. The whole text is not kept: it has
/// about 1 KiB for each region, 70 MB for 70,000 regions.
#[derive(Default)]
struct SmapsReader {
    /// The regions that have flags.
    special: SpecialFlags,
    current: Range,
    /// How many regions were read, with or without flags.
    count: usize,
}

impl SmapsReader {
    /// Parses the next line.
    fn line(&mut self, line: &[u8]) {
        if let Some(flags) = line.strip_prefix(b"VmFlags:") {
            self.count += 1;
            let flags = flags_of(flags);
            if flags != Flags::default() {
                self.special.0.insert(self.current, flags);
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

/// Reads the regions that have flags, and whether all could be read.
pub(crate) fn read(mut smaps: impl BufRead) -> (SpecialFlags, io::Result<()>) {
    let (mut reader, mut line) = (SmapsReader::default(), Vec::new());
    let end = loop {
        match smaps.read_until(b'\n', &mut line) {
            // One that is ending has no lines any more, and no error tells.
            Ok(0) if reader.count == 0 => break Err(io::ErrorKind::NotFound.into()),
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
    // A line that says nothing: that there are no regions with flags is known.
    let mut text = "VmFlags:\n".to_owned();
    for (range, flags) in &special.0 {
        let flag = |is_set: bool, name| if is_set { name } else { "" };
        let device = flag(flags.device, " io");
        let (dont_dump, hugetlb) = (flag(flags.dont_dump, " dd"), flag(flags.hugetlb, " ht"));
        let (guarded, not_copied) = (flag(flags.guarded, " um"), flag(flags.not_copied, " dc"));
        text += &format!(
            "{:x}-{:x} ---p 00000000 00:00 0\nVmFlags:{device}{dont_dump}{hugetlb}{guarded}{not_copied}\n",
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
        not_copied: has(b"dc") || has(b"wf"),
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
        let of = |start, end| special.of(Range::new(start, end));
        assert_eq!(of(0x2000, 0x3000), dont_dump);
        assert_eq!(of(0x1000, 0x2000), Flags::default());
        assert_eq!(of(0x3000, 0x4000), Flags::default());
        // It has grown since, or is smaller.
        assert_eq!(of(0x2000, 0x9000), dont_dump);
        assert_eq!(of(0x2800, 0x2900), dont_dump);
    }

    #[test]
    fn n10_flags_of_before_are_used_where_nothing_newer_is_known() {
        let special =
            |start, flags| SpecialFlags(BTreeMap::from([(Range::new(start, start + 8), flags)]));
        let (dont_dump, device) = (
            Flags {
                dont_dump: true,
                ..Flags::default()
            },
            Flags {
                device: true,
                ..Flags::default()
            },
        );
        let mut flags = special(0x10, device);
        flags.add_older(special(0x10, dont_dump));
        flags.add_older(special(0x20, dont_dump));
        assert_eq!(flags.of(Range::new(0x10, 0x18)), device);
        assert_eq!(flags.of(Range::new(0x20, 0x28)), dont_dump);
    }

    #[test]
    fn n10_that_no_region_has_flags_is_known() {
        let (special, read) = read(&to_text(&SpecialFlags::default())[..]);
        read.expect("a text");
        assert_eq!(special, SpecialFlags::default());
    }

    #[test]
    fn n10_a_process_that_has_no_regions_any_more_has_not_been_read() {
        assert!(read(&b""[..]).1.is_err());
    }
}
