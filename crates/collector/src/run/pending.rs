//! What is still to come before a run may end: answers, and the ends of processes.

use super::run_event::RunEvent;
use snapshot::ProcessKey;
use std::collections::{HashMap, HashSet};

/// Orders that were not answered yet, and processes that are about to end.
#[derive(Default)]
pub(super) struct Pending {
    /// How many dumps of each process were not answered.
    dumps: HashMap<ProcessKey, usize>,
    stacks: usize,
    /// The ends of processes, to be told once their dumps are.
    ends: HashMap<ProcessKey, RunEvent>,
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
    pub(super) fn dump_ordered(&mut self, process: ProcessKey) {
        *self.dumps.entry(process).or_default() += 1;
    }

    /// Whether a dump of the process was not answered.
    pub(super) fn awaits_dump(&self, process: ProcessKey) -> bool {
        self.dumps.contains_key(&process)
    }

    /// Returns the end of the process, if this was all that it waited for.
    pub(super) fn dump_answered(&mut self, process: ProcessKey) -> Option<RunEvent> {
        let left = self.dumps.get_mut(&process)?;
        *left -= 1;
        if *left > 0 {
            return None;
        }
        self.dumps.remove(&process);
        self.ends.remove(&process)
    }

    /// Returns the end of a process again if it is to be told at once: its dumps are told before it.
    pub(super) fn end(&mut self, process: ProcessKey, end: RunEvent) -> Option<RunEvent> {
        if !self.awaits_dump(process) {
            return Some(end);
        }
        self.ends.insert(process, end);
        None
    }

    pub(super) fn stack_ordered(&mut self) {
        self.stacks += 1;
    }

    pub(super) fn stack_answered(&mut self) {
        self.stacks = self.stacks.saturating_sub(1);
    }

    /// Whether every dump and every stack that was ordered has been answered.
    pub(super) fn is_answered(&self) -> bool {
        self.dumps.is_empty() && self.stacks == 0
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
