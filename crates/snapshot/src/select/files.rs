//! The files that are mapped, in a full dump: each is there whole, or it is absent and named.
//!
//! Situation: of a library or a Java archive, a process has touched a few pages. A core with these alone is one that
//! other programs cannot read: `jhsdb` compares the length of a segment with that of the library and gives up, and
//! if the library was deleted, the tables for unwinding are lost for ever.

use super::{AbsentFile, header_page, is_forbidden, safe_pages, within};
use crate::{FileKey, Range, Region, RegionKind, Snapshot, without};
use std::collections::BTreeMap;

/// The most of images, of what runtimes map beside them, and of deleted files, which nobody finds later, that is taken
/// whole, in bytes.
const MOST_IMAGES: u64 = 4 << 30;
/// The most of other files, in bytes. A database may have mapped a terabyte.
const MOST_OTHERS: u64 = 256 << 20;
/// The most of images whose files could not be opened, in bytes: they are read through the process, in which that makes
/// pages.
const MOST_UNOPENED: u64 = 64 << 20;
/// How the files end that are to runtimes what libraries are to programs: class data of Java, its module image, and
/// assemblies of .NET.
const OF_RUNTIMES: [&str; 4] = [".jsa", "/lib/modules", ".dll", ".exe"];
const PAGE: u64 = 4096;

/// What a full dump takes of an address space.
#[derive(Default)]
pub(super) struct Whole {
    /// The memory, in any order.
    pub(super) ranges: Vec<Range>,
    /// The part of it that is to be read from files.
    pub(super) from_files: Vec<Range>,
    /// The files that are absent.
    pub(super) absent: Vec<AbsentFile>,
}

/// How many bytes of mapped files a full dump takes, by the mappings alone: a little more than it will be, as the files
/// are not looked at.
pub fn mapped_bytes(regions: &[Region]) -> u64 {
    let is_file = |region: &&Region| region.inode != 0 && region.protection.read;
    let sum = |is_image: bool| -> u64 {
        let files = regions.iter().filter(is_file);
        let files = files.filter(|region| is_sought(region) == is_image);
        let files = files.filter(|region| is_image || !region.protection.write);
        files.fold(0, |sum, region| sum.saturating_add(region.range.len()))
    };
    let fits = |sum: u64, most| if sum <= most { sum } else { 0 };
    fits(sum(true), MOST_IMAGES) + fits(sum(false), MOST_OTHERS)
}

/// Selects all memory that exists, and the files that are mapped.
pub(super) fn whole(snapshot: &Snapshot) -> Whole {
    let taken = Taken::of(snapshot);
    let mut whole = Whole::default();
    for region in &snapshot.regions {
        match taken
            .0
            .get(&region.file_key())
            .filter(|_| is_candidate(region))
        {
            None => whole.ranges.extend(safe_pages(region)),
            Some(true) => whole.take(region),
            Some(false) if region.file.is_none() => whole.ranges.extend(safe_pages(region)),
            Some(false) => whole.leave_out(region),
        }
    }
    whole
}

impl Whole {
    fn take(&mut self, region: &Region) {
        let content = [content(region)];
        self.ranges.extend(&content);
        self.ranges.extend(safe_pages(region));
        if region.file.is_some() {
            self.from_files.extend(without(&content, &region.resident));
        }
    }

    /// Takes only what is not in the file, and what identifies it.
    fn leave_out(&mut self, region: &Region) {
        self.ranges
            .extend(within(safe_pages(region), &region.private_pages));
        self.ranges.extend(header_page(region));
        let Some(file) = region.file.as_deref() else {
            return;
        };
        let absent = AbsentFile {
            name: region.name.clone(),
            inode: region.inode,
            facts: *file,
        };
        if !self.absent.contains(&absent) {
            self.absent.push(absent);
        }
    }
}

/// Of each file whether it is taken whole.
struct Taken(BTreeMap<FileKey, bool>);

impl Taken {
    /// The smallest files first, so that as many as possible are taken.
    fn of(snapshot: &Snapshot) -> Self {
        let mut sizes: BTreeMap<FileKey, (u64, Sort)> = BTreeMap::new();
        for region in snapshot
            .regions
            .iter()
            .filter(|region| is_candidate(region))
        {
            let (bytes, sort) = sizes.entry(region.file_key()).or_default();
            *bytes = bytes.saturating_add(content(region).len());
            *sort = Sort::of(region).max(*sort);
        }
        let mut sizes: Vec<_> = sizes.into_iter().collect();
        sizes.sort_by_key(|(_, (bytes, _))| *bytes);
        let (mut images, mut others, mut unopened) = (MOST_IMAGES, MOST_OTHERS, MOST_UNOPENED);
        let taken = sizes.into_iter().map(|(file, (bytes, sort))| {
            let left = match sort {
                Sort::Other => &mut others,
                Sort::Image => &mut images,
                Sort::Unopened => &mut unopened,
            };
            let fits = bytes <= *left;
            *left -= if fits { bytes } else { 0 };
            (file, fits)
        });
        Self(taken.collect())
    }
}

/// What decides how much is taken of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    #[default]
    Other,
    Image,
    Unopened,
}

impl Sort {
    fn of(region: &Region) -> Self {
        match (&region.file, is_sought(region)) {
            (None, _) => Self::Unopened,
            (Some(_), true) => Self::Image,
            (Some(_), false) => Self::Other,
        }
    }
}

/// Whether a file is missed if it is not in the dump: an image, or one that is nowhere else, as memory by memfd_create(2) of
/// which there is a private view.
fn is_sought(region: &Region) -> bool {
    is_like_image(region) || region.deleted
}

