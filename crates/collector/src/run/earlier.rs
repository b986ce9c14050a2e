//! What earlier dumps of each process leave for its next one.

use crate::collect::{Opened, Series};
use snapshot::ProcessKey;

/// Of how many processes it is remembered: each takes some megabytes.
const MOST: usize = 4;

/// What those processes left that were dumped last, the latest one at the end.
#[derive(Default)]
pub(super) struct EarlierDumps(Vec<(ProcessKey, Earlier)>);

/// What the dumps of a process left. Copies of it are the same.
#[derive(Clone, Default)]
pub(super) struct Earlier {
    pub(super) series: Series,
    pub(super) opened: Opened,
}

impl EarlierDumps {
    /// What there is of a process, for its next dump.
    pub(super) fn of(&mut self, process: ProcessKey) -> Earlier {
        let known = self.forget(process);
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        let earlier = known.unwrap_or_default();
        self.0.push((process, earlier.clone()));
        earlier
    }

    /// Forgets a process that has ended.
    pub(super) fn forget(&mut self, process: ProcessKey) -> Option<Earlier> {
        let at = self.0.iter().position(|(key, _)| *key == process)?;
        Some(self.0.remove(at).1)
    }
}
