//! This Linux machine as a [`Host`]: each call is handed to the module that does it.

use super::{
    crash, dying, launched::RawLaunched, list, proc::ProcDir, renames::Renames, sample::Sampler,
    sys::descriptor_limit, target::LinuxTarget, threads, watch::Watcher,
};
use crate::{
    Adopted, CrashNotice, Detail, Error, ErrorKind, Follow, Host, HostSink, Launched, ProcessEntry,
    Result, Target,
};
use snapshot::{Measure, ProcessKey, Sample, ThreadTimes, Time};
use std::{io, path::Path, process::Command, time::Instant};

/// This Linux machine.
pub(crate) struct LinuxHost {
    start: Instant,
    sampler: Sampler,
    /// The watcher, once [`Host::report_to`] was called, and whom it reports to.
    watcher: Option<(Watcher, HostSink)>,
    renames: Renames,
    /// Whether this host had processes be caught at their death.
    catches: bool,
}

impl LinuxHost {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            sampler: Sampler::default(),
            watcher: None,
            renames: Renames::default(),
            catches: false,
        }
    }
}

impl Drop for LinuxHost {
    fn drop(&mut self) {
        if self.catches {
            dying::end();
        }
    }
}

impl Host for LinuxHost {
    fn now(&self) -> Time {
        Time(self.start.elapsed())
    }

    fn processes(&self, detail: Detail) -> Result<Vec<ProcessEntry>> {
        list::processes(detail)
    }

    fn find(&self, pid: u32) -> Result<ProcessKey> {
        Ok(ProcDir::open_pid(pid)?.key)
    }

    fn entry(&self, pid: u32) -> Result<ProcessEntry> {
        list::entry(pid)
    }

    fn sample(&mut self, key: ProcessKey, measures: &[Measure]) -> Result<Sample> {
        let now = Time(self.start.elapsed());
        self.sampler.sample(now, key, measures)
    }

    fn thread_times(&self, key: ProcessKey) -> Result<ThreadTimes> {
        let times = ProcDir::open(key).map(|proc| threads::times(&proc));
        times?.map_err(|error| Error::of_process("reading the times of the threads", key, &error))
    }

    fn expect(&self, process: Option<ProcessKey>, measure: &Measure) -> Result<()> {
        super::available::expect(process, measure)
    }

    fn report_to(&mut self, sink: HostSink) -> Result<()> {
        self.watcher = Some((Watcher::begin(sink.clone())?, sink));
        Ok(())
    }

    fn watch(&mut self, key: ProcessKey) -> Result<()> {
        let (watcher, _) = self.watcher.as_ref().ok_or_else(nobody_listens)?;
        watcher.watch(key)
    }

    fn forget(&mut self, key: ProcessKey) {
        if let Some((watcher, _)) = &self.watcher {
            watcher.forget(key);
        }
        self.sampler.forget(key);
        dying::forget(key);
    }

    fn follow_starts(&mut self) -> Result<()> {
        let (watcher, _) = self.watcher.as_ref().ok_or_else(nobody_listens)?;
        let untold = |e: io::Error| Error::new(ErrorKind::Unsupported, e.to_string());
        watcher.follow_starts().map_err(untold)
    }

    fn renamed(&mut self) -> Vec<u32> {
        self.renames.look()
    }

    fn catch_deaths(&mut self) -> Result<()> {
        let (_, sink) = self.watcher.as_ref().ok_or_else(nobody_listens)?;
        let failed = |e: io::Error| {
            let what = format!("catching processes when they die failed: {e}");
            Error::new(ErrorKind::Unsupported, what)
        };
        dying::catch(sink).map_err(failed)?;
        self.catches = true;
        Ok(())
    }

    fn kill(&self, key: ProcessKey) -> Result<()> {
        super::watch::kill(key)
    }

    fn launch(&self, program: &Path, arguments: &[String]) -> Result<Launched> {
        let mut command = Command::new(program);
        command.args(arguments);
        let failed = |e: io::Error| {
            let kind = match e.kind() {
                io::ErrorKind::PermissionDenied => ErrorKind::NotPermitted,
                _ => ErrorKind::Other,
            };
            Error::new(kind, format!("starting {} failed: {e}", program.display()))
        };
        let is_there = super::sys::launch::expect_executable(program);
        let waiting = is_there.and_then(|()| super::sys::launch::launch(command));
        let waiting = waiting.map_err(failed)?;
        let key = self.find(waiting.pid)?;
        Ok(Launched {
            key,
            inner: RawLaunched::new(waiting, program.to_owned()),
        })
    }

    fn counters(&self) -> Vec<(String, String)> {
        let known = super::counter_list::KNOWN.iter();
        known
            .map(|(path, what)| ((*path).to_owned(), (*what).to_owned()))
            .collect()
    }

    fn attach(&self, key: ProcessKey) -> Result<Box<dyn Target>> {
        Ok(Box::new(LinuxTarget::attach(key)?))
    }

    fn expect_dumpable(&self, key: ProcessKey) -> Result<()> {
        LinuxTarget::attach(key)?.expect_right()
    }

    fn follow(&self, key: ProcessKey) -> Result<Box<dyn Follow>> {
        descriptor_limit::raise();
        Ok(Box::new(super::follow::LinuxFollow::begin(key)?))
    }

    fn adopt(&self, crash: CrashNotice<'_>) -> Result<Adopted> {
        match crash {
            CrashNotice::Core {
                crashed,
                threads,
                fault,
            } => crash::adopt(crashed, threads, fault),
            CrashNotice::JustInTime(call) => {
                let what = format!(
                    "Linux starts no just-in-time debugger: process {} cannot be adopted",
                    call.pid
                );
                Err(Error::new(ErrorKind::Unsupported, what))
            }
        }
    }
}

fn nobody_listens() -> Error {
    Error::new(ErrorKind::Other, "nobody listens to this host")
}
