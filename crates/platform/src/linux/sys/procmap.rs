//! `PROCMAP_QUERY` (Linux 6.11; `struct procmap_query` of `linux/fs.h`): asks an open `/proc/PID/maps` for one
//! mapping. Reading that file needs the process; this request needs only its address space.

use std::{fs::File, io, os::fd::AsRawFd};

/// One mapping, with what a line of `maps` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcMapping {
    /// The first address.
    pub(crate) start: u64,
    /// The address behind the last byte.
    pub(crate) end: u64,
    /// Bits 0 to 3: readable, writable, executable, shared.
    pub(crate) flags: u64,
    /// Where it begins in its file, in bytes.
    pub(crate) offset: u64,
    /// The major and minor number of the file's device.
    pub(crate) device: (u32, u32),
    /// The file's inode; 0 if there is no file.
    pub(crate) inode: u64,
    /// The path, or a name in brackets; empty if it has none.
    pub(crate) name: Vec<u8>,
}

#[repr(C)]
#[derive(Default)]
struct Query {
    size: u64,
    flags: u64,
    address: u64,
    start: u64,
    end: u64,
    mapping_flags: u64,
    page_size: u64,
    offset: u64,
    inode: u64,
    device: [u32; 2],
    name_size: u32,
    build_id_size: u32,
    name: u64,
    build_id: u64,
}

/// `_IOWR('f', 17, struct procmap_query)`.
const PROCMAP_QUERY: libc::c_ulong = 0xC068_6611;
/// The mapping that contains the address, or else the next one (`PROCMAP_QUERY_COVERING_OR_NEXT_VMA`).
const COVERING_OR_NEXT: u64 = 0x10;
/// The longest path (`PATH_MAX`).
const LONGEST_NAME: usize = 4096;

/// Returns the mapping at `address`, or the next one; `None` if there is none.
pub(crate) fn mapping_at(maps: &File, address: u64) -> io::Result<Option<ProcMapping>> {
    query(maps, address, vec![0; LONGEST_NAME])
}

/// As [`mapping_at`], without the name: to put the path of a file together takes most of the time.
pub(crate) fn unnamed_mapping_at(maps: &File, address: u64) -> io::Result<Option<ProcMapping>> {
    query(maps, address, Vec::new())
}

fn query(maps: &File, address: u64, mut name: Vec<u8>) -> io::Result<Option<ProcMapping>> {
    let to = match name.is_empty() {
        true => 0,
        false => name.as_mut_ptr() as u64,
    };
    let mut query = Query {
        size: size_of::<Query>() as u64,
        flags: COVERING_OR_NEXT,
        address,
        name_size: name.len() as u32,
        name: to,
        ..Query::default()
    };
    // SAFETY: the query has the kernel's layout and says its size. The name is written to `name`, which lives during
    // the call and has the size that the query says; nothing else is asked for.
    let done = unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY as _, &raw mut query) };
    if done < 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ENOENT) => Ok(None),
            _ => Err(error),
        };
    }
    // The size counts the NUL at the end.
    name.truncate((query.name_size as usize).saturating_sub(1));
    Ok(Some(ProcMapping {
        start: query.start,
        end: query.end,
        flags: query.mapping_flags,
        offset: query.offset,
        device: (query.device[0], query.device[1]),
        inode: query.inode,
        name,
    }))
}
