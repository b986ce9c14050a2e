//! The dumps of each process that came before: see [`Series`].

use crate::collect::Series;
use snapshot::ProcessKey;

/// Of how many processes they are remembered: each takes some megabytes.
const MOST: usize = 4;

/// The series of those processes that were dumped last, the latest one at the end.
#[derive(Default)]
pub(super) struct AllSeries(Vec<(ProcessKey, Series)>);

impl AllSeries {
    /// The series of a process, for its next dump.
    pub(super) fn of(&mut self, process: ProcessKey) -> Series {
        let known = self.forget(process);
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        let series = known.unwrap_or_default();
        self.0.push((process, series.clone()));
        series
    }

    /// Forgets the dumps of a process that has ended.
    pub(super) fn forget(&mut self, process: ProcessKey) -> Option<Series> {
        let at = self.0.iter().position(|(key, _)| *key == process)?;
        Some(self.0.remove(at).1)
    }
}
