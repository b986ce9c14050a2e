//! What only Windows does for dumps. Every function fails on Linux.

use crate::{Result, os};

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
