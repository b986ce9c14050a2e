//! The files that a process has mapped, opened for a full dump: what of them is not in the process's memory is read
//! when the process has gone on.

use super::{
    file_pages::{FilePages, Run},
    open_mapped::{Files, Which},
    proc::ProcDir,
};
use crate::MappedFiles;
use snapshot::{FileKey, Region, RegionKind};
use std::{collections::HashSet, sync::Arc};

/// The most files that are opened: each is a descriptor, of which a process may have 1,024 (getrlimit(2)).
const MOST_FILES: usize = 512;

/// Opens the files behind `regions`, and sets what is known of each.
pub(super) fn find(proc: &ProcDir, regions: &mut [Region]) -> MappedFiles {
    let first = first_of(regions);
    let files = Files::open(
        proc,
        wanted(regions).filter(|region| first.contains(&region.file_key())),
        Which::All,
    );
    let mut pages = FilePages::default();
    for region in regions.iter_mut().filter(|region| is_wanted(region)) {
        let Some(opened) = files.opened.get(&region.file_key()) else {
            let is_useless = files.useless.contains(&region.file_key());
            region.unseen |= region.kind != RegionKind::Image && !is_useless;
            continue;
        };
        // What is shared in memory is looked at elsewhere (see `shared_objects`).
        if opened.is_on_tmpfs && region.shared && region.kind != RegionKind::Image {
            continue;
        }
        region.file = Some(Box::new(opened.facts));
        let run = Run::of(region, region.range, &opened.file);
        pages.extend(std::iter::once(run));
    }
    let missing = missing(regions, &files);
    MappedFiles {
        content: Arc::new(pages),
        warnings: match missing {
            0 => vec![],
            _ => vec![format!(
                "{missing} of the mapped files could not be opened: what the process has not touched of them may be missing"
            )],
        },
    }
}

/// How many files were not opened. Images are not counted: they are read through the process then. Of what is shared, it is told
/// how much was left out (see `shared_objects`).
fn missing(regions: &[Region], files: &Files) -> usize {
    let is_told = |region: &&Region| region.kind != RegionKind::Image && !region.shared;
    let others = wanted(regions).filter(is_told);
    let is_known = |key: &FileKey| files.opened.contains_key(key) || files.useless.contains(key);
    let missing: HashSet<_> = others
        .map(Region::file_key)
        .filter(|key| !is_known(key))
        .collect();
    missing.len()
}

fn wanted(regions: &[Region]) -> impl Iterator<Item = &Region> {
    regions.iter().filter(|region| is_wanted(region))
}

/// The files that are opened: images before others.
fn first_of(regions: &[Region]) -> HashSet<FileKey> {
    let is_image = |region: &&Region| region.kind == RegionKind::Image;
    let mut first = HashSet::new();
    let images = wanted(regions).filter(is_image);
    let others = wanted(regions).filter(|region| !is_image(region));
    for region in images.chain(others) {
        if first.len() >= MOST_FILES {
            break;
        }
        first.insert(region.file_key());
    }
    first
}

/// Whether the file of a region can be wanted: not of data that the process writes to a file with a name. A file
/// system whose server may hang is not asked.
fn is_wanted(region: &Region) -> bool {
    let may_hang = region.remote || region.untouchable;
    let is_data = region.protection.write && region.shared && !region.deleted;
    region.inode != 0 && !may_hang && !is_data && !region.hugetlb
}
