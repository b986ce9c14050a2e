//! Figures of processes that are read again and again, each from where it costs least.
//!
//! A sample costs what the kernel needs to tell it: 0.8 µs for CPU time by the process's clock and
//! 2 µs for memory by `statm`, where `stat` takes 5.6 µs and `status` 13.4 µs. Files stay open
//! between samples. `status` is read for memory only if the machine has swapped something out, or the
//! pages of files and shared memory are not as many as before: those of a process that idles are.

use super::{
    cgroup::{
        Groups,
        limits::{self, RecentUse},
    },
    counters::Counters,
    own_memory::{SharedMemory, Walkers},
    proc::{ProcDir, stat, stat::Stat, statm, status},
    sys::clock::CpuClock,
};
use crate::{Error, Result};
use snapshot::{Measure, ProcessKey, Sample, Time};
use std::{
    collections::{HashMap, hash_map::Entry},
    fs::File,
    io,
    os::unix::fs::FileExt,
};

/// The processes that are sampled, with their open files.
#[derive(Default)]
pub(crate) struct Sampler {
    open: HashMap<ProcessKey, Process>,
    counters: Counters,
    limits: RecentUse,
    walkers: Walkers,
    buffer: Vec<u8>,
}

/// The open files of one process. A file is opened when a figure first needs it.
struct Process {
    dir: ProcDir,
    cpu: CpuClock,
    statm: Option<File>,
    stat: Option<File>,
    status: Option<File>,
    shared: SharedMemory,
}

/// What the samples of all processes have in common.
struct Round<'r> {
    now: Time,
    counters: &'r mut Counters,
    limits: &'r mut RecentUse,
    buffer: &'r mut [u8],
    walkers: &'r Walkers,
}

/// A size in bytes that no `stat`, and no `status` with all its masks, exceeds.
const LARGEST: usize = 8 << 10;

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
        self.buffer.resize(LARGEST, 0);
        let process = match self.open.entry(key) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(closed) => closed.insert(Process::open(key)?),
        };
        let round = Round {
            now,
            counters: &mut self.counters,
            limits: &mut self.limits,
            buffer: &mut self.buffer,
            walkers: &self.walkers,
        };
        process.sample(round, measures).map_err(|error| {
            self.open.remove(&key);
            Error::of_process("sampling", key, &error)
        })
    }

    /// Closes the files of a process.
    pub(crate) fn forget(&mut self, key: ProcessKey) {
        self.open.remove(&key);
        self.counters.forget(key);
    }
}

impl Process {
    fn open(key: ProcessKey) -> Result<Self> {
        let dir = ProcDir::open(key)?;
        let cpu = CpuClock::of(key.pid).map_err(|e| Error::of_process("sampling", key, &e))?;
        Ok(Self {
            dir,
            cpu,
            statm: None,
            stat: None,
            status: None,
            shared: SharedMemory::default(),
        })
    }

    fn sample(&mut self, mut round: Round<'_>, measures: &[Measure]) -> io::Result<Sample> {
        let mut sample = Sample {
            at: round.now,
            ..Sample::default()
        };
        let pages = match measures.iter().any(is_of_pages) {
            true => self.pages(round.buffer)?,
            false => None,
        };
        let stat = match measures.iter().any(is_of_stat) {
            true => Some(self.stat(round.buffer)?),
            false => None,
        };
        for measure in measures {
            let value = match (measure, &pages, &stat) {
                (Measure::Cpu, ..) => {
                    sample.cpu = Some(self.cpu.read().map_err(|_| gone())?);
                    None
                }
                (Measure::Handles, ..) => self.dir.descriptors().map(|count| count as f64),
                (Measure::Memory, Some(pages), _) => Some(self.own(pages, &mut round)? as f64),
                (Measure::RssAndSwap, Some(pages), _) => {
                    Some((bytes(pages.resident) + self.swapped(round.buffer)?) as f64)
                }
                (Measure::Counter(path), _, Some(stat)) => {
                    round.counters.read(&self.dir, path, stat, round.now)
                }
                (Measure::MemoryOfLimit, ..) => {
                    round.limits.share(&Groups::of(&self.dir), round.now)
                }
                (Measure::CpuLimit, ..) => limits::processors(&Groups::of(&self.dir)),
                (measure, Some(pages), _) if is_of_pages(measure) => of_pages(measure, pages),
                (measure, _, Some(stat)) => of_stat(measure, stat),
                _ => None,
            };
            let value = value.map(|value| (measure.clone(), value));
            sample.values.extend(value);
        }
        Ok(sample)
    }

