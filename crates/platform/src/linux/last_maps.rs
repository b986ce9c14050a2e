//! The memory map of a process that has died, by a descriptor of `/proc/PID/maps` that was opened while it lived. It
//! needs an address space that is kept.
//!
//! While the process is a zombie, the descriptor can be read. When its parent has waited for it, it can still be asked
//! for single mappings (Linux 6.11).

use super::sys::procmap::{ProcMapping, mapping_at};
use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
};

/// The most mappings that are asked for one by one; the kernel allows 65,530 by default.
const MOST: usize = 1 << 20;

/// Returns the text of the map.
///
/// # Errors
/// If it cannot be had any more.
pub(crate) fn read(mut maps: &File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = maps
        .seek(SeekFrom::Start(0))
        .and_then(|_| maps.read_to_end(&mut text));
    match read {
        Ok(count) if count > 0 => Ok(text),
        _ => by_queries(maps),
    }
}

fn by_queries(maps: &File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut address = 0;
    for _ in 0..MOST {
        let Some(mapping) = mapping_at(maps, address)? else {
            break;
        };
        add_line(&mut text, &mapping)?;
        address = mapping.end;
    }
    match text.is_empty() {
        true => Err(io::ErrorKind::NotFound.into()),
        false => Ok(text),
    }
}

/// Adds the line that `/proc/PID/maps` has for a mapping (proc_pid_maps(5)).
fn add_line(text: &mut Vec<u8>, mapping: &ProcMapping) -> io::Result<()> {
    let flag = |bit: u64, set, unset| if mapping.flags & bit != 0 { set } else { unset };
    let ProcMapping {
        start,
        end,
        offset,
        device: (major, minor),
        inode,
        name,
        ..
    } = mapping;
    let (r, w, x, s) = (
        flag(1, 'r', '-'),
        flag(2, 'w', '-'),
        flag(4, 'x', '-'),
        flag(8, 's', 'p'),
    );
    write!(
        text,
        "{start:08x}-{end:08x} {r}{w}{x}{s} {offset:08x} {major:02x}:{minor:02x} {inode} "
    )?;
    for byte in name {
        match byte {
            b'\n' => text.extend(b"\\012"),
            byte => text.push(*byte),
        }
    }
    text.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_mappings_make_the_text_that_the_file_has() {
        let maps = File::open("/proc/self/maps").expect("our own map");
        let asked = match by_queries(&maps) {
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
