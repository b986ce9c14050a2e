use crate::Range;

/// A run of the address space with one protection and one backing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// Where.
    pub range: Range,
    /// Who may do what.
    pub protection: Protection,
    /// What stands behind it.
    pub kind: RegionKind,
    /// Mapped shared: writes are seen by others.
    pub shared: bool,
    /// The file's path, `[heap]`, `[stack]`, `[anon:name]` …; empty for plain anonymous memory.
    pub name: String,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// The file's device (major << 32 | minor) and inode; 0 for none.
    pub device: u64,
    /// The file's inode.
    pub inode: u64,
    /// The file is unlinked.
    pub deleted: bool,
    /// The file lives on a file system whose server may never answer (FUSE, NFS …): pages that
    /// are not present must not be touched.
    pub remote: bool,
    /// Made of huge pages of hugetlbfs.
    pub hugetlb: bool,
    /// The owner asked for it not to be dumped (`MADV_DONTDUMP`).
    pub dont_dump: bool,
    /// Device or I/O memory, or one that userfaultfd guards: reading may hang or change things.
    pub untouchable: bool,
    /// What of it exists (present or swapped), ascending, without overlaps; what is not in here
    /// was never touched, or is only in the file.
    pub resident: Vec<Range>,
    /// What of `resident` is the process's own copy (anonymous, swapped or written to since it
    /// was mapped from a file), ascending. Equal to `resident` for anonymous memory.
    pub private_pages: Vec<Range>,
    /// Base of the reservation it belongs to (Windows), else 0.
    pub allocation_base: u64,
    /// `MEMORY_BASIC_INFORMATION` `State`, `Protect`, `Type`, `AllocationProtect` (Windows).
    pub windows: [u32; 4],
}

impl Region {
    /// How much of it exists, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        crate::total_bytes(&self.resident)
    }

    /// Whether a file or an image stands behind it.
    pub fn is_file_backed(&self) -> bool {
        matches!(self.kind, RegionKind::Image | RegionKind::Mapped) && self.inode != 0
    }
}

/// Read, write, execute.
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

/// What stands behind a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RegionKind {
    /// Anonymous memory.
    #[default]
    Private,
    /// The C heap (`[heap]`) or a Windows heap segment.
    Heap,
    /// A thread's stack.
    Stack,
    /// Part of a loaded program or library.
    Image,
    /// Any other mapped file, or shared memory.
    Mapped,
    /// The kernel's own pages in the process (vdso, vvar, vsyscall).
    Kernel,
}
