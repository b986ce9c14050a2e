//! The name of a process that is only mentioned: one that has sent a signal.

/// The name of the process with that pid now; `None` if there is none, and on Windows. It is one that the process has chosen.
pub fn process_name(pid: u32) -> Option<String> {
    crate::os::process_name::process_name(pid)
}
