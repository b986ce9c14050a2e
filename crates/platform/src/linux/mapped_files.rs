//! The files that a process has mapped, opened for a full dump: what of them is not in the process's memory is read
//! when the process has gone on.

use super::{
    file_pages::{FilePages, Found, Run, open_mapped, open_path},
    proc::ProcDir,
};
use snapshot::{FileFacts, Region, RegionKind, WallTime};
use std::{
    collections::{HashMap, hash_map::Entry},
    fs::File,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
};

/// The most files that are opened: each is a descriptor, of which a process may have 1,024 (getrlimit(2)).
const MOST_FILES: usize = 512;

/// An open file and what is known of it; `None` if it could not be opened.
type Opened = Option<(Arc<File>, FileFacts)>;

/// Opens the files behind `regions`, and sets what is known of each. Returns their content.
pub(super) fn find(proc: &ProcDir, regions: &mut [Region]) -> FilePages {
    let mut files: HashMap<(u64, u64), Opened> = HashMap::new();
    let mut pages = FilePages::default();
    for region in regions.iter_mut().filter(|region| is_wanted(region)) {
        let count = files.len();
        let opened = match files.entry((region.device, region.inode)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) if count < MOST_FILES => new.insert(opened(proc, region)),
            Entry::Vacant(_) => continue,
        };
        if let Some((file, facts)) = opened {
            region.file = Some(Box::new(*facts));
            pages.extend(std::iter::once(Run::of(region, region.range, file)));
        }
    }
    pages
}

/// Whether the file of a region can be wanted: not of data that the process writes. A file system whose server may
/// hang is not asked.
fn is_wanted(region: &Region) -> bool {
    let may_hang = region.remote || region.untouchable;
    let is_data = region.protection.write && region.shared;
    region.inode != 0 && !may_hang && !is_data && !region.hugetlb
}

/// Opens the file of a region. Shared memory is looked at elsewhere (see `shared_objects`).
fn opened(proc: &ProcDir, region: &Region) -> Opened {
    let found = found(proc, region)?;
    if found.is_on_tmpfs && region.shared && region.kind != RegionKind::Image {
        return None;
    }
    let file = found.open().ok()?;
    let metadata = file.metadata().ok()?;
    let facts = FileFacts {
        size: metadata.size(),
        modified: WallTime(
            metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
        ),
    };
    Some((file, facts))
}

/// Without root, a file is found by its path, if that still is the same file.
fn found(proc: &ProcDir, region: &Region) -> Option<Found> {
    if let Ok(found) = open_mapped(proc, region.range) {
        return found;
    }
    let found = open_path(Path::new(&region.name)).ok()??;
    (found.stat.st_ino == region.inode).then_some(found)
}
