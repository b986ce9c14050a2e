//! Reading `maps` (proc_pid_maps(5)): every mapping, but names only as long as all of them together have room. A process
//! may have 65,530 mappings with names of 4 KiB each, which would be 256 MB of text.

use super::from_start::FromStart;
use crate::linux::sys::procmap::{ProcMapping, mapping_at, unnamed_mapping_at};
use snapshot::{
    Protection, Range, Region,
    maps::{parse_line, put_line},
};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
};

/// How many bytes the names take together, before further ones are cut.
const NAMES: usize = 2 << 20;

/// How many bytes are left of the end of a name that is cut.
const REST: usize = 32;

/// What a name that was cut begins with. No path of the kernel's does.
pub(crate) const CUT: &str = ".../";

/// The most mappings that are asked for one by one; the kernel allows 65,530 by default.
const MAPPINGS: usize = 1 << 20;

/// How many files are named once names are cut.
const FILES: usize = 1000;

/// From how many bytes of text on a map is a large one.
const LARGE: usize = 256 << 10;

/// Reads the text, up to `most` bytes. `large` is called once if it turns out to be large. Where names get too much, the rest
/// is asked for mapping by mapping (Linux 6.11), because the kernel takes 40 µs to put together a path of 4 KiB, and would do
/// so for each.
pub(crate) fn read(maps: &File, most: u64, large: impl FnMut()) -> io::Result<Vec<u8>> {
    let lines = BufReader::with_capacity(64 << 10, maps);
    read_lines(lines, most, large, |address| {
        from(maps, address, Names::without_room())
    })
}

/// Asks for all mappings one by one.
///
/// # Errors
/// If the kernel cannot be asked (before Linux 6.11), or there are none.
pub(crate) fn by_queries(maps: &File) -> io::Result<Vec<u8>> {
    let text = from(maps, 0, Names::default())?;
    match text.is_empty() {
        true => Err(io::ErrorKind::NotFound.into()),
        false => Ok(text),
    }
}

/// Returns the mapping that an address is in, without its name, from the lines of the file.
pub(crate) fn mapping_in(maps: &File, address: u64) -> Option<ProcMapping> {
    let text = FromStart::of(maps).take(super::bounds::most("maps"));
    let (mut text, mut line) = (BufReader::with_capacity(64 << 10, text), Vec::new());
    while range_of(&line).is_none_or(|range| !range.contains(address)) {
        line.clear();
        if text.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
    }
    let region = parse_line(line.trim_ascii_end())?;
    Some(ProcMapping {
        start: region.range.start,
        end: region.range.end,
        device: ((region.device >> 32) as u32, region.device as u32),
        inode: region.inode,
        ..ProcMapping::default()
    })
}

/// The range that a line begins with: most lines are not the one that is looked for.
fn range_of(line: &[u8]) -> Option<Range> {
    let blank = line.iter().position(|byte| *byte == b' ')?;
    let (start, end) = std::str::from_utf8(&line[..blank]).ok()?.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some(Range::new(hex(start)?, hex(end)?))
}

fn read_lines(
    mut lines: impl BufRead,
    most: u64,
    mut large: impl FnMut(),
    rest: impl Fn(u64) -> io::Result<Vec<u8>>,
) -> io::Result<Vec<u8>> {
    let (mut text, mut line, mut names) = (Vec::new(), Vec::new(), 0);
    while lines.read_until(b'\n', &mut line)? > 0 && text.len() + line.len() <= most as usize {
        if text.len() <= LARGE && text.len() + line.len() > LARGE {
            large();
        }
        let (fields, name) = line.split_at(start_of_name(&line));
        let had_room = names <= NAMES;
        names += name.len();
        text.extend(fields);
        match names <= NAMES {
            true => text.extend(name),
            false => text.extend(cut(name)),
        }
        if had_room && names > NAMES {
            let end = parse_line(&line).map_or(0, |region| region.range.end);
            if let Ok(rest) = rest(end) {
                text.extend(rest);
                break;
            }
        }
        line.clear();
    }
    Ok(text)
}

/// Returns a name that is short enough as it is, else its end.
pub(crate) fn cut(name: &[u8]) -> Vec<u8> {
    match name.len() <= REST + CUT.len() {
        true => name.to_vec(),
        false => [CUT.as_bytes(), &name[name.len() - REST..]].concat(),
    }
}

/// Asks for the mappings from an address on.
fn from(maps: &File, mut address: u64, mut names: Names) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for _ in 0..MAPPINGS {
        let Some(mut mapping) = unnamed_mapping_at(maps, address)? else {
            break;
        };
        mapping.name = names.of(maps, &mapping)?;
        address = mapping.end;
        put_line(&mut text, &region_of(mapping));
    }
    Ok(text)
}

