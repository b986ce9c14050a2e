//! The machine.

use super::{
    counters, just_in_time, launch, list,
    process::Process,
    sample::Sampler,
    target::WindowsTarget,
    watch::{self, Watcher},
};
use crate::{
    Error, ErrorKind, Host, HostEvent, JustInTime, Launched, ProcessEntry, Result, Target,
};
use snapshot::{Measure, ProcessKey, Sample, Time};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// This Windows machine.
pub(crate) struct WindowsHost {
    start: Instant,
    sampler: Sampler,
    watcher: Watcher,
}

impl WindowsHost {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            sampler: Sampler::default(),
            watcher: Watcher::default(),
        }
    }
}

impl Host for WindowsHost {
    fn now(&self) -> Time {
        Time(self.start.elapsed())
    }

    fn processes(&self) -> Result<Vec<ProcessEntry>> {
        list::processes()
    }

    fn find(&self, pid: u32) -> Result<ProcessKey> {
        Ok(Process::open_pid(pid)?.key)
    }

    fn sample(&mut self, key: ProcessKey, measures: &[Measure]) -> Result<Sample> {
        let now = Time(self.start.elapsed());
        self.sampler.sample(now, key, measures)
    }

    fn watch(&mut self, key: ProcessKey) -> Result<()> {
        self.watcher.watch(key)
    }

    fn forget(&mut self, key: ProcessKey) {
        self.watcher.forget(key);
        self.sampler.forget(key);
    }

    fn follow_starts(&mut self) -> bool {
        self.watcher.follow_starts()
    }

    fn wait(&mut self, limit: Duration) -> Vec<HostEvent> {
        self.watcher.wait(limit)
    }

    fn kill(&self, key: ProcessKey) -> Result<()> {
        watch::kill(key)
    }

    fn entry(&self, pid: u32) -> Result<ProcessEntry> {
        list::find(pid)
    }

    fn launch(&self, program: &Path, arguments: &[String]) -> Result<Launched> {
        let inner = launch::launch(program, arguments).map_err(|e| {
            let what = format!("starting {} failed: {e}", program.display());
            Error::new(ErrorKind::Other, what)
        })?;
        let key = self.find(inner.pid())?;
        Ok(Launched { key, inner })
    }

    fn counters(&self) -> Vec<(String, String)> {
        let known = counters::KNOWN.iter();
        known
            .map(|(path, what)| ((*path).to_owned(), (*what).to_owned()))
            .collect()
    }

    fn attach(&self, key: ProcessKey) -> Result<Box<dyn Target>> {
        Ok(Box::new(WindowsTarget::attach(key)?))
    }

    fn adopt_told(&self, call: &JustInTime) -> Result<Box<dyn Target>> {
        Ok(Box::new(just_in_time::adopt(call)?))
    }
}
