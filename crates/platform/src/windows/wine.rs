//! What Wine 8 tells differently from Windows: for the times of another process it gives our own,
//! and for private memory and handles it says 0. Nothing here is used on Windows.

use super::{
    handles,
    process::Times,
    regions,
    sys::{system_information, wine_version},
};
use std::time::Duration;
use windows_sys::Win32::Foundation::HANDLE;

/// The class of `NtQuerySystemInformation` that lists processes.
const PROCESSES: i32 = 5;
/// Offsets of fields of `SYSTEM_PROCESS_INFORMATION` in bytes: the distance to the next entry (32
/// bits), times in units of 100 ns, the pid.
const NEXT: usize = 0;
const USER_TIME: usize = 40;
const KERNEL_TIME: usize = 48;
const PID: usize = 80;

/// Replaces the CPU times by those of the list of processes, if this is Wine.
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

/// Returns the private memory in bytes. It is counted if the system told 0, which Windows never
/// does.
pub(crate) fn private_bytes(process: HANDLE, told: u64) -> u64 {
    match told {
        0 => regions::private_bytes(process),
        told => told,
    }
}

/// Returns the number of handles. They are counted if the system told 0, which Windows hardly ever
/// does.
pub(crate) fn handle_count(pid: u32, told: u32) -> u32 {
    match told {
        0 => handles::count(pid),
        told => told,
    }
}

/// Reads the CPU times from the list of all processes. Under Wine its entries are not aligned, as
/// they contain names of any length.
fn listed_times(pid: u32) -> Option<(Duration, Duration)> {
    let words = system_information(PROCESSES).ok()?;
    // SAFETY: the same memory as bytes, of which any values are valid.
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
