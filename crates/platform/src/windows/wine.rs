//! What Wine 8 tells otherwise than Windows: the times of another process (it gives our own), its
//! private memory and its handles (it says none). Nothing here is used on Windows.

use super::{
    handles,
    process::Times,
    regions,
    sys::{system_information, wine_version},
};
use std::time::Duration;
use windows_sys::Win32::Foundation::HANDLE;

/// `SYSTEM_INFORMATION_CLASS` of the list of processes.
const PROCESSES: i32 = 5;
/// Words of `SYSTEM_PROCESS_INFORMATION`: the offset of the next one, times in 100 ns, the pid.
const NEXT: usize = 0;
const USER_TIME: usize = 5;
const KERNEL_TIME: usize = 6;
const PID: usize = 10;

/// The times of a process, with those that Wine knows.
pub(crate) fn times(pid: u32, told: Times) -> Times {
    if wine_version().is_none() {
        return told;
    }
    let (user, kernel) = listed_times(pid).unwrap_or_default();
    Times {
        user,
        kernel,
        ..told
    }
}

/// Private memory; never 0 on Windows.
pub(crate) fn private_bytes(process: HANDLE, told: u64) -> u64 {
    match told {
        0 => regions::private_bytes(process),
        told => told,
    }
}

/// How many handles; hardly ever 0 on Windows.
pub(crate) fn handle_count(pid: u32, told: u32) -> u32 {
    match told {
        0 => handles::count(pid),
        told => told,
    }
}

fn listed_times(pid: u32) -> Option<(Duration, Duration)> {
    let words = system_information(PROCESSES).ok()?;
    let mut entry = &words[..];
    while *entry.get(PID)? as u32 != pid {
        let next = entry[NEXT] as u32 as usize / 8;
        if next == 0 {
            return None;
        }
        entry = entry.get(next..)?;
    }
    let time = |at: usize| Duration::from_nanos(entry[at].saturating_mul(100));
    Some((time(USER_TIME), time(KERNEL_TIME)))
}
