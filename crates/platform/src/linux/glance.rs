//! A quick look at a process that runs.

use super::{
    facts, narrow,
    proc::ProcDir,
    threads::{architecture_of, registers_of_running},
    time_of_day::wall_now,
};
use crate::{Facts, OS};
use snapshot::{Memory, Process, Snapshot, System, Thread, auxv};
use std::sync::Arc;

/// See [`Target::glance`](crate::Target::glance).
pub(super) fn look(proc: &ProcDir, memory: Arc<dyn Memory>) -> Option<(Snapshot, Arc<dyn Memory>)> {
    let regions = proc.regions().ok()?;
    let thread = |tid: i32| Thread {
        id: tid as u32,
        registers: registers_of_running(proc, tid as u32),
        ..Thread::default()
    };
    let threads: Vec<Thread> = proc.tasks().ok()?.into_iter().map(thread).collect();
    let auxiliary = proc.auxv();
    let process = Process {
        key: proc.key,
        auxv: auxv::entries(&auxiliary, facts::word_size(&auxiliary)),
        files: vec![("auxv".to_owned(), auxiliary)],
        ..Process::default()
    };
    let facts = Facts {
        process,
        ..Facts::default()
    };
    let threads = narrow::as_its_own(&facts, threads);
    let snapshot = Snapshot {
        taken: wall_now(),
        process: facts.process,
        system: System {
            os: OS,
            architecture: architecture_of(&threads),
            ..System::default()
        },
        threads,
        modules: facts::modules(&regions),
        regions: regions.to_vec(),
        ..Snapshot::default()
    };
    Some((snapshot, memory))
}
