//! The name of a process that is only mentioned.

use super::proc;

/// The name of the process with that pid now; `None` if there is none.
pub(crate) fn process_name(pid: u32) -> Option<String> {
    let name = proc::read_file(&proc::open_dir(pid).ok()?, "comm").ok()?;
    Some(String::from_utf8_lossy(&name).trim_end().to_owned())
}
