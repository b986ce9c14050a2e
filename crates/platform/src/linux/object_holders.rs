//! Finding the object behind a shared mapping of a process that is gone, by somebody who still has it: memfd, shared anonymous
//! memory and System V shared memory have no name by which they could be opened.
//!
//! Situation: a worker of a database crashes. What it has mapped of the shared buffers and not touched is in none of its page
//! tables, but the other workers have the same object.

use super::{files::expect_of, proc::all_pids, sys::sysv};
use rustix::fs::{Mode, OFlags, open};
use snapshot::{FileKey, Range, Region, maps};
use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    os::fd::OwnedFd,
};

/// How many processes are asked, and how much is read of the map of each, in bytes.
const MOST_PROCESSES: usize = 4096;
const MOST_OF_MAP: u64 = 4 << 20;

/// Who has these objects mapped.
pub(super) struct Holders(HashMap<FileKey, (i32, Range)>);

impl Holders {
    /// Looks through the processes of the machine for the objects of these regions.
    pub(super) fn of(regions: &[Region]) -> Self {
        Self::but(&[], regions)
    }

    /// The same, without the processes of these pids.
    fn but(some: &[i32], regions: &[Region]) -> Self {
        let mut wanted: HashMap<FileKey, Vec<u8>> = regions
            .iter()
            .filter(|region| region.shared)
            .map(|region| (region.file_key(), format!(" {} ", region.inode).into()))
            .collect();
        let mut holders = HashMap::new();
        let pids = all_pids().unwrap_or_default();
        let pids = pids.into_iter().filter(|pid| !some.contains(pid));
        for pid in pids.take(MOST_PROCESSES) {
            if wanted.is_empty() {
                break;
            }
            for region in mappings_of(pid, &wanted) {
                if wanted.remove(&region.file_key()).is_some() {
                    holders.insert(region.file_key(), (pid, region.range));
                }
            }
        }
        Self(holders)
    }

    /// Finds the object of a region.
    ///
    /// # Errors
    /// If nobody has it, or who had it has lost it.
    pub(super) fn find(&self, region: &Region) -> io::Result<OwnedFd> {
        let (pid, range) = self
            .0
            .get(&region.file_key())
            .ok_or(io::ErrorKind::NotFound)?;
        let path = format!("/proc/{pid}/map_files/{:x}-{:x}", range.start, range.end);
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        expect_of(region, open(path, flags, Mode::empty())?)
    }
}

/// Returns which of the objects of these regions of a process others have mapped too. We may have them, for another dump of it.
pub(super) fn others_have(pid: i32, regions: &[Region]) -> HashSet<FileKey> {
    let holders = Holders::but(&[pid, std::process::id() as i32], regions);
    holders.0.into_keys().collect()
}

/// Finds the segment of System V shared memory that is mapped, by its id: the kernel takes that as inode (`newseg` in
/// ipc/shm.c).
///
/// # Errors
/// If the region is none, or there is none of this id any more.
pub(super) fn segment(region: &Region) -> io::Result<OwnedFd> {
    let is_segment = region.name.starts_with("/SYSV");
    let id = i32::try_from(region.inode).ok().filter(|_| is_segment);
    expect_of(region, sysv::object(id.ok_or(io::ErrorKind::NotFound)?)?)
}

/// The mappings of a process that may be those of wanted objects.
fn mappings_of(pid: i32, wanted: &HashMap<FileKey, Vec<u8>>) -> Vec<Region> {
    let Ok(map) = File::open(format!("/proc/{pid}/maps")) else {
        return Vec::new();
    };
    let lines = BufReader::new(map.take(MOST_OF_MAP)).split(b'\n');
    let has = |line: &[u8], inode: &[u8]| line.windows(inode.len()).any(|part| part == inode);
    let is_wanted = |line: &Vec<u8>| wanted.values().any(|inode| has(line, inode));
    let lines = lines.map_while(Result::ok).filter(is_wanted);
    lines.flat_map(|line| maps::parse(&line).0).collect()
}
