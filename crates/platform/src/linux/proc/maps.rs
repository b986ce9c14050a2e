//! `/proc/PID/maps` and the flags of `/proc/PID/smaps` (proc_pid_maps(5), proc_pid_smaps(5)).

use snapshot::{Protection, Range, Region, RegionKind};
use std::collections::{HashMap, HashSet};

/// All regions of a `maps` file, in its order. Lines that make no sense are left out and counted.
pub(crate) fn parse(text: &[u8]) -> (Vec<Region>, usize) {
    let lines = text.split(|&b| b == b'\n').filter(|line| !line.is_empty());
    let mut bad = 0;
    let mut regions: Vec<Region> = lines
        .filter_map(|line| {
            let region = parse_line(line);
            bad += usize::from(region.is_none());
            region
        })
        .collect();
    regions.sort_by_key(|region| region.range);
    classify(&mut regions);
    (regions, bad)
}

fn parse_line(line: &[u8]) -> Option<Region> {
    let mut fields = line.splitn(6, |&b| b == b' ');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let (start, end) = text()?.split_once('-')?;
    let (mode, offset, device, inode) = (text()?.as_bytes(), text()?, text()?, text()?);
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (major, minor) = device.split_once(':')?;
    let name = fields.next().unwrap_or(b"").trim_ascii_start();
    let (name, deleted) = name_of(name);
    let range = Range::new(hex(start)?, hex(end)?);
    let on = |at: usize, letter| mode.get(at) == Some(&letter);
    (!range.is_empty()).then_some(Region {
        range,
        protection: Protection {
            read: on(0, b'r'),
            write: on(1, b'w'),
            execute: on(2, b'x'),
        },
        shared: on(3, b's'),
        offset: hex(offset)?,
        device: hex(major)? << 32 | hex(minor)?,
        inode: inode.parse().ok()?,
        deleted,
        name,
        ..Region::default()
    })
}

/// The kernel writes a newline in a name as `\012`; ` (deleted)` may be the file's own name, but
/// then the file is of no use by that name either.
fn name_of(raw: &[u8]) -> (String, bool) {
    let name = String::from_utf8_lossy(raw).replace("\\012", "\n");
    match name.strip_suffix(" (deleted)") {
        Some(stripped) => (stripped.to_owned(), true),
        None => (name, false),
    }
}

/// A file with an executable mapping is an image, all its mappings with it.
fn classify(regions: &mut [Region]) {
    let images: HashSet<(u64, u64)> = regions
        .iter()
        .filter(|r| r.inode != 0 && r.protection.execute)
        .map(|r| (r.device, r.inode))
        .collect();
    for region in regions {
        region.kind = match region.name.as_str() {
            "[heap]" => RegionKind::Heap,
            "[stack]" => RegionKind::Stack,
            "[vdso]" | "[vvar]" | "[vsyscall]" | "[vvar_vclock]" => RegionKind::Kernel,
            _ if images.contains(&(region.device, region.inode)) => RegionKind::Image,
            _ if region.inode != 0 || region.shared => RegionKind::Mapped,
            _ => RegionKind::Private,
        };
    }
}

/// The flags of the few regions that need care, by range.
pub(crate) type SpecialFlags = HashMap<Range, Flags>;

/// What `VmFlags` says of a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) dont_dump: bool,
    pub(crate) device: bool,
    pub(crate) hugetlb: bool,
}

/// Collects the regions with special flags out of `smaps`, fed line by line: it is about 1 KiB a
/// region, 70 MB for 70,000 of them.
#[derive(Default)]
pub(crate) struct SmapsReader {
    pub(crate) special: SpecialFlags,
    current: Range,
}

impl SmapsReader {
    /// Takes one line.
    pub(crate) fn line(&mut self, line: &[u8]) {
        if let Some(flags) = line.strip_prefix(b"VmFlags:") {
            let flags = flags_of(flags);
            if flags != Flags::default() {
                self.special.insert(self.current, flags);
            }
        } else if line
            .first()
            .is_some_and(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
        {
            self.current = parse_line(line)
                .map(|region| region.range)
                .unwrap_or_default();
        }
    }
}

fn flags_of(text: &[u8]) -> Flags {
    let has = |flag: &[u8]| text.split(|&b| b == b' ').any(|word| word == flag);
    Flags {
        dont_dump: has(b"dd"),
        device: has(b"io") || has(b"pf"),
        hugetlb: has(b"ht"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &[u8] = b"\
55d0c0000000-55d0c0001000 r--p 00000000 08:01 42                         /usr/bin/my prog
55d0c0001000-55d0c0002000 r-xp 00001000 08:01 42                         /usr/bin/my prog
7f0000000000-7f0000001000 rw-p 00000000 00:00 0 
7f0000001000-7f0000002000 rw-s 00000000 00:01 7                          /dev/zero (deleted)
7f0000002000-7f0000003000 r--p 00000000 08:01 9                          /tmp/a\\012b
nonsense
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    #[test]
    fn c10_names_with_spaces_newlines_and_deleted_marks() {
        let (regions, bad) = parse(MAPS);
        let names: Vec<_> = regions.iter().map(|r| (r.name.as_str(), r.kind)).collect();
        assert_eq!(
            names,
            [
                ("/usr/bin/my prog", RegionKind::Image),
                ("/usr/bin/my prog", RegionKind::Image),
                ("", RegionKind::Private),
                ("/dev/zero", RegionKind::Mapped),
                ("/tmp/a\nb", RegionKind::Mapped),
                ("[stack]", RegionKind::Stack),
                ("[vsyscall]", RegionKind::Kernel),
            ]
        );
        assert_eq!(bad, 1);
        assert!(regions[3].deleted && regions[3].shared);
        assert_eq!(regions[1].offset, 0x1000);
    }

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
        assert_eq!(reader.special.len(), 1);
        assert_eq!(reader.special[&Range::new(0x2000, 0x3000)], dont_dump);
    }
}
