//! What only Windows does for dumps. Every function fails on Linux.

use crate::{Result, os};
use std::path::Path;

/// A dump of the kernel with the kernel stacks of some threads, in the format of Windows' crash dumps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelDump {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// How many of the threads it has.
    pub threads: usize,
}

/// Takes a kernel dump with the stacks of these threads. They should stand meanwhile.
///
/// # Errors
/// If we do not have SeDebugPrivilege, or the system refuses.
pub fn kernel_dump(threads: &[u32]) -> Result<KernelDump> {
    let (bytes, threads) = os::only_windows::kernel_dump(threads)?;
    Ok(KernelDump { bytes, threads })
}

/// Queues a dump for Windows Error Reporting, as a report about `application` for this `reason`. `is_large` says that the
/// dump has more than stacks. The file is left where it is.
///
/// # Errors
/// If error reporting is disabled, or does not take the report.
pub fn queue_report(dump: &Path, is_large: bool, application: &str, reason: &str) -> Result<()> {
    os::only_windows::queue_report(dump, is_large, application, reason)
}

/// Starts the Store application with this AppUserModelId, and returns its pid. It runs already.
///
/// # Errors
/// If this Windows has no Store applications, or this one cannot be started.
pub fn activate(application: &str, arguments: &[String]) -> Result<u32> {
    os::only_windows::activate(application, arguments)
}
