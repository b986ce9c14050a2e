use crate::{Range, WallTime, coalesce, total_bytes};
use std::collections::BTreeMap;

/// A part of the address space with one protection and one kind of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// Its addresses.
    pub range: Range,
    /// What the process may do with it.
    pub protection: Protection,
    /// The kind of memory.
    pub kind: RegionKind,
    /// Whether it is a shared mapping: others see what is written.
    pub shared: bool,
    /// The path of its file, or `[heap]`, `[stack]`, `[anon:name]` …; empty for other anonymous
    /// memory.
    pub name: String,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// The device of its file (major << 32 | minor); 0 without a file.
    pub device: u64,
    /// The inode of its file; 0 without a file.
    pub inode: u64,
    /// Whether its file was deleted.
    pub deleted: bool,
    /// Whether its file is on a file system whose server may never answer (FUSE, NFS …). Then pages
    /// that are not in memory must not be read.
    pub remote: bool,
    /// Whether it consists of huge pages of hugetlbfs.
    pub hugetlb: bool,
    /// Whether the process asked that it is not dumped (`MADV_DONTDUMP`).
    pub dont_dump: bool,
    /// Whether reading it has effects: memory of a device.
    pub untouchable: bool,
    /// Whether somebody may have to answer for pages that are not in memory: the process itself (userfaultfd(2)), or a
    /// file system of which that is not known.
    pub guarded: bool,
    /// The part of it that exists, in memory or swapped out; ascending, without overlaps. The rest
    /// was never touched, or is only in the file.
    pub resident: Vec<Range>,
    /// The part of `resident` that is the process's own copy: anonymous, swapped out, or written to
    /// since it was mapped from a file. Ascending.
    pub private_pages: Vec<Range>,
    /// Whether the rest may have content that could not be looked at: in a file, or in memory that it shares with others.
    pub unseen: bool,
    /// What is known of the file behind it, if its content can be read from there (see
    /// [`Selection::from_files`](crate::Selection)); `None` also where nobody looked.
    pub file: Option<Box<FileFacts>>,
    /// Base of the allocation that it belongs to; 0 on Linux.
    pub allocation_base: u64,
    /// `MEMORY_BASIC_INFORMATION` `State`, `Protect`, `Type`, `AllocationProtect` (Windows).
    pub windows: [u32; 4],
}

/// What is known of a file that is mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// Its size in bytes.
    pub size: u64,
    /// When its content was last changed.
    pub modified: WallTime,
}

/// A file by its device and inode, as the memory map names it.
pub type FileKey = (u64, u64);

/// An object in memory, such as a memfd, by its device, inode and name.
pub type ObjectKey<'r> = (FileKey, &'r str);

/// The names of objects in memory: memfd_create(2)'s, shared anonymous memory's, and shm_open(3)'s.
const IN_MEMORY: [&str; 3] = ["/memfd:", "/dev/zero", "/dev/shm/"];

impl Region {
    /// The size of the part that exists, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        crate::total_bytes(&self.resident)
    }

    /// The file that is mapped. It says something only if `inode` is not 0.
    pub fn file_key(&self) -> FileKey {
        (self.device, self.inode)
    }

    /// The object in memory that it shows: mappings of one object show the same page at the same offset. Returns `None` if it
    /// shows none, and where device and inode do not tell two apart: System V's have their ids as inodes (`newseg` in
    /// ipc/shm.c), which are numbered anew in each namespace, and a file of overlayfs has another content once it was written to.
    pub fn object(&self) -> Option<ObjectKey<'_>> {
        let is_one = self.shared && self.inode != 0 && !self.untouchable && !self.remote;
        let is_in_memory = IN_MEMORY.iter().any(|begin| self.name.starts_with(begin));
        (is_one && is_in_memory).then_some((self.file_key(), self.name.as_str()))
    }

    /// Where these of its addresses are in its file, in bytes.
    pub fn in_file(&self, addresses: Range) -> Range {
        let offset = |address: u64| (address - self.range.start).saturating_add(self.offset);
        Range::new(offset(addresses.start), offset(addresses.end))
    }

    /// Which of its addresses show this part of its file.
    pub fn addresses_of(&self, part: Range) -> Option<Range> {
        let shown = self.in_file(self.range).intersect(part)?;
        let address = |offset: u64| self.range.start + (offset - self.offset);
        Some(Range::new(address(shown.start), address(shown.end)))
    }

    /// Whether it is a mapping of a file.
    pub fn is_file_backed(&self) -> bool {
        matches!(self.kind, RegionKind::Image | RegionKind::Mapped) && self.inode != 0
    }
}

