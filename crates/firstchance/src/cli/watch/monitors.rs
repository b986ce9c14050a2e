//! The lines with which ProcDump for Linux begins and ends each process that it watches (src/Monitor.cpp).

use crate::ui::{Wording, console};
use snapshot::ProcessKey;
use std::collections::{BTreeMap, BTreeSet};

/// The processes of which it was told that they are watched, with their names.
pub(super) struct Monitors {
    is_told: bool,
    /// Whether several processes may be watched, which is told in other words.
    are_several: bool,
    names: BTreeMap<ProcessKey, String>,
    /// Those of which it was told that they are watched no more, and which may still live.
    stopped: BTreeSet<ProcessKey>,
}

impl Monitors {
    /// None yet. Only one wording has these lines.
    pub(super) fn new(wording: Wording, are_several: bool) -> Self {
        Self {
            are_several,
            is_told: wording == Wording::ProcDumpForLinux,
            names: BTreeMap::new(),
            stopped: BTreeSet::new(),
        }
    }

    /// The line for a process that is watched from now on, if there is one.
    pub(super) fn start(&mut self, process: ProcessKey) -> Option<String> {
        if !self.is_told {
            return None;
        }
        let entry = platform::this_machine().entry(process.pid).ok()?;
        let name = snapshot::command_name(&entry.command_line).unwrap_or(&entry.name);
        let name = console::plain(name);
        let line = format!("Starting monitor for process {name} ({process})");
        self.names.insert(process, name);
        Some(line)
    }

    /// The line for a process that is no longer watched, if there is one.
    pub(super) fn stop(&mut self, process: ProcessKey) -> Option<String> {
        let name = self.names.remove(&process)?;
        self.stopped.insert(process);
        let begin = match self.are_several {
            true => "Stopping monitors for process:",
            false => "Stopping monitor for process",
        };
        Some(format!("{begin} {name} ({process})"))
    }

    /// A process has ended. Returns whether its monitor had stopped before: then nothing is told of the end.
    pub(super) fn had_stopped(&mut self, process: ProcessKey) -> bool {
        self.stopped.remove(&process)
    }

    /// The lines for all processes that are still watched.
    pub(super) fn stop_all(&mut self) -> Vec<String> {
        let processes: Vec<ProcessKey> = self.names.keys().copied().collect();
        let stopped = processes.into_iter().filter_map(|key| self.stop(key));
        stopped.collect()
    }
}
