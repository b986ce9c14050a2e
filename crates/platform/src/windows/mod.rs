//! Windows: what step 3 builds; until then every function says so.

use crate::{
    Error, ErrorKind, FileBytes, Finding, Host, HostEvent, Launched, ProcessEntry, Result, Space,
    Target,
};
use snapshot::{Measure, Module, ProcessKey, Sample, System, Time};
use std::{io, path::Path, time::Duration};

/// A file being written.
#[derive(Debug)]
pub(crate) struct RawOutput;

fn unsupported() -> io::Error {
    io::ErrorKind::Unsupported.into()
}

impl RawOutput {
    pub(crate) fn reserve(&self, _bytes: u64) -> io::Result<()> {
        Err(unsupported())
    }

    pub(crate) fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(unsupported())
    }

    pub(crate) fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(unsupported())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        Err(unsupported())
    }

    pub(crate) fn publish(&self, _name: &str, _replace: bool) -> io::Result<()> {
        Err(unsupported())
    }

    pub(crate) fn remove(&self) {}
}

pub(crate) fn create_output(_folder: &Path, _name: &str, _replace: bool) -> io::Result<RawOutput> {
    Err(unsupported())
}

pub(crate) fn space_at(_folder: &Path) -> io::Result<Space> {
    Err(unsupported())
}

pub(crate) fn map_file(path: &Path) -> io::Result<FileBytes> {
    Ok(std::sync::Arc::new(std::fs::read(path)?))
}

/// Opens the files of images.
#[derive(Debug)]
pub(crate) struct ImageFiles;

impl ImageFiles {
    pub(crate) fn of(_process: ProcessKey) -> Option<Self> {
        Some(Self)
    }

    pub(crate) fn open(&self, module: &Module) -> Option<FileBytes> {
        map_file(module.path.as_ref()).ok()
    }
}

pub(crate) fn system() -> System {
    System {
        os: snapshot::OperatingSystem::Windows,
        page_size: 4096,
        ..System::default()
    }
}

pub(crate) fn doctor(_folder: &Path) -> Vec<Finding> {
    Vec::new()
}

pub(crate) fn init_process() {}

#[cfg(feature = "failpoints")]
pub(crate) fn kill_self() {
    std::process::abort();
}

#[cfg(feature = "failpoints")]
pub(crate) fn stop_self() {}

struct WindowsHost;

pub(crate) fn host() -> Box<dyn Host> {
    Box::new(WindowsHost)
}

fn not_yet<T>() -> Result<T> {
    Err(Error::new(
        ErrorKind::Unsupported,
        "Windows targets are not built yet",
    ))
}

impl Host for WindowsHost {
    fn now(&self) -> Time {
        Time::default()
    }

    fn processes(&self) -> Result<Vec<ProcessEntry>> {
        not_yet()
    }

    fn find(&self, _pid: u32) -> Result<ProcessKey> {
        not_yet()
    }

    fn sample(&mut self, _key: ProcessKey, _measures: &[Measure]) -> Result<Sample> {
        not_yet()
    }

    fn watch(&mut self, _key: ProcessKey) -> Result<()> {
        not_yet()
    }

    fn forget(&mut self, _key: ProcessKey) {}

    fn follow_starts(&mut self) -> bool {
        false
    }

    fn wait(&mut self, limit: Duration) -> Vec<HostEvent> {
        std::thread::sleep(limit);
        Vec::new()
    }

    fn kill(&self, _key: ProcessKey) -> Result<()> {
        not_yet()
    }

    fn entry(&self, _pid: u32) -> Result<ProcessEntry> {
        not_yet()
    }

    fn launch(&self, _program: &Path, _arguments: &[String]) -> Result<Launched> {
        not_yet()
    }

    fn counters(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn attach(&self, _key: ProcessKey) -> Result<Box<dyn Target>> {
        not_yet()
    }
}

/// A program that was started.
#[derive(Debug)]
pub(crate) struct RawLaunched;

impl RawLaunched {
    pub(crate) fn go(&mut self) -> io::Result<()> {
        Err(unsupported())
    }

    pub(crate) fn status(&mut self) -> Option<i32> {
        None
    }
}

/// Where `firstchance cancel` reaches a monitor.
#[derive(Debug)]
pub(crate) struct MonitorDoor;

impl MonitorDoor {
    pub(crate) fn open(shared: crate::monitor::Shared) -> Result<Self> {
        let _ = shared.lock().map(|watched| watched.pids.len());
        not_yet()
    }
}

pub(crate) fn cancel_monitors(_pid: u32) -> Result<u32> {
    not_yet()
}

pub(crate) fn read_trusted(path: &Path) -> io::Result<(crate::Trusted, bool)> {
    Ok((
        crate::Trusted {
            bytes: std::fs::read(path)?,
            administrator: false,
        },
        false,
    ))
}
