//! Memory of which only those pages are read that keep nobody waiting.

use crate::{Memory, Range, Region, RegionKind, coalesce};
use std::sync::Arc;

/// The memory of a process without the pages that somebody else has to provide first: the server of a remote file
/// system, or whoever answers for userfaultfd, need never do that, and whoever reads such a page waits for ever.
pub struct Guarded {
    memory: Arc<dyn Memory>,
    /// What may be read; ascending, without overlaps.
    allowed: Vec<Range>,
}

impl Guarded {
    /// Allows what exists in these regions, and what comes from local files.
    pub fn new(memory: Arc<dyn Memory>, regions: &[Region]) -> Self {
        let allowed = regions.iter().flat_map(safe).copied().collect();
        Self {
            memory,
            allowed: coalesce(allowed, 0),
        }
    }

    /// How many bytes from `address` on may be read, of so many that are wanted.
    fn readable(&self, address: u64, wanted: u64) -> u64 {
        if let Some(pages) = self.pages(Range::new(address, address.saturating_add(wanted))) {
            let here = pages.first().filter(|pages| pages.start <= address);
            return here.map_or(0, |pages| pages.end - address);
        }
        let after = self.allowed.partition_point(|range| range.start <= address);
        let range = after.checked_sub(1).map(|at| self.allowed[at]);
        range.map_or(0, |range| range.end.saturating_sub(address))
    }
}

impl Memory for Guarded {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        let readable = self.readable(address, buf.len() as u64);
        let len = buf
            .len()
            .min(usize::try_from(readable).unwrap_or(usize::MAX));
        self.memory.read(address, &mut buf[..len])
    }

    fn pages(&self, range: Range) -> Option<Vec<Range>> {
        self.memory.pages(range)
    }
}

fn safe(region: &Region) -> &[Range] {
    let is_local_file = region.is_file_backed() && !region.shared && !region.guarded;
    if region.untouchable {
        &[]
    } else if region.remote {
        &region.private_pages
    } else if is_local_file || region.kind == RegionKind::Kernel {
        std::slice::from_ref(&region.range)
    } else {
        &region.resident
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory in which every byte can be read.
    struct Everywhere;

    impl Memory for Everywhere {
        fn read(&self, _address: u64, buf: &mut [u8]) -> usize {
            buf.len()
        }
    }

    #[test]
    fn n32_pages_that_somebody_must_provide_first_are_not_read() {
        let image = |start: u64| Region {
            range: Range::new(start, start + 0x3000),
            kind: RegionKind::Image,
            inode: 7,
            resident: vec![Range::new(start, start + 0x2000)],
            private_pages: vec![Range::new(start + 0x1000, start + 0x2000)],
            ..Region::default()
        };
        let regions = [
            image(0x1_0000),
            Region {
                remote: true,
                ..image(0x2_0000)
            },
            Region {
                guarded: true,
                ..image(0x3_0000)
            },
            Region {
                untouchable: true,
                ..image(0x4_0000)
            },
            Region {
                kind: RegionKind::Private,
                inode: 0,
                ..image(0x5_0000)
            },
        ];
        let memory = Guarded::new(Arc::new(Everywhere), &regions);
        let read = |at: u64| memory.read(at, &mut [0; 0x4000]);
        assert_eq!(read(0x1_0000), 0x3000, "a local file");
        assert_eq!((read(0x2_0000), read(0x2_1000)), (0, 0x1000));
        assert_eq!(read(0x3_0000), 0x2000, "what exists already");
        assert_eq!(read(0x4_0000), 0);
        assert_eq!(read(0x5_1800), 0x800);
        assert_eq!(read(0xf_0000), 0);
    }
}
