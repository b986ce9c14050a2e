//! What changed between the dumps of a series: which threads worked, which stand where they stood, which came and went,
//! and what memory grew.

mod growth;
mod threads;

pub use growth::{Growth, Place};
pub use threads::{SeenThread, Stood};

use crate::{Class, Stack};
use snapshot::{Process, Snapshot};

/// One dump of a series.
pub struct Moment<'a> {
    /// What is in the dump.
    pub snapshot: &'a Snapshot,
    /// The stack of each of its threads, in the same order.
    pub stacks: Vec<&'a Stack>,
}

/// What changed. Each list of numbers has one for each dump, in the order in which they were taken.
pub struct Comparison {
    /// The threads that are in any of the dumps, by ascending id.
    pub threads: Vec<SeenThread>,
    /// Resident memory by class, in bytes.
    pub classes: Vec<Growth<Class>>,
    /// What the process has written to of programs and libraries, in bytes, by their paths.
    pub modules: Vec<Growth<String>>,
    /// Resident memory of each region, in bytes.
    pub regions: Vec<Growth<Place>>,
}

impl Comparison {
    /// The thread with this id.
    pub fn thread(&self, id: u32) -> Option<&SeenThread> {
        let found = self.threads.binary_search_by_key(&id, |thread| thread.id);
        found.ok().map(|at| &self.threads[at])
    }
}

/// Compares dumps of one process, which have to be in the order in which they were taken.
pub fn compare(moments: &[Moment]) -> Comparison {
    Comparison {
        threads: threads::compare(moments),
        classes: growth::classes(moments),
        modules: growth::modules(moments),
        regions: growth::regions(moments),
    }
}

/// How far two dumps may differ in when one process began, in nanoseconds: it is computed from the clock, which is set now
/// and then.
const SAME_START: u64 = 2_000_000_000;

/// Whether two dumps are of one process: its id, and when it began, as far as both of them tell.
pub fn is_same_process(a: &Process, b: &Process) -> bool {
    let is_known = a.started.0 != 0 && b.started.0 != 0;
    let is_same_start = a.started.0.abs_diff(b.started.0) <= SAME_START;
    a.key.pid == b.key.pid && (!is_known || is_same_start)
}

#[cfg(test)]
mod tests;