/// How many bytes of files and shared memory mappings can show, each page of an object in memory once.
pub fn shared_bytes(regions: &[Region]) -> u64 {
    let mut objects: BTreeMap<ObjectKey<'_>, Vec<Range>> = BTreeMap::new();
    let mut others = 0;
    for region in regions {
        match region.object() {
            Some(key) => objects
                .entry(key)
                .or_default()
                .push(region.in_file(region.range)),
            None if region.shared || region.inode != 0 => others += region.range.len(),
            None => {}
        }
    }
    let shown = objects
        .into_values()
        .map(|parts| total_bytes(&coalesce(parts, 0)));
    others + shown.sum::<u64>()
}

/// What a process may do with memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields say it")]
pub struct Protection {
    pub read: bool,
    pub write: bool,
    pub execute: bool,
}

impl std::fmt::Display for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letter = |on, c| if on { c } else { '-' };
        let (r, w, x) = (self.read, self.write, self.execute);
        write!(f, "{}{}{}", letter(r, 'r'), letter(w, 'w'), letter(x, 'x'))
    }
}

/// The kinds of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RegionKind {
    /// Anonymous memory.
    #[default]
    Private,
    /// The C heap (`[heap]`) or a Windows heap segment.
    Heap,
    /// A thread's stack.
    Stack,
    /// A part of a loaded program or library.
    Image,
    /// Any other mapped file, or shared memory.
    Mapped,
    /// Pages of the kernel (vdso, vvar, vsyscall).
    Kernel,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(name: &str) -> Region {
        Region {
            range: Range::new(0x10000, 0x14000),
            shared: true,
            name: name.to_owned(),
            offset: 0x2000,
            device: 1,
            inode: 7,
            ..Region::default()
        }
    }

    #[test]
    fn only_objects_in_memory_are_told_apart_by_their_numbers() {
        assert_eq!(
            mapping("/memfd:heap").object(),
            Some(((1, 7), "/memfd:heap"))
        );
        for name in ["/SYSV00000000", "/srv/data", "anon_inode:[perf_event]"] {
            assert_eq!(mapping(name).object(), None, "{name}");
        }
        let private = Region {
            shared: false,
            ..mapping("/memfd:heap")
        };
        assert_eq!(private.object(), None);
    }

    #[test]
    fn what_is_mapped_several_times_is_shown_once() {
        let mut regions = [(); 3].map(|()| mapping("/memfd:heap"));
        regions[1].offset += 0x1000;
        assert_eq!(shared_bytes(&regions), 0x5000);
        regions[2].name = "/srv/data".to_owned();
        assert_eq!(shared_bytes(&regions), 0x9000);
    }

    #[test]
    fn addresses_and_places_in_the_file_belong_together() {
        let region = mapping("/memfd:heap");
        let part = Range::new(0x11000, 0x12000);
        assert_eq!(region.in_file(part), Range::new(0x3000, 0x4000));
        assert_eq!(region.addresses_of(Range::new(0x3000, 0x4000)), Some(part));
        assert_eq!(
            region.addresses_of(Range::new(0, 0x3000)),
            Some(Range::new(0x10000, 0x11000))
        );
        assert_eq!(region.addresses_of(Range::new(0, 0x2000)), None);
    }
}
