//! The processes of the machine, by the Toolhelp snapshot
//! (<https://learn.microsoft.com/windows/win32/toolhelp/tool-help-library>), and what rules can
//! match of each.

use super::{
    facts::{base_name, command_line, peb},
    memory::LiveMemory,
    peb::Peb,
    process::Process,
    security, services,
    sys::{narrow, own, raw},
};
use crate::{Detail, Error, ErrorKind, ProcessEntry, Result};
use snapshot::{Memory, WallTime};
use std::{collections::HashMap, io, mem::zeroed, sync::Arc};
use windows_sys::Win32::System::{
    Diagnostics::ToolHelp::{
        CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW,
        TH32CS_SNAPPROCESS,
    },
    Threading::{PROCESS_QUERY_INFORMATION, PROCESS_VM_READ},
};

/// What the system's list tells of a process.
pub(crate) struct Listed {
    /// The pid of the process.
    pub(crate) pid: u32,
    /// The pid of its parent.
    pub(crate) parent: u32,
    /// The number of its threads.
    pub(crate) threads: u32,
    /// The name of its program file.
    pub(crate) name: String,
}

/// Lists all processes by ascending pid, with as much of each as `detail` asks for.
pub(crate) fn processes(detail: Detail) -> Result<Vec<ProcessEntry>> {
    let listed = listed().map_err(|e| {
        Error::new(
            ErrorKind::Unsupported,
            format!("listing the processes failed: {e}"),
        )
    })?;
    let services = services::by_pid();
    let mut entries: Vec<ProcessEntry> = listed
        .iter()
        .map(|one| entry(one, &services, detail == Detail::Figures))
        .collect();
    entries.sort_by_key(|entry| entry.key.pid);
    Ok(entries)
}

/// Returns what rules can match of the process that has this pid.
///
/// # Errors
/// If there is none, or we may not open it.
pub(crate) fn find(pid: u32) -> Result<ProcessEntry> {
    let process = Process::open_pid(pid)?;
    let all = listed().unwrap_or_default();
    let one = all.into_iter().find(|one| one.pid == pid);
    let one = one.ok_or_else(|| super::process::ended(process.key))?;
    Ok(entry(&one, &services::by_pid(), false))
}

/// Returns the system's list of processes.
pub(crate) fn listed() -> io::Result<Vec<Listed>> {
    // SAFETY: a structure of integers, for which zeros are valid and whose size is set; the handle
    // of the snapshot is new and ours.
    unsafe {
        let list = own(CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0))?;
        let mut entry: PROCESSENTRY32W = zeroed();
        entry.dwSize = size_of::<PROCESSENTRY32W>() as u32;
        let mut all = Vec::new();
        let mut more = Process32FirstW(raw(&list), &raw mut entry);
        while more != 0 {
            all.push(Listed {
                pid: entry.th32ProcessID,
                parent: entry.th32ParentProcessID,
                threads: entry.cntThreads,
                name: narrow(&entry.szExeFile),
            });
            more = Process32NextW(raw(&list), &raw mut entry);
        }
        Ok(all)
    }
}

/// Returns what can be seen of a process. If we may not open it, that is what the list tells.
fn entry(listed: &Listed, services: &HashMap<u32, String>, all: bool) -> ProcessEntry {
    let pid = listed.pid;
    let mut entry = ProcessEntry {
        parent: listed.parent,
        name: base_name(&listed.name).to_owned(),
        comm: base_name(&listed.name).to_owned(),
        threads: listed.threads,
        state: ' ',
        service: services.get(&pid).cloned(),
        // The idle process and that of the kernel, which have no image.
        kernel: pid == 0 || pid == 4 && listed.name.eq_ignore_ascii_case("System"),
        ..ProcessEntry::default()
    };
    entry.key.pid = pid;
    let readable = Process::open_for(pid, PROCESS_QUERY_INFORMATION | PROCESS_VM_READ);
    if let Ok(process) = readable.or_else(|_| Process::open_pid(pid)) {
        fill(&mut entry, process, all);
    }
    entry
}

fn fill(entry: &mut ProcessEntry, process: Process, all: bool) {
    let times = process.times().unwrap_or_default();
    let used = process.told_memory_use().unwrap_or_default();
    let process = Arc::new(process);
    let memory: Arc<dyn Memory> = Arc::new(LiveMemory::new(process.clone()));
    let peb = peb(&process, &memory, process.is_narrow());
    entry.key = process.key;
    entry.image = process.image().unwrap_or_default();
    entry.command_line = command_line(&process, peb.as_ref());
    entry.user = security::account_of(process.raw()).map_or(String::new(), |account| account.name);
    entry.started = WallTime::from_filetime(times.start);
    entry.cpu = times.user + times.kernel;
    entry.private = used.private;
    entry.resident = used.resident;
    entry.handles = process.told_handle_count().ok().filter(|count| *count > 0);
    if all {
        let modules = peb.as_ref().map_or(Vec::new(), Peb::modules);
        let mapped = modules
            .into_iter()
            .map(|module| (module.range.start, module.path));
        entry.mapped = mapped.collect();
    }
}
