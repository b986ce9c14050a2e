//! This Windows machine as a [`Host`]: each call is handed to the module that does it.

use super::{
    counters,
    follow::WindowsFollow,
    just_in_time, launch, list,
    process::{self, Process},
    sample::Sampler,
    target::{WindowsTarget, wall_now},
    threads,
    watch::{self, Watcher},
};
use crate::{
    Adopted, CrashNotice, Detail, Error, ErrorKind, Follow, Host, HostSink, Launched, ProcessEntry,
    Result, Target,
};
use snapshot::{Measure, ProcessKey, Sample, ThreadTimes, Time};
use std::{path::Path, time::Instant};

/// This Windows machine.
pub(crate) struct WindowsHost {
    start: Instant,
    sampler: Sampler,
    /// The watcher, once [`Host::report_to`] was called.
    watcher: Option<Watcher>,
}

impl WindowsHost {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            sampler: Sampler::default(),
            watcher: None,
        }
    }
}

impl Host for WindowsHost {
    fn now(&self) -> Time {
        Time(self.start.elapsed())
    }

    fn processes(&self, detail: Detail) -> Result<Vec<ProcessEntry>> {
        list::processes(detail)
    }

    fn find(&self, pid: u32) -> Result<ProcessKey> {
        Ok(Process::open_pid(pid)?.key)
    }

    fn sample(&mut self, key: ProcessKey, measures: &[Measure]) -> Result<Sample> {
        let now = Time(self.start.elapsed());
        self.sampler.sample(now, key, measures)
    }

    fn thread_times(&self, key: ProcessKey) -> Result<ThreadTimes> {
        let process = Process::open_pid(key.pid).map(|process| process.key);
        if process? != key {
            return Err(process::ended(key));
        }
        let at = wall_now();
        let ids = threads::ids(key.pid);
        let ids = ids.map_err(|error| Error::of_process("listing the threads", key, &error))?;
        let used = |id: u32| (id, threads::describe(id, false, false).used_time());
        let used = ids.into_iter().map(used).collect();
        Ok(ThreadTimes { at, used })
    }

    fn expect(&self, _: Option<ProcessKey>, measure: &Measure) -> Result<()> {
        match measure {
            Measure::Counter(path) => counters::expect(path),
            _ => Ok(()),
        }
    }

    fn report_to(&mut self, sink: HostSink) -> Result<()> {
        self.watcher = Some(Watcher::begin(sink)?);
        Ok(())
    }

    fn watch(&mut self, key: ProcessKey) -> Result<()> {
        let nobody_listens = || Error::new(ErrorKind::Other, "nobody listens to this host");
        self.watcher.as_ref().ok_or_else(nobody_listens)?.watch(key)
    }

    fn forget(&mut self, key: ProcessKey) {
        self.watcher.iter().for_each(|watcher| watcher.forget(key));
        self.sampler.forget(key);
    }

    fn follow_starts(&mut self) -> Result<()> {
        self.watcher.iter().for_each(Watcher::follow_starts);
        Ok(())
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

    fn follow(&self, key: ProcessKey) -> Result<Box<dyn Follow>> {
        Ok(Box::new(WindowsFollow::begin(key)?))
    }

    fn adopt(&self, crash: CrashNotice<'_>) -> Result<Adopted> {
        match crash {
            CrashNotice::JustInTime(call) => just_in_time::adopt(call),
            CrashNotice::Core { crashed, .. } => {
                let what = format!("this system does not hold process {}", crashed.key);
                Err(Error::new(ErrorKind::Unsupported, what))
            }
        }
    }
}