    /// Reads the sizes of the address space; `None` if the thread that they are read from has
    /// ended. Another thread is used the next time.
    fn pages(&mut self, buffer: &mut [u8]) -> io::Result<Option<statm::Pages>> {
        let open = || self.dir.open_living("statm");
        let pages = statm::parse(read(&mut self.statm, open, buffer)?);
        if pages.is_some_and(|pages| pages.size > 0) {
            return Ok(pages);
        }
        self.statm = None;
        self.dir = ProcDir::open(self.dir.key).map_err(|_| gone())?;
        Ok(None)
    }

    fn stat(&mut self, buffer: &mut [u8]) -> io::Result<Stat> {
        let open = || self.dir.open_file("stat");
        let stat = stat::parse(read(&mut self.stat, open, buffer)?).ok_or_else(gone)?;
        // A first thread that has ended is a zombie as long as other threads live.
        match stat.state {
            'X' => Err(gone()),
            'Z' if stat.threads < 2 => Err(gone()),
            _ => Ok(stat),
        }
    }

    /// Returns the process's own memory in bytes, as [`own_memory`](super::own_memory) says.
    fn own(&mut self, pages: &statm::Pages, round: &mut Round<'_>) -> io::Result<u64> {
        let swapped = self.swapped(round.buffer)?;
        if self.shared.is_outdated(pages.shared) {
            let open = || self.dir.open_living("status");
            let text = read(&mut self.status, open, round.buffer)?;
            self.shared.take(pages.shared, text);
        }
        let shared = self.shared.own(&self.dir, round.now, round.walkers);
        Ok(bytes(pages.private()) + swapped + shared)
    }

    /// Returns the anonymous bytes that are swapped out. Only `status` tells them, and it is read
    /// only if the machine uses any swap.
    fn swapped(&mut self, buffer: &mut [u8]) -> io::Result<u64> {
        let machine = rustix::system::sysinfo();
        if machine.freeswap == machine.totalswap {
            return Ok(0);
        }
        let open = || self.dir.open_living("status");
        let text = read(&mut self.status, open, buffer)?;
        Ok(status::bytes(text, "VmSwap").unwrap_or(0))
    }
}

/// Returns the size of so many pages in bytes.
fn bytes(pages: u64) -> u64 {
    pages * rustix::param::page_size() as u64
}

/// Returns a figure that `statm` tells; `None` if it does not tell this one.
fn of_pages(measure: &Measure, pages: &statm::Pages) -> Option<f64> {
    match measure {
        Measure::Rss => Some(bytes(pages.resident) as f64),
        Measure::Virtual => Some(bytes(pages.size) as f64),
        _ => None,
    }
}

/// Returns a figure that `stat` tells; `None` if it does not tell this one.
fn of_stat(measure: &Measure, stat: &Stat) -> Option<f64> {
    match measure {
        Measure::Threads => Some(f64::from(stat.threads)),
        // A process hangs while its main thread is in uninterruptible sleep.
        Measure::Hang => Some(f64::from(u8::from(stat.state == 'D'))),
        _ => None,
    }
}

fn is_of_pages(measure: &Measure) -> bool {
    matches!(
        measure,
        Measure::Memory | Measure::Rss | Measure::RssAndSwap | Measure::Virtual
    )
}

fn is_of_stat(measure: &Measure) -> bool {
    matches!(
        measure,
        Measure::Threads | Measure::Hang | Measure::Counter(_)
    )
}

/// Reads a file of `/proc` from its start, and opens it the first time. Reading at offset 0 makes
/// the kernel write it anew.
fn read<'b>(
    file: &mut Option<File>,
    open: impl FnOnce() -> io::Result<File>,
    buffer: &'b mut [u8],
) -> io::Result<&'b [u8]> {
    let file = match file {
        Some(file) => file,
        None => file.insert(open()?),
    };
    let got = file.read_at(buffer, 0)?;
    Ok(&buffer[..got])
}

fn gone() -> io::Error {
    rustix::io::Errno::SRCH.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_agree_with_those_of_status() {
        let key = ProcDir::open_pid(std::process::id()).expect("we live").key;
        let measures = [
            Measure::Cpu,
            Measure::Memory,
            Measure::Rss,
            Measure::Threads,
        ];
        let sample = Sampler::default().sample(Time::default(), key, &measures);
        let sample = sample.expect("a sample");
        assert!(sample.cpu.is_some_and(|cpu| !cpu.is_zero()));
        let text = std::fs::read("/proc/self/status").expect("readable");
        let near = |measure, told: u64| {
            let value = sample.value(&measure).expect("sampled");
            (value - told as f64).abs() < 4e6
        };
        assert!(near(Measure::Memory, status::private(&text)));
        assert!(near(
            Measure::Rss,
            status::bytes(&text, "VmRSS").expect("a line")
        ));
        let threads = sample.value(&Measure::Threads);
        assert!(threads.is_some_and(|threads| threads >= 1.0));
    }
}
