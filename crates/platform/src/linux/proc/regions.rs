//! The regions of a process, read so that only few large maps are in our own memory at once: one with 65,000 mappings takes
//! some 20 MB while it is taken apart.

use super::large::Large;
use snapshot::Region;
use std::ops::{Deref, DerefMut};

/// The regions of a process, ascending.
pub(crate) struct Regions {
    list: Vec<Region>,
    /// Dropped after the list.
    _large: Option<Large>,
}

impl Regions {
    pub(super) fn of_text(text: Vec<u8>, large: Option<Large>) -> Self {
        let (list, _) = snapshot::maps::parse(&text);
        Self {
            list,
            _large: large,
        }
    }
}

impl Deref for Regions {
    type Target = Vec<Region>;

    fn deref(&self) -> &Vec<Region> {
        &self.list
    }
}

impl DerefMut for Regions {
    fn deref_mut(&mut self) -> &mut Vec<Region> {
        &mut self.list
    }
}
