//! What is still to come before a run may end: answers, and the ends of processes.

use snapshot::ProcessKey;
use std::collections::HashSet;

/// Orders that were not answered yet, and processes that are about to end.
#[derive(Default)]
pub(super) struct Pending {
    dumps: usize,
    stacks: usize,
    /// Processes that have begun to end.
    pub(super) leaving: HashSet<ProcessKey>,
    /// Processes that have ended, of which their thread has still to tell.
    pub(super) gone: HashSet<ProcessKey>,
    /// Processes that were caught when they died, while a thread began to follow them.
    pub(super) dying: HashSet<ProcessKey>,
    /// Processes whose death by a fault is to be told, and has not been.
    pub(super) deaths: HashSet<ProcessKey>,
}

impl Pending {
    pub(super) fn dump_ordered(&mut self) {
        self.dumps += 1;
    }

    pub(super) fn dump_answered(&mut self) {
        self.dumps = self.dumps.saturating_sub(1);
    }

    pub(super) fn stack_ordered(&mut self) {
        self.stacks += 1;
    }

    pub(super) fn stack_answered(&mut self) {
        self.stacks = self.stacks.saturating_sub(1);
    }

    /// Whether every dump and every stack that was ordered has been answered.
    pub(super) fn is_answered(&self) -> bool {
        self.dumps == 0 && self.stacks == 0
    }

    /// A process has begun to end.
    pub(super) fn begun(&mut self, process: ProcessKey) {
        self.leaving.insert(process);
    }

    /// Whether no process has begun to end that has not ended.
    pub(super) fn is_quiet(&self) -> bool {
        self.leaving.is_empty()
    }
}