fn is_like_image(region: &Region) -> bool {
    region.kind == RegionKind::Image || OF_RUNTIMES.iter().any(|end| region.name.ends_with(end))
}

/// Whether a region is a file's that is whole or absent. Data that the process may write is its own, and what it has
/// not written to is in the file, unless that was deleted: then nobody finds it there any more. Of a file that cannot be opened (deleted, and we are not
/// root), an image on a disk is read through the process.
fn is_candidate(region: &Region) -> bool {
    let is_file = region.inode != 0 && !region.remote && !region.hugetlb;
    let can_be_read = region.protection.read && !is_forbidden(region);
    let is_image = is_like_image(region);
    let has_content = region.file.is_some() || is_image && !region.shared && is_on_disk(region);
    let is_read_only = !region.protection.write || region.deleted;
    is_file && can_be_read && has_content && (is_image || is_read_only)
}

/// Whether a file is on a disk. Reading what is in memory, as a memfd, would make pages that count as the process's: a
/// dump of one with a limit has ended it.
fn is_on_disk(region: &Region) -> bool {
    region.device >> 32 != 0 && !region.name.starts_with("/dev/")
}

/// The addresses of a region for which its file has content, in whole pages.
fn content(region: &Region) -> Range {
    let Some(file) = &region.file else {
        return region.range;
    };
    let behind = file.size.next_multiple_of(PAGE);
    let bytes = behind.saturating_sub(region.offset);
    let end = region.range.start.saturating_add(bytes);
    Range::new(region.range.start, region.range.end.min(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileFacts, Protection, WallTime, coalesce, total_bytes};

    fn mapped(start: u64, len: u64, inode: u64, name: &str) -> Region {
        Region {
            range: Range::new(start, start + len),
            kind: RegionKind::Mapped,
            protection: Protection {
                read: true,
                ..Protection::default()
            },
            name: name.to_owned(),
            inode,
            file: Some(Box::new(FileFacts {
                size: len,
                modified: WallTime(1),
            })),
            resident: vec![Range::new(start + PAGE, start + 2 * PAGE)],
            ..Region::default()
        }
    }

    fn of(regions: Vec<Region>) -> Whole {
        whole(&Snapshot {
            regions,
            ..Snapshot::default()
        })
    }

    #[test]
    fn n11_a_file_of_which_a_page_was_touched_is_whole() {
        let whole = of(vec![mapped(0x10000, 0x4000, 1, "/usr/share/zone")]);
        assert_eq!(whole.ranges[0], Range::new(0x10000, 0x14000));
        let from_file = [Range::new(0x10000, 0x11000), Range::new(0x12000, 0x14000)];
        assert_eq!(whole.from_files, from_file);
        assert!(whole.absent.is_empty());
    }

    #[test]
    fn n11_a_file_that_is_too_large_is_absent_and_named_and_a_runtimes_is_not() {
        let large = MOST_OTHERS + PAGE;
        let whole = of(vec![
            mapped(0x1000_0000, large, 1, "/var/db/data"),
            mapped(0x4000_0000, large, 2, "/opt/java/lib/modules"),
        ]);
        assert_eq!(whole.absent.len(), 1);
        assert_eq!(whole.absent[0].name, "/var/db/data");
        assert_eq!(whole.absent[0].facts.size, large);
        assert!(whole.ranges.iter().all(|range| range.start >= 0x4000_0000));
        assert!(total_bytes(&whole.ranges) >= large);
    }

    #[test]
    fn n11_of_a_deleted_file_more_is_taken_as_nobody_finds_it_later() {
        let large = MOST_OTHERS + PAGE;
        let mut memfd = mapped(0x1000_0000, large, 1, "/memfd:cache");
        memfd.deleted = true;
        assert_eq!(mapped_bytes(std::slice::from_ref(&memfd)), large);
        let whole = of(vec![memfd]);
        assert!(whole.absent.is_empty());
        assert_eq!(total_bytes(&coalesce(whole.ranges, 0)), large);
    }

    #[test]
    fn n11_behind_the_end_of_a_file_there_is_nothing() {
        let mut region = mapped(0x10000, 0x4000, 1, "/tmp/cut");
        region.file = Some(Box::new(FileFacts {
            size: 0x1001,
            ..FileFacts::default()
        }));
        region.resident.clear();
        assert_eq!(of(vec![region]).ranges, [Range::new(0x10000, 0x12000)]);
    }

    /// Reading them through the process makes pages in it: for files on a disk, and not without a bound.
    #[test]
    fn n11_of_images_that_cannot_be_opened_little_is_read_through_the_process() {
        let image = |device, len| Region {
            device,
            file: None,
            kind: RegionKind::Image,
            ..mapped(0x10000, len, 1, "/opt/lib.so")
        };
        let bytes = |region| total_bytes(&coalesce(of(vec![region]).ranges, 0));
        assert_eq!(bytes(image(8 << 32, 0x4000)), 0x4000, "on a disk");
        assert_eq!(bytes(image(1, 0x4000)), PAGE, "in memory: what is resident");
        assert_eq!(
            bytes(image(8 << 32, MOST_UNOPENED + PAGE)),
            PAGE,
            "too much"
        );
    }

    #[test]
    fn n11_what_may_hang_is_not_read_from_its_file() {
        let mut region = mapped(0x10000, 0x4000, 1, "/mnt/nfs/lib.so");
        region.kind = RegionKind::Image;
        region.remote = true;
        let whole = of(vec![region]);
        assert!(whole.ranges.is_empty() && whole.from_files.is_empty());
    }
}
