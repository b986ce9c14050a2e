//! What was opened to read a process for a small dump, kept for its next dump.

use analysis::OpenImages;
use platform::lock;
use snapshot::{Module, Range, coalesce};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The images of one process that were opened to read it, for its next dump. Copies of it are the same.
#[derive(Clone, Default)]
pub struct Opened {
    known: Arc<Mutex<Known>>,
    /// How many dumps are being taken for which the process is read.
    users: Arc<AtomicUsize>,
}

/// A dump is being taken for which the process is read, until this is dropped.
pub(super) struct InUse(Arc<AtomicUsize>);

struct Known {
    /// Those of files.
    of_files: Arc<OpenImages>,
    /// Those of its memory, as whoever has no files opens them.
    of_memory: Arc<OpenImages>,
    /// What was read of the memory for these.
    tables: Vec<Range>,
    /// How long the process was read for last; `None` if it has not been.
    took: Option<Duration>,
}

impl Opened {
    /// Whether several dumps of the process are being taken for which it is read.
    pub(crate) fn is_busy(&self) -> bool {
        self.users.load(Ordering::Relaxed) > 1
    }

    /// Begins such a dump.
    pub(super) fn begin_use(&self) -> InUse {
        self.users.fetch_add(1, Ordering::Relaxed);
        InUse(self.users.clone())
    }

    /// Begins another dump of the process, which has these modules by now.
    pub(super) fn keep_those_of(&self, modules: &[Module]) {
        let mut known = lock(&self.known);
        known.of_files.keep_those_of(modules);
        known.of_memory.keep_those_of(modules);
        let is_of_one = |table: &Range| modules.iter().any(|m| m.range.contains(table.start));
        known.tables.retain(is_of_one);
    }

    /// The images of files.
    pub(super) fn of_files(&self) -> Arc<OpenImages> {
        lock(&self.known).of_files.clone()
    }

    /// The images of memory.
    pub(super) fn of_memory(&self) -> Arc<OpenImages> {
        lock(&self.known).of_memory.clone()
    }

    /// Where the tables of the images of memory are.
    pub(super) fn tables(&self) -> Vec<Range> {
        lock(&self.known).tables.clone()
    }

    /// Notes where there are more of them.
    pub(super) fn add_tables(&self, more: Vec<Range>) {
        let mut known = lock(&self.known);
        // Many are there already.
        let all = known.tables.drain(..).chain(more).collect();
        known.tables = coalesce(all, 0);
    }

    /// How long the process was read for last.
    pub(super) fn took(&self) -> Option<Duration> {
        lock(&self.known).took
    }

    /// Notes how long it was read for.
    pub(super) fn set_took(&self, time: Duration) {
        lock(&self.known).took = Some(time);
    }

    /// Forgets the images of memory: reading was broken off, so that they may lack something.
    pub(super) fn forget_those_of_memory(&self) {
        let mut known = lock(&self.known);
        known.of_memory = Arc::new(OpenImages::with_those_of_memory());
        known.tables.clear();
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Known {
    fn default() -> Self {
        Self {
            of_files: Arc::default(),
            of_memory: Arc::new(OpenImages::with_those_of_memory()),
            tables: Vec::new(),
            took: None,
        }
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}
