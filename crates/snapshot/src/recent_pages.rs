//! Memory of a process that stands, of which the pages that were read last are kept.

use crate::Memory;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Memory that is read page by page. Who follows pointers reads a few bytes at a time, and of a process each read is a system call.
///
/// Only for memory that does not change, or where it does not matter that older bytes are read.
pub struct RecentPages {
    memory: Arc<dyn Memory>,
    /// What could be read of each page, by its address.
    pages: Mutex<HashMap<u64, Vec<u8>>>,
}

const PAGE: u64 = 4096;
/// How many pages are kept: 2 MiB.
const KEPT: usize = 512;

impl RecentPages {
    /// Keeps none yet.
    pub fn of(memory: Arc<dyn Memory>) -> Self {
        Self {
            memory,
            pages: Mutex::default(),
        }
    }

    /// Copies from the page of `address`. Returns how many bytes could be read.
    fn read_page(&self, address: u64, buf: &mut [u8]) -> usize {
        let start = address & !(PAGE - 1);
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.len() >= KEPT && !pages.contains_key(&start) {
            pages.clear();
        }
        let page = pages.entry(start).or_insert_with(|| {
            let mut page = vec![0; PAGE as usize];
            let got = self.memory.read(start, &mut page);
            page.truncate(got);
            page
        });
        let rest = page.get((address - start) as usize..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        count
    }
}

impl Memory for RecentPages {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buf.len() {
            let Some(at) = address.checked_add(done as u64) else {
                break;
            };
            let rest = (PAGE - at % PAGE) as usize;
            let end = buf.len().min(done + rest);
            let got = self.read_page(at, &mut buf[done..end]);
            done += got;
            if done < end {
                break;
            }
        }
        done
    }

    fn pages(&self, range: crate::Range) -> Option<Vec<crate::Range>> {
        self.memory.pages(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Bytes that tell their address from 0x1000 on up to 0x4800, and how often somebody asked.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Memory for Counting {
        fn read(&self, address: u64, buf: &mut [u8]) -> usize {
            self.0.fetch_add(1, Ordering::Relaxed);
            if address < 0x1000 {
                return 0;
            }
            let count = buf.len().min(0x4800u64.saturating_sub(address) as usize);
            let bytes = buf[..count].iter_mut().enumerate();
            bytes.for_each(|(at, byte)| *byte = (address as usize + at) as u8);
            count
        }
    }

    #[test]
    fn a_page_is_asked_for_once_and_all_bytes_are_those_of_the_process() {
        let counting = Arc::new(Counting::default());
        let memory = RecentPages::of(counting.clone());
        let mut buf = [0; 0x1800];
        for (address, expected) in [
            (0x1ff0, 0x1800),
            (0x2004, 0x1800),
            (0x4700, 0x100),
            (0x800, 0),
        ] {
            assert_eq!(memory.read(address, &mut buf), expected, "{address:x}");
            let right = |at: usize| buf[at] == (address as usize + at) as u8;
            assert!((0..expected).all(right), "{address:x}");
        }
        assert_eq!(counting.0.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn few_pages_are_kept() {
        let memory = RecentPages::of(Arc::new(Counting::default()));
        for page in 0..2_000u64 {
            memory.read_u64(page * PAGE);
        }
        assert!(memory.pages.lock().unwrap().len() <= KEPT);
    }
}
