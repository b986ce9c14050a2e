//! The simulated machine as a [`Host`].

use super::{
    SimMachine, SimProcess,
    follow::SimFollow,
    refusal::{gone, unsupported},
    target::SimTarget,
};
use crate::{
    Adopted, CrashNotice, Detail, Follow, Host, HostSink, Launched, ProcessEntry, Result, Target,
};
use snapshot::{Measure, ProcessKey, Sample, Time};
use std::path::Path;

/// A host of the simulated machine.
pub(super) struct SimHost {
    pub(super) machine: SimMachine,
    /// Whether this host reports events.
    pub(super) reports: bool,
}

impl Host for SimHost {
    fn now(&self) -> Time {
        self.machine.state().now
    }

    fn processes(&self, _: Detail) -> Result<Vec<ProcessEntry>> {
        let mut state = self.machine.state();
        state.lists_read += 1;
        let living = state.processes.values().filter(|process| !process.is_gone);
        Ok(living.map(entry).collect())
    }

    fn find(&self, pid: u32) -> Result<ProcessKey> {
        Ok(self.entry(pid)?.key)
    }

    fn entry(&self, pid: u32) -> Result<ProcessEntry> {
        let mut state = self.machine.state();
        state.entries_read += 1;
        let process = state.processes.get(&pid);
        let process = process.filter(|process| !process.is_gone);
        process.map(entry).ok_or_else(|| gone(pid))
    }

    fn sample(&mut self, key: ProcessKey, measures: &[Measure]) -> Result<Sample> {
        let state = self.machine.state();
        let process = state.processes.get(&key.pid);
        let process = process.filter(|process| process.key == key && !process.is_gone);
        let process = process.ok_or_else(|| gone(key.pid))?;
        let wanted = |(measure, _): &&(Measure, f64)| measures.contains(measure);
        Ok(Sample {
            at: state.now,
            cpu: process.cpu,
            values: process.values.iter().filter(wanted).cloned().collect(),
        })
    }

    fn expect(&self, _: Option<ProcessKey>, _: &Measure) -> Result<()> {
        Ok(())
    }

    fn report_to(&mut self, sink: HostSink) -> Result<()> {
        self.reports = true;
        self.machine.state().sinks.push(sink);
        Ok(())
    }

    fn watch(&mut self, key: ProcessKey) -> Result<()> {
        let mut state = self.machine.state();
        let process = state.processes.get_mut(&key.pid);
        let is_gone = |process: &mut SimProcess| {
            process.is_gone |= process.ends_when_watched;
            process.key != key || process.is_gone
        };
        if process.is_none_or(is_gone) {
            return Err(gone(key.pid));
        }
        state.watched.insert(key);
        Ok(())
    }

    fn forget(&mut self, key: ProcessKey) {
        self.machine.state().watched.remove(&key);
    }

    fn follow_starts(&mut self) -> Result<()> {
        self.machine.state().follows_starts = true;
        Ok(())
    }

    fn renamed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.machine.state().renamed)
    }

    fn catch_deaths(&mut self) -> Result<()> {
        match self.machine.state().catches_deaths {
            true => Ok(()),
            false => Err(unsupported("catching deaths")),
        }
    }

    fn kill(&self, key: ProcessKey) -> Result<()> {
        let is_gone = self.machine.with(key, |process| process.is_gone);
        if is_gone != Some(false) {
            return Err(gone(key.pid));
        }
        self.machine.end(key);
        Ok(())
    }

    fn launch(&self, program: &Path, _: &[String]) -> Result<Launched> {
        Err(unsupported(&format!("starting {}", program.display())))
    }

    fn counters(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn attach(&self, key: ProcessKey) -> Result<Box<dyn Target>> {
        Ok(Box::new(SimTarget::new(&self.machine, key)?))
    }

    fn follow(&self, key: ProcessKey) -> Result<Box<dyn Follow>> {
        Ok(Box::new(SimFollow::new(&self.machine, key)?))
    }

    fn adopt(&self, _: CrashNotice<'_>) -> Result<Adopted> {
        Err(unsupported("adopting a crash"))
    }
}

pub(super) fn entry(process: &SimProcess) -> ProcessEntry {
    ProcessEntry {
        key: process.key,
        parent: process.parent,
        name: process.name.clone(),
        comm: process.name.clone(),
        state: 'S',
        threads: 1,
        ..ProcessEntry::default()
    }
}
