//! The memory of a process that nobody has captured, page by page: only what keeps nobody waiting is read.
//!
//! A page of a file on FUSE comes from a server that need never answer, and a page that does not exist may be guarded by
//! userfaultfd. A thread that stands at an event may point anywhere.

use super::{
    memory::LiveMemory,
    pages,
    proc::{ProcDir, map_text, mounts::QuickDevices},
    sys::procmap::{ProcMapping, unnamed_mapping_at},
};
use crate::lock;
use rustix::param::page_size;
use snapshot::Memory;
use std::{
    fs::File,
    io::Read,
    sync::{Arc, Mutex, OnceLock},
};

/// Memory of which each page is looked at before it is read.
pub(super) struct CheckedMemory {
    memory: LiveMemory,
    pagemap: File,
    maps: File,
    /// Read only where a page of a file is asked for: to put it together takes the kernel longer than to read a page.
    mountinfo: Option<File>,
    /// Once they were asked for.
    quick: OnceLock<QuickDevices>,
    /// Mappings that were asked for. A text of 60,000 takes some milliseconds to look through.
    found: Mutex<Vec<ProcMapping>>,
}

/// How many mappings are remembered. The few that a stack and its images are in are asked for again and again.
const FOUND: usize = 64;

impl CheckedMemory {
    /// Checks what is read of `memory`. Returns it as it is if we may not look at its pages.
    pub(super) fn of(proc: &ProcDir, memory: LiveMemory) -> Arc<dyn Memory> {
        let (pagemap, maps) = (proc.open_living("pagemap"), proc.open_living("maps"));
        let (Ok(pagemap), Ok(maps)) = (pagemap, maps) else {
            return Arc::new(memory);
        };
        Arc::new(Self {
            memory,
            pagemap,
            maps,
            mountinfo: proc.open_living("mountinfo").ok(),
            quick: OnceLock::new(),
            found: Mutex::default(),
        })
    }

    /// Whether the page at this address can be read at once.
    fn is_safe(&self, page: u64) -> bool {
        pages::is_own(&self.pagemap, page, page_size() as u64) || self.is_of_quick_file(page)
    }

    fn quick(&self) -> &QuickDevices {
        self.quick.get_or_init(|| {
            let mut text = Vec::new();
            // Where it cannot be read, less is known to be quick.
            let _ = self
                .mountinfo
                .as_ref()
                .map(|mut file| file.read_to_end(&mut text));
            QuickDevices::of(&text)
        })
    }

    /// Returns the mapping that a page is in, without its name.
    fn mapping(&self, page: u64) -> Option<ProcMapping> {
        match unnamed_mapping_at(&self.maps, page) {
            Ok(mapping) => mapping.filter(|mapping| mapping.start <= page),
            // Of one that is gone there is a text, as of any before Linux 6.11.
            Err(_) => self.mapping_in_text(page),
        }
    }

    fn mapping_in_text(&self, page: u64) -> Option<ProcMapping> {
        let mut found = lock(&self.found);
        let is_in = |mapping: &&ProcMapping| (mapping.start..mapping.end).contains(&page);
        if let Some(known) = found.iter().find(is_in) {
            return Some(known.clone());
        }
        let new = map_text::mapping_in(&self.maps, page)?;
        if found.len() == FOUND {
            found.clear();
        }
        found.push(new.clone());
        Some(new)
    }

    fn is_of_quick_file(&self, page: u64) -> bool {
        let is_there = pages::exists(&self.pagemap, page, page_size() as u64);
        self.mapping(page).is_some_and(|mapping| {
            let (major, minor) = mapping.device;
            let device = u64::from(major) << 32 | u64::from(minor);
            mapping.inode != 0 && self.quick().may_read(device, is_there)
        })
    }
}

impl Memory for CheckedMemory {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        let page = page_size() as u64;
        let end = address.saturating_add(buf.len() as u64);
        let mut pages = (address & !(page - 1)..end).step_by(page as usize);
        let first_bad = pages.find(|at| !self.is_safe(*at)).unwrap_or(end);
        let len = first_bad.saturating_sub(address).min(buf.len() as u64);
        self.memory.read(address, &mut buf[..len as usize])
    }
}
