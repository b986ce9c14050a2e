//! Figures of processes that are read again and again, through handles that stay open.

use super::{
    counters::Counters,
    measure::value,
    process::{Process, ended},
};
use crate::Result;
use snapshot::{Measure, ProcessKey, Sample, Time};
use std::collections::{HashMap, hash_map::Entry};
use windows_sys::Win32::System::Threading::PROCESS_QUERY_INFORMATION;

/// The processes that are sampled, with their open handles.
#[derive(Default)]
pub(crate) struct Sampler {
    open: HashMap<ProcessKey, Process>,
    counters: Counters,
}

impl Sampler {
    /// Reads the wanted figures of a process.
    ///
    /// # Errors
    /// If the process has ended.
    pub(crate) fn sample(
        &mut self,
        now: Time,
        key: ProcessKey,
        measures: &[Measure],
    ) -> Result<Sample> {
        let process = match self.open.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(slot) => slot.insert(open(key)?),
        };
        if process.has_ended() {
            self.open.remove(&key);
            return Err(ended(key));
        }
        Ok(take(process, &mut self.counters, now, measures))
    }

    /// Closes the handle of a process.
    pub(crate) fn forget(&mut self, key: ProcessKey) {
        self.open.remove(&key);
        self.counters.forget(key);
    }
}

/// Opens a process with the right to query everything, else with the least rights.
fn open(key: ProcessKey) -> Result<Process> {
    Process::open(key, PROCESS_QUERY_INFORMATION).or_else(|_| Process::open(key, 0))
}

fn take(process: &Process, counters: &mut Counters, now: Time, measures: &[Measure]) -> Sample {
    let mut sample = Sample {
        at: now,
        ..Sample::default()
    };
    for measure in measures {
        let value = match measure {
            Measure::Cpu => {
                sample.cpu = process.times().ok().map(|times| times.user + times.kernel);
                continue;
            }
            Measure::Counter(path) => counters.read(process, path, now),
            measure => value(process, measure),
        };
        sample
            .values
            .extend(value.map(|value| (measure.clone(), value)));
    }
    sample
}
