//! The text in which Linux lists a process's memory, `/proc/PID/maps` (proc_pid_maps(5)). Minidumps
//! of Linux hold a copy of it.

use crate::{FileKey, Protection, Range, Region, RegionKind};
use std::{
    collections::HashSet,
    io::{self, Write as _},
};

/// The regions of a `maps` file, ascending, and the number of lines that could not be read.
pub fn parse(text: &[u8]) -> (Vec<Region>, usize) {
    let lines = text.split(|&b| b == b'\n').filter(|line| !line.is_empty());
    let mut bad = 0;
    let read = |line| {
        let region = parse_line(line);
        bad += usize::from(region.is_none());
        region
    };
    let mut regions = Vec::with_capacity(lines.clone().count());
    regions.extend(lines.filter_map(read));
    regions.sort_unstable_by_key(|region| region.range);
    classify(&mut regions);
    (regions, bad)
}

/// The region that one line of `maps`, or a region's first line in `smaps`, describes; its
/// [`Region::kind`] is not set, as that depends on the other lines. `None` if it is no such line.
pub fn parse_line(line: &[u8]) -> Option<Region> {
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

/// The text of regions, as the kernel would write it.
pub fn to_text(regions: &[Region]) -> Vec<u8> {
    let mut text = Vec::new();
    regions
        .iter()
        .for_each(|region| put_line(&mut text, region));
    text
}

/// Adds the line of a region to such a text.
pub fn put_line(text: &mut Vec<u8>, region: &Region) {
    let begin = text.len();
    // A vector can always be written to.
    let _ = put_fields(text, region);
    if !region.name.is_empty() {
        text.resize(text.len().max(begin + NAMES), b' ');
        text.extend(region.name.replace('\n', "\\012").bytes());
        if region.deleted {
            text.extend(b" (deleted)");
        }
    }
    text.push(b'\n');
}

/// The column in which the kernel begins names.
const NAMES: usize = 73;

fn put_fields(text: &mut Vec<u8>, region: &Region) -> io::Result<()> {
    let letter = |is_so: bool, letter: char| if is_so { letter } else { '-' };
    let Range { start, end } = region.range;
    let Protection {
        read,
        write,
        execute,
    } = region.protection;
    let (r, w, x) = (letter(read, 'r'), letter(write, 'w'), letter(execute, 'x'));
    let s = if region.shared { 's' } else { 'p' };
    let (major, minor) = (region.device >> 32, region.device as u32);
    let (offset, inode) = (region.offset, region.inode);
    write!(
        text,
        "{start:08x}-{end:08x} {r}{w}{x}{s} {offset:08x} {major:02x}:{minor:02x} {inode} "
    )
}

/// A region's name, and whether its file is deleted. The kernel writes a newline in a name as
/// `\012`. A name may end in ` (deleted)` by itself; then no file can be opened by it either.
fn name_of(raw: &[u8]) -> (String, bool) {
    let name = String::from_utf8_lossy(raw).replace("\\012", "\n");
    match name.strip_suffix(" (deleted)") {
        Some(stripped) => (stripped.to_owned(), true),
        None => (name, false),
    }
}

/// Sets the kinds of the regions. All mappings of a file are parts of an image if one of them is
/// executable.
fn classify(regions: &mut [Region]) {
    let images: HashSet<FileKey> = regions
        .iter()
        .filter(|r| r.inode != 0 && r.protection.execute)
        .map(Region::file_key)
        .collect();
    for region in regions {
        region.kind = match region.name.as_str() {
            "[heap]" => RegionKind::Heap,
            // A uprobe runs the instruction that it replaces in a page of the kernel's.
            "[vdso]" | "[vvar]" | "[vsyscall]" | "[vvar_vclock]" | "[uprobes]" => {
                RegionKind::Kernel
            }
            // Kernels before 4.5 name the stacks of other threads too: `[stack:123]`.
            name if name.starts_with("[stack") => RegionKind::Stack,
            _ if images.contains(&region.file_key()) => RegionKind::Image,
            _ if region.inode != 0 || region.shared => RegionKind::Mapped,
            _ => RegionKind::Private,
        };
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
7fffffffe000-7ffffffff000 --xp 00000000 00:00 0                          [uprobes]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    #[test]
    fn the_text_of_regions_is_that_of_the_kernel() {
        let lines = MAPS.split_inclusive(|&byte| byte == b'\n');
        let lines = lines.filter(|line| !line.starts_with(b"nonsense"));
        let text = lines.collect::<Vec<_>>().concat();
        let own = to_text(&parse(MAPS).0);
        assert_eq!(
            own.escape_ascii().to_string(),
            text.escape_ascii().to_string()
        );
    }

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
                ("[uprobes]", RegionKind::Kernel),
                ("[vsyscall]", RegionKind::Kernel),
            ]
        );
        assert_eq!(bad, 1);
        assert!(regions[3].deleted && regions[3].shared);
        assert_eq!(regions[1].offset, 0x1000);
    }
}
