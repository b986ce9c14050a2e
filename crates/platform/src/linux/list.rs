//! The processes of the machine, and what rules can match of each.

use super::{
    clone,
    facts::{name_of, strings},
    forks, own_memory,
    proc::{self, ProcDir, bounds, machine, stat, stat::Stat, status},
};
use crate::{Detail, Error, ErrorKind, ProcessEntry, Result};
use snapshot::{ProcessKey, WallTime};
use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::OwnedFd,
};

/// How many threads look at processes at once.
const MOST_WORKERS: usize = 4;

/// Lists all processes by ascending pid.
///
/// # Errors
/// If `/proc` cannot be listed.
pub(crate) fn processes(detail: Detail) -> Result<Vec<ProcessEntry>> {
    let failed = |e: io::Error| {
        let what = format!("listing /proc failed: {e}");
        Error::new(ErrorKind::Unsupported, what)
    };
    let pids = proc::all_pids().map_err(failed)?.into_iter();
    let pids = pids.map(|pid| pid as u32);
    Ok(match detail {
        Detail::Identity => pids.filter_map(|pid| entry(pid).ok()).collect(),
        Detail::Figures => {
            let pids: Vec<u32> = pids.collect();
            Figures::of_machine().entries(&pids)
        }
    })
}

/// Returns what rules can match of the process that has this pid. It reads four small files only,
/// because it is called for every process that starts.
///
/// # Errors
/// If there is no such process.
pub(crate) fn entry(pid: u32) -> Result<ProcessEntry> {
    let gone = |_| {
        Error::new(
            ErrorKind::NoSuchProcess,
            format!("there is no process {pid}"),
        )
    };
    identify(pid).map_err(gone)
}

/// As [`entry`], of a process whose folder is open, or whose files were kept.
///
/// # Errors
/// If it is gone.
pub(crate) fn entry_of(proc: &ProcDir) -> io::Result<ProcessEntry> {
    let cgroup = proc.read("cgroup").unwrap_or_default();
    let image = proc.link("exe").unwrap_or_default();
    let mut command_line = proc.read_living("cmdline").unwrap_or_default();
    command_line.truncate(bounds::COMMAND_LINE as usize);
    let pid = proc.key.pid;
    Ok(ProcessEntry {
        // It may have been forked a moment ago.
        ancestors: forks::ancestors(pid),
        ..entry_with(pid, &proc.stat()?, &cgroup, image, &command_line)
    })
}

fn identify(pid: u32) -> io::Result<ProcessEntry> {
    identify_in(&proc::open_dir(pid)?, pid)
}

/// As [`identify`], of the process whose folder is open.
fn identify_in(dir: &OwnedFd, pid: u32) -> io::Result<ProcessEntry> {
    let stat = proc::read_stat(dir)?;
    if clone::is_one(dir, &stat) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let cgroup = proc::read_file(dir, "cgroup").unwrap_or_default();
    let image = image(dir, pid);
    let command_line = command_line(dir, &stat, pid);
    Ok(entry_with(pid, &stat, &cgroup, image, &command_line))
}

fn entry_with(
    pid: u32,
    stat: &Stat,
    cgroup: &[u8],
    image: String,
    command_line: &[u8],
) -> ProcessEntry {
    let belonging = machine::belonging(cgroup);
    let command_line = strings(command_line);
    let path = image.strip_suffix(" (deleted)").unwrap_or(&image);
    ProcessEntry {
        key: ProcessKey {
            pid,
            start: stat.start,
        },
        parent: stat.parent,
        ancestors: forks::known_ancestors(pid),
        name: name_of(path, &stat.comm, &command_line),
        comm: stat.comm.clone(),
        group: stat.group,
        command_line,
        cpu: machine::ticks_to_duration(stat.user_ticks + stat.kernel_ticks),
        threads: stat.threads,
        state: stat.state,
        service: belonging.service,
        user_service: belonging.user_service,
        container: belonging.container,
        kernel: stat.flags & stat::KERNEL_THREAD != 0,
        image,
        ..ProcessEntry::default()
    }
}

