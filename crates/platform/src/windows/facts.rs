//! What can be read of a process without stopping it.

use super::{
    peb::{Peb, split_command_line},
    process::Process,
    security, services,
    sys::{check_status, narrow},
};
use crate::Facts;
use snapshot::{
    Memory, Module, Process as ProcessFacts, Range, Region, RegionKind, User, WallTime,
};
use std::{io, sync::Arc};
use windows_sys::{
    Wdk::System::Threading::NtQueryInformationProcess,
    Win32::System::RemoteDesktop::ProcessIdToSessionId,
};

/// Classes of `NtQueryInformationProcess` (`PROCESSINFOCLASS` of `winternl.h` and of ntdll's public
/// symbols).
const BASIC: i32 = 0;
const NARROW_PEB: i32 = 26;
const COMMAND_LINE: i32 = 60;

/// Reads everything that can be read without a stop, of the 32-bit side of the process if it is to be shown as `narrow`.
pub(crate) fn gather(process: &Process, memory: &Arc<dyn Memory>, narrow: bool) -> Facts {
    let peb = peb(process, memory, narrow);
    let used = process.memory_use().unwrap_or_default();
    let modules = modules(process, memory, narrow);
    let resident = super::regions::regions(process.raw());
    Facts {
        mapped: 0,
        process: describe(process, peb.as_ref(), narrow),
        handles: super::handles::handles(process),
        modules: sorted(modules, &[]),
        // What a full dump contains: on Windows all committed memory, resident or not.
        resident: resident.iter().map(Region::resident_bytes).sum(),
        private: used.private,
    }
}

/// Returns the environment block (PEB) of a process, or the 32-bit one of a 32-bit process.
pub(crate) fn peb<'m>(
    process: &Process,
    memory: &'m Arc<dyn Memory>,
    narrow: bool,
) -> Option<Peb<'m>> {
    let address = peb_address(process, narrow)?;
    Some(match narrow {
        true => Peb::narrow(&**memory, address),
        false => Peb::wide(&**memory, address),
    })
}

/// Returns the modules that the loaders of a process list. The 64-bit loader of a 32-bit process lists the program and
/// the 64-bit modules, so that those of the 32-bit one are added.
pub(crate) fn modules(process: &Process, memory: &Arc<dyn Memory>, narrow: bool) -> Vec<Module> {
    let of = |narrow| peb(process, memory, narrow).map_or(Vec::new(), |peb| peb.modules());
    let mut modules = of(narrow);
    if !narrow && process.is_narrow() {
        modules.extend(of(true));
    }
    modules
}

/// Returns the address of that block.
fn peb_address(process: &Process, narrow: bool) -> Option<u64> {
    let address = match narrow {
        true => query(process, NARROW_PEB).ok().map(|[address]| address),
        false => basic(process).map(|[_, address, ..]| address),
    };
    address.filter(|address| *address != 0)
}

/// Returns the pid of the parent, which may be another process's by now.
pub(crate) fn parent(process: &Process) -> u32 {
    basic(process).map_or(0, |basic| basic[5] as u32)
}

/// Returns the arguments of the command line, which is asked of the system if that tells it, else
/// read from the process's memory.
pub(crate) fn command_line(process: &Process, peb: Option<&Peb<'_>>) -> Vec<String> {
    let line = told_command_line(process).or_else(|| peb?.command_line());
    line.map_or(Vec::new(), |line| split_command_line(&line))
}

/// Sorts modules by base address. If the loader's list is empty, as in a process that has only just
/// started, the images in the address space are the modules.
pub(crate) fn sorted(mut modules: Vec<Module>, regions: &[Region]) -> Vec<Module> {
    if modules.is_empty() {
        modules = images(regions);
    }
    modules.sort_by_key(|module| module.range.start);
    modules.dedup_by_key(|module| module.range.start);
    modules
}

fn images(regions: &[Region]) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    for region in regions
        .iter()
        .filter(|region| region.kind == RegionKind::Image)
    {
        match modules.last_mut() {
            Some(module) if module.range.start == region.allocation_base => {
                module.range.end = region.range.end;
            }
            _ => modules.push(Module {
                range: Range::new(region.allocation_base, region.range.end),
                path: region.name.clone(),
                ..Module::default()
            }),
        }
    }
    modules
}

fn describe(process: &Process, peb: Option<&Peb<'_>>, narrow: bool) -> ProcessFacts {
    let times = process.times().unwrap_or_default();
    let exe = process.image().unwrap_or_default();
    let pid = process.key.pid;
    ProcessFacts {
        key: process.key,
        parent: parent(process),
        session: session(pid),
        name: base_name(&exe).to_owned(),
        comm: base_name(&exe).to_owned(),
        exe,
        command_line: command_line(process, peb),
        environment: peb.map_or(Vec::new(), Peb::environment),
        user: user(process),
        started: WallTime::from_filetime(times.start),
        user_time: times.user,
        kernel_time: times.kernel,
        state: ' ',
        service: services::by_pid().remove(&pid),
        peb: peb_address(process, narrow).unwrap_or(0),
        ..ProcessFacts::default()
    }
}

/// Returns what follows the last backslash or slash.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

fn user(process: &Process) -> User {
    let account = security::account_of(process.raw()).unwrap_or_default();
    User {
        uid: account.rid(),
        euid: account.rid(),
        name: account.name,
        ..User::default()
    }
}

fn session(pid: u32) -> u32 {
    let mut session = 0;
    // SAFETY: the call writes to a live local.
    unsafe { ProcessIdToSessionId(pid, &raw mut session) };
    session
}

/// Reads `PROCESS_BASIC_INFORMATION`: status, PEB, affinity, priority, pid, parent.
fn basic(process: &Process) -> Option<[u64; 6]> {
    query(process, BASIC).ok()
}

/// Asks for information of a class whose structure is `N` words long.
fn query<const N: usize>(process: &Process, class: i32) -> io::Result<[u64; N]> {
    let mut answer = [0; N];
    let (at, size) = (answer.as_mut_ptr().cast(), size_of_val(&answer) as u32);
    // SAFETY: the call writes at most `size` bytes, which is the size of `answer`; every value of a
    // u64 is valid.
    check_status(unsafe {
        NtQueryInformationProcess(process.raw(), class, at, size, std::ptr::null_mut())
    })?;
    Ok(answer)
}

/// Asks the system for the command line, which Windows 8.1 and later tell even of a process whose
/// memory we may not read.
fn told_command_line(process: &Process) -> Option<String> {
    // A UNICODE_STRING (two words) and its text of at most 64 KiB.
    let mut words = vec![0u64; 2 + (66 << 10) / 8];
    let size = (words.len() * 8) as u32;
    let at = words.as_mut_ptr().cast();
    // SAFETY: an aligned buffer with its size.
    check_status(unsafe {
        NtQueryInformationProcess(process.raw(), COMMAND_LINE, at, size, std::ptr::null_mut())
    })
    .ok()?;
    let units: Vec<u16> = words[2..]
        .iter()
        .flat_map(|word| [0, 16, 32, 48].map(|shift| (word >> shift) as u16))
        .take(words[0] as u16 as usize / 2)
        .collect();
    Some(narrow(&units))
}
