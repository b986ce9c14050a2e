//! Figures of a process, read again and again through descriptors that stay open: 3 µs a file.

use super::{
    counters::Counters,
    proc::{ProcDir, machine, numbers_in, stat, stat::Stat, status},
};
use crate::{Error, ErrorKind, Result};
use snapshot::{Measure, ProcessKey, Sample, Time};
use std::{
    collections::{HashMap, hash_map::Entry},
    fs::File,
    io,
    os::unix::fs::FileExt,
};

/// The processes that are sampled.
#[derive(Default)]
pub(crate) struct Sampler {
    open: HashMap<ProcessKey, Process>,
    counters: Counters,
    buffer: Vec<u8>,
}

/// Open files of one process; only those that a measure needs.
struct Process {
    dir: ProcDir,
    stat: File,
    status: Option<File>,
}

/// Larger than any `stat`, and than a `status` with all its masks.
const LARGEST: usize = 8 << 10;

impl Sampler {
    /// Reads the wanted figures.
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
        let taken = take(process, &mut self.counters, &mut self.buffer, now, measures);
        taken.inspect_err(|_| {
            self.open.remove(&key);
        })
    }

    /// Closes what is open of a process.
    pub(crate) fn forget(&mut self, key: ProcessKey) {
        self.open.remove(&key);
        self.counters.forget(key);
    }
}

impl Process {
    fn open(key: ProcessKey) -> Result<Self> {
        let dir = ProcDir::open(key)?;
        let stat = dir
            .open_file("stat")
            .map_err(|e| Error::of_process("sampling", key, &e))?;
        Ok(Self {
            dir,
            stat,
            status: None,
        })
    }
}

fn take(
    process: &mut Process,
    counters: &mut Counters,
    buffer: &mut [u8],
    now: Time,
    measures: &[Measure],
) -> Result<Sample> {
    let key = process.dir.key;
    let stat = read(&process.stat, buffer).ok().and_then(stat::parse);
    let stat = stat
        .filter(|stat| !matches!(stat.state, 'Z' | 'X'))
        .ok_or_else(|| ended(key))?;
    let mut sample = Sample {
        at: now,
        ..Sample::default()
    };
    for measure in measures {
        if *measure == Measure::Cpu {
            let ticks = stat.user_ticks + stat.kernel_ticks;
            sample.cpu = Some(machine::ticks_to_duration(ticks));
            continue;
        }
        let value = match measure {
            Measure::Counter(path) => counters.read(&process.dir, path, &stat, now),
            measure => value(process, buffer, &stat, measure),
        };
        sample
            .values
            .extend(value.map(|value| (measure.clone(), value)));
    }
    Ok(sample)
}

/// One figure; `None` where it cannot be had.
fn value(process: &mut Process, buffer: &mut [u8], stat: &Stat, measure: &Measure) -> Option<f64> {
    let page = rustix::param::page_size() as f64;
    match measure {
        Measure::Memory => memory(process, buffer).map(|bytes| bytes as f64),
        Measure::Rss => Some(stat.resident_pages as f64 * page),
        Measure::Virtual => Some(stat.virtual_bytes as f64),
        Measure::Threads => Some(f64::from(stat.threads)),
        Measure::Handles => descriptors(&process.dir).map(|count| count as f64),
        // The main thread in uninterruptible sleep (design §1).
        Measure::Hang => Some(if stat.state == 'D' { 1.0 } else { 0.0 }),
        Measure::Cpu | Measure::Counter(_) | Measure::Http(_) => None,
    }
}

fn memory(process: &mut Process, buffer: &mut [u8]) -> Option<u64> {
    if process.status.is_none() {
        process.status = process.dir.open_file("status").ok();
    }
    Some(status::private(
        read(process.status.as_ref()?, buffer).ok()?,
    ))
}

/// Open descriptors: the size of the directory since Linux 6.2, else its entries.
pub(crate) fn descriptors(dir: &ProcDir) -> Option<u64> {
    let found = rustix::fs::statat(dir.fd(), "fd", rustix::fs::AtFlags::empty()).ok()?;
    match found.st_size {
        0 => numbers_in(dir.fd(), "fd").ok().map(|fds| fds.len() as u64),
        size => Some(size as u64),
    }
}

/// A `/proc` file from its start; reading at offset 0 makes the kernel write it anew.
fn read<'b>(file: &File, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let got = file.read_at(buffer, 0)?;
    Ok(&buffer[..got])
}

fn ended(key: ProcessKey) -> Error {
    Error::new(ErrorKind::NoSuchProcess, format!("process {key} has ended"))
}