/// Returns the path of the program. If the first thread has ended, another thread is asked.
fn image(dir: &OwnedFd, pid: u32) -> String {
    let leader = proc::link(dir, "exe").ok();
    let other = || ProcDir::open_pid(pid).ok()?.link("exe").ok();
    leader.or_else(other).unwrap_or_default()
}

/// Returns the command line. If the first thread has ended, another thread is asked.
fn command_line(dir: &OwnedFd, stat: &Stat, pid: u32) -> Vec<u8> {
    let other = || ProcDir::open_pid(pid).ok()?.read_living("cmdline").ok();
    match stat.state {
        'Z' => {
            let mut text = other().unwrap_or_default();
            text.truncate(bounds::COMMAND_LINE as usize);
            text
        }
        _ => proc::read_file_up_to(dir, "cmdline", bounds::COMMAND_LINE).unwrap_or_default(),
    }
}

/// What is read once for the figures of all processes.
struct Figures {
    users: HashMap<u32, String>,
    boot: WallTime,
}

impl Figures {
    fn of_machine() -> Self {
        Self {
            users: machine::users(),
            boot: machine::boot_time(),
        }
    }

    /// Returns the processes that have not ended meanwhile. Nearly all of the time is the kernel's, which writes a dozen
    /// files for each process: several processors share it.
    fn entries(&self, pids: &[u32]) -> Vec<ProcessEntry> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let part = pids.len().div_ceil(workers.min(MOST_WORKERS)).max(1);
        let look = |pids: &[u32]| -> Vec<_> {
            let entries = pids.iter().filter_map(|pid| self.entry(*pid));
            entries.collect()
        };
        std::thread::scope(|scope| {
            let parts = pids
                .chunks(part)
                .map(|pids| scope.spawn(move || look(pids)));
            let parts: Vec<_> = parts.collect();
            let entries = parts
                .into_iter()
                .flat_map(|part| part.join().expect("no panic there"));
            entries.collect()
        })
    }

    /// Returns a process with its figures; `None` if it has ended meanwhile.
    fn entry(&self, pid: u32) -> Option<ProcessEntry> {
        let dir = proc::open_dir(pid).ok()?;
        let mut entry = identify_in(&dir, pid).ok()?;
        let proc = ProcDir::of_folder(entry.key, dir).ok()?;
        self.add(&mut entry, &proc)?;
        Some(entry)
    }

    fn add(&self, entry: &mut ProcessEntry, proc: &ProcDir) -> Option<()> {
        let status = match entry.state {
            // The first thread has ended: it has no figures of memory any more.
            'Z' => proc.read_living("status").ok()?,
            _ => proc.read("status").ok()?,
        };
        let (uid, _) = status::ids(&status, "Uid")?;
        let user = self.users.get(&uid).cloned();
        entry.user = user.unwrap_or_else(|| uid.to_string());
        entry.started = machine::start_time(entry.key.start, self.boot);
        entry.private = own_memory::own(proc, &status);
        entry.resident = status::bytes(&status, "VmRSS").unwrap_or(0);
        entry.handles = proc.descriptors().map(|count| count as u32);
        entry.mapped = mappings(proc);
        Some(())
    }
}

/// Returns the mappings: each file once, and all anonymous memory, which has no name but an address
/// by which a Go heap is recognised.
fn mappings(proc: &ProcDir) -> Vec<(u64, String)> {
    let Ok(regions) = proc.regions() else {
        return Vec::new();
    };
    let mut seen = HashSet::new();
    let named = regions
        .iter()
        .filter(|region| region.name.is_empty() || seen.insert(&region.name));
    named
        .map(|region| (region.range.start, region.name.clone()))
        .collect()
}
