//! Pages that were put aside while the target stood, because its clone does not have them.
//!
//! A few are kept in our own memory, more in a file without a name: V8 keeps all of its heap from forks, and nobody but the
//! process has that of Java's ZGC.

use super::{
    clone::Reason,
    kept_copy::{self, Copied},
    kept_layout::{Kept, Layout},
    kept_place::Place,
    proc::ProcDir,
    sys::room::Mapped,
};
use snapshot::{Memory, Range, Region};
use std::{fs::File, os::unix::fs::FileExt as _, sync::Arc};

/// Such pages.
pub(super) struct KeptPages {
    /// Where they are shown; ascending.
    views: Vec<Kept>,
    store: Store,
    mapped: Option<Mapped>,
}

enum Store {
    Memory(Vec<u8>),
    File(Arc<File>),
}

impl KeptPages {
    /// Puts aside what exists of these regions, which are ascending.
    ///
    /// # Errors
    /// Why that is not possible, as what follows "because".
    pub(super) fn put_aside(
        proc: &ProcDir,
        regions: &[Region],
        memory: Arc<dyn Memory>,
        place: Place,
    ) -> Result<Self, Reason> {
        let mut layout = Layout::of(proc, regions);
        let within = place.patience(layout.bytes);
        let Some(file) = place.file_for(layout.bytes)? else {
            return Ok(Self::in_memory(layout, &*memory));
        };
        let sources = std::mem::take(&mut layout.sources);
        let Copied {
            file,
            mapped,
            unread,
        } = kept_copy::into_file(file, layout.bytes, sources, memory, within)?;
        Ok(Self {
            views: layout.without(&unread).views,
            store: Store::File(file),
            mapped,
        })
    }

    /// Which of these addresses are there; ascending.
    pub(super) fn within(&self, range: Range) -> impl Iterator<Item = Range> {
        let first = self
            .views
            .partition_point(|view| view.range.end <= range.start);
        let near = self.views[first..].iter();
        near.map_while(move |view| view.range.intersect(range))
    }

    /// Gives back what only the copying needed, which takes a while.
    pub(super) fn settle(&mut self) {
        self.mapped = None;
    }

    fn in_memory(layout: Layout, memory: &dyn Memory) -> Self {
        let mut bytes = vec![0; layout.bytes as usize];
        let unread = kept_copy::fill(&mut bytes, 0, &layout.sources, memory);
        Self {
            views: layout.without(&unread).views,
            store: Store::Memory(bytes),
            mapped: None,
        }
    }
}

impl Store {
    /// Reads into a buffer. Returns how many bytes were read.
    fn read(&self, at: u64, buffer: &mut [u8]) -> usize {
        match self {
            Self::Memory(memory) => {
                let from = memory.get(at as usize..).unwrap_or_default();
                let len = buffer.len().min(from.len());
                buffer[..len].copy_from_slice(&from[..len]);
                len
            }
            Self::File(file) => file.read_at(buffer, at).unwrap_or(0),
        }
    }
}

/// Memory of which some pages are read from what was kept.
pub(super) struct WithKept {
    pub(super) kept: KeptPages,
    pub(super) memory: Arc<dyn Memory>,
}

impl Memory for WithKept {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let at = address + done as u64;
            let part = &mut buffer[done..];
            let (got, wanted) = self.read_part(at, part);
            done += got;
            if got < wanted || got == 0 {
                break;
            }
        }
        done
    }
}

impl WithKept {
    /// Reads up to where kept pages begin or end. Returns how many bytes were read, and how many were to be.
    fn read_part(&self, at: u64, buffer: &mut [u8]) -> (usize, usize) {
        let views = &self.kept.views;
        let next = views.partition_point(|view| view.range.start <= at);
        let here = next.checked_sub(1).map(|before| &views[before]);
        if let Some(view) = here.filter(|view| view.range.contains(at)) {
            let from = at - view.range.start;
            let len = buffer.len().min((view.range.len() - from) as usize);
            let got = self.kept.store.read(view.at + from, &mut buffer[..len]);
            return (got, len);
        }
        let until = views.get(next).map_or(u64::MAX, |view| view.range.start);
        let len = buffer
            .len()
            .min(usize::try_from(until - at).unwrap_or(usize::MAX));
        (self.memory.read(at, &mut buffer[..len]), len)
    }
}