/// The names of mappings that are asked for one by one.
#[derive(Default)]
struct Names {
    /// How many bytes they take.
    taken: usize,
    /// The ends of names, of files that were named when there was no room any more.
    tails: HashMap<((u32, u32), u64), Vec<u8>>,
}

impl Names {
    fn without_room() -> Self {
        Self {
            taken: NAMES + 1,
            ..Self::default()
        }
    }

    fn of(&mut self, maps: &File, mapping: &ProcMapping) -> io::Result<Vec<u8>> {
        if self.taken > NAMES {
            return self.tail(maps, mapping);
        }
        let name = name_of(maps, mapping)?;
        self.taken += name.len();
        Ok(if self.taken > NAMES { cut(&name) } else { name })
    }

    /// Returns the end of a name; of a file that has been named before, without asking for it again.
    fn tail(&mut self, maps: &File, mapping: &ProcMapping) -> io::Result<Vec<u8>> {
        let file = (mapping.device, mapping.inode);
        if let Some(tail) = self.tails.get(&file) {
            return Ok(tail.clone());
        }
        if self.tails.len() >= FILES {
            return Ok(CUT.into());
        }
        let tail = cut(&name_of(maps, mapping)?);
        if mapping.inode != 0 {
            self.tails.insert(file, tail.clone());
        }
        Ok(tail)
    }
}

/// Asks for the name of a mapping. The kernel tells none that is longer than a path may be, but a file deep in folders has.
fn name_of(maps: &File, mapping: &ProcMapping) -> io::Result<Vec<u8>> {
    match mapping_at(maps, mapping.start) {
        Err(error) if error.raw_os_error() == Some(libc::ENAMETOOLONG) => Ok(CUT.into()),
        named => Ok(named?.map(|named| named.name).unwrap_or_default()),
    }
}

/// Returns a mapping as a region, of which the name has still its mark of a file that is deleted.
fn region_of(mapping: ProcMapping) -> Region {
    let has = |bit: u64| mapping.flags & bit != 0;
    let (major, minor) = mapping.device;
    Region {
        range: Range::new(mapping.start, mapping.end),
        protection: Protection {
            read: has(1),
            write: has(2),
            execute: has(4),
        },
        shared: has(8),
        offset: mapping.offset,
        device: u64::from(major) << 32 | u64::from(minor),
        inode: mapping.inode,
        name: String::from_utf8_lossy(&mapping.name).into_owned(),
        ..Region::default()
    }
}

/// Returns where the name begins: after the fifth field, and blanks.
fn start_of_name(line: &[u8]) -> usize {
    let mut blanks = line.iter().enumerate().filter(|(_, byte)| **byte == b' ');
    let Some((fifth, _)) = blanks.nth(4) else {
        return line.len();
    };
    let rest = &line[fifth..];
    fifth + rest.iter().take_while(|byte| **byte == b' ').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &str =
        "7f0000000000-7f0000001000 r--p 00000000 08:01 9                          ";

    /// On a kernel that cannot be asked.
    fn lines(text: &str) -> Vec<u8> {
        let rest = |_| Err(io::ErrorKind::Unsupported.into());
        read_lines(text.as_bytes(), 32 << 20, || {}, rest).expect("a text")
    }

    #[test]
    fn usual_maps_stay_as_they_are() {
        let text = format!(
            "{FIELDS}/tmp/a b (deleted)\n7f0000001000-7f0000002000 rw-p 00000000 00:00 0 \n"
        );
        assert_eq!(lines(&text), text.as_bytes());
    }

    #[test]
    fn n36_one_mapping_of_a_text_is_found() {
        let mut text = tempfile::tempfile().expect("a file");
        let lines =
            "400000-401000 r--p 00000000 08:01 9 /täst\n401000-403000 r-xp 00001000 08:01 7 /a b\n";
        io::Write::write_all(&mut text, lines.as_bytes()).expect("room");
        let at = |address| mapping_in(&text, address).map(|mapping| (mapping.start, mapping.inode));
        assert_eq!(at(0x400fff), Some((0x400000, 9)));
        assert_eq!(at(0x402000), Some((0x401000, 7)));
        assert_eq!(at(0x403000), None);
    }

    #[test]
    fn n36_all_mappings_are_there_however_long_their_names_are() {
        let path = format!("/tmp/{}/file (deleted)", "d".repeat(4000));
        let line = format!("{FIELDS}{path}\n");
        let text = line.repeat(60_000);
        let read = lines(&text);
        assert!(read.len() < 16 << 20, "{}", read.len());
        let (regions, bad) = snapshot::maps::parse(&read);
        assert_eq!((regions.len(), bad), (60_000, 0));
        let last = &regions[59_999];
        assert!(last.name.starts_with(CUT) && last.name.ends_with("/file"));
        assert!(last.deleted);
        assert!(regions[0].name.starts_with("/tmp/d"));
    }
}
