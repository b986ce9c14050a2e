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
/// Where things lie in `SYSTEM_PROCESS_INFORMATION`: the distance to the next one (32 bits), times
/// in 100 ns, the pid.
const NEXT: usize = 0;
const USER_TIME: usize = 40;
const KERNEL_TIME: usize = 48;
const PID: usize = 80;

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

/// From the list of all processes. Its entries are of any length under Wine, a name with an odd
/// number of letters and all, so that they are not aligned as Windows has them.
fn listed_times(pid: u32) -> Option<(Duration, Duration)> {
    let words = system_information(PROCESSES).ok()?;
    // SAFETY: the same memory, whose bytes may have any value.
    let mut entry = unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), words.len() * 8) };
    while number(entry, PID)? as u32 != pid {
        let next = number(entry, NEXT)? as u32 as usize;
        entry = entry.get(next..).filter(|_| next != 0)?;
    }
    let time = |at| Some(Duration::from_nanos(number(entry, at)?.saturating_mul(100)));
    Some((time(USER_TIME)?, time(KERNEL_TIME)?))
}

fn number(entry: &[u8], at: usize) -> Option<u64> {
    let bytes = entry.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}
